import type { Message, MessageAttributeValue } from '@aws-sdk/client-sqs';
import { keyOf } from '../event/key';
import { KEY_ATTRIBUTE, PACK_ATTRIBUTE } from '../pipeline/names';
import { pack, unpack, type Unpacked } from './pack';
import type { QueuedEvent } from './queued-event';

/** An SQS message to be sent. It carries one event or more. */
export interface OutgoingMessage {
  body: string;
  /** Message attributes, all of them texts. */
  attributes: Readonly<Record<string, string>>;
  /** What SQS counts towards its limits: UTF-8 bytes of the body and of each attribute's name, type and value. */
  bytes: number;
  /** How many events it carries. */
  events: number;
}

/** SQS bodies exclude these two, and JSON leaves them as they are. The escaped text is the same JSON value. */
const REFUSED_BY_SQS = /[\uFFFE\uFFFF]/g;

/** An event as a message of its own: its JSON, with the key beside it. */
export function encodeMessage({ key, text }: QueuedEvent): OutgoingMessage {
  const body = text.replace(REFUSED_BY_SQS, (character) => `\\u${character.charCodeAt(0).toString(16)}`);
  const attributes = { [KEY_ATTRIBUTE]: key };
  return { body, attributes, bytes: Buffer.byteLength(body) + attributeBytes(attributes), events: 1 };
}

/** Several events as one message. */
export function encodePack(events: readonly QueuedEvent[]): OutgoingMessage {
  const { body, statement } = pack(events);
  const attributes = { [PACK_ATTRIBUTE]: statement };
  return { body, attributes, bytes: body.length + attributeBytes(attributes), events: events.length };
}

/** The events that a message carries, in their order, at least one; or what is wrong with its pack. */
export function decodeMessage({ id, body, pack: statement, key = keyOfMessage(id) }: QueueMessage): Unpacked {
  if (statement !== undefined) return unpack({ body, statement });
  return { ok: true, events: [{ key, text: body }] };
}

/** What makes another program's message itself, and a pack that can't be read: two with equal bodies are two. */
export function keyOfMessage(id: string): string {
  return keyOf('message', id);
}

function attributeBytes(attributes: Readonly<Record<string, string>>): number {
  return Object.entries(attributes)
    .map(([name, value]) => Buffer.byteLength(`${name}String${value}`))
    .reduce((sum, bytes) => sum + bytes, 0);
}

/** Attributes as the SQS client takes them. */
export function attributeValues({ attributes }: OutgoingMessage): Record<string, MessageAttributeValue> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, { DataType: 'String', StringValue: value }]),
  );
}

/** A message as it was received. */
export interface QueueMessage {
  /** SQS's own MessageId. */
  id: string;
  receipt: string;
  body: string;
  /** What makes the event itself. Without it, another program put the message there. */
  key?: string;
  /** What a pack states of itself. */
  pack?: string;
  /** Epoch milliseconds, by the clock of the queue; undefined where SQS does not say. */
  sentAt?: number;
}

/** @returns undefined for what nobody could delete */
export function messageOf(message: Message): QueueMessage | undefined {
  const { MessageId: id, ReceiptHandle: receipt, Body: body = '', MessageAttributes } = message;
  if (id === undefined || receipt === undefined) return undefined;
  const key = MessageAttributes?.[KEY_ATTRIBUTE]?.StringValue;
  const statement = MessageAttributes?.[PACK_ATTRIBUTE]?.StringValue;
  const sentAt = Number(message.Attributes?.SentTimestamp);
  const isTime = sentAt > 0 && Number.isSafeInteger(sentAt);
  return {
    id,
    receipt,
    body,
    ...(key ? { key } : {}),
    ...(statement ? { pack: statement } : {}),
    ...(isTime ? { sentAt } : {}),
  };
}
