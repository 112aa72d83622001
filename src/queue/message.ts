import type { Message, MessageAttributeValue } from '@aws-sdk/client-sqs';
import { KEY_ATTRIBUTE } from '../pipeline/names';

/** One SQS message: the event's JSON as published, its key beside it. */
export interface OutgoingMessage {
  body: string;
  key: string;
}

/** SQS bodies exclude these two, and JSON leaves them as they are. The escaped text is the same JSON value. */
const REFUSED_BY_SQS = /[\uFFFE\uFFFF]/g;

export function encodeMessage(text: string, key: string): OutgoingMessage {
  const body = text.replace(REFUSED_BY_SQS, (character) => `\\u${character.charCodeAt(0).toString(16)}`);
  return { body, key };
}

/** What SQS counts towards its limits: UTF-8 bytes of the body and of each attribute's name, type and value. */
export function messageBytes({ body, key }: OutgoingMessage): number {
  return Buffer.byteLength(body) + KEY_ATTRIBUTE.length + 'String'.length + key.length;
}

export function keyAttribute({ key }: OutgoingMessage): Record<string, MessageAttributeValue> {
  return { [KEY_ATTRIBUTE]: { DataType: 'String', StringValue: key } };
}

/** A message as it was received. */
export interface QueueMessage {
  /** SQS's own MessageId. */
  id: string;
  receipt: string;
  body: string;
  /** What makes the event itself. Without it, another program put the message there. */
  key?: string;
  /** Epoch milliseconds, by the clock of the queue; undefined where SQS does not say. */
  sentAt?: number;
}

/** @returns undefined for what nobody could delete */
export function messageOf(message: Message): QueueMessage | undefined {
  const { MessageId: id, ReceiptHandle: receipt, Body: body = '', MessageAttributes } = message;
  if (id === undefined || receipt === undefined) return undefined;
  const key = MessageAttributes?.[KEY_ATTRIBUTE]?.StringValue;
  const sentAt = Number(message.Attributes?.SentTimestamp);
  const isTime = sentAt > 0 && Number.isSafeInteger(sentAt);
  return { id, receipt, body, ...(key ? { key } : {}), ...(isTime ? { sentAt } : {}) };
}
