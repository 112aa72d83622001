import type { Rule } from './faults';

/** One entry of a batch, or a request about one message. */
export interface Entry {
  Id?: string;
  MessageBody?: string;
  MessageAttributes?: Record<string, { DataType?: string; StringValue?: string; BinaryValue?: string }>;
  ReceiptHandle?: string;
  VisibilityTimeout?: number;
}

/** An error of SQS. As an answer of its own, or as the `Failed` of one entry. */
export interface SqsError {
  code: string;
  message: string;
}

export interface Refusal extends SqsError {
  rule: Rule;
}

const MOST_ENTRIES = 10;
/** Of all messages of a batch; since August 2025. */
const MOST_BYTES = 1024 * 1024;
/** "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long." */
const ENTRY_ID = /^[\w-]{1,80}$/;
/** The characters of XML 1.0. With the flag u, a lone surrogate is one of its own. */
const REFUSED = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;

/**
 * Why SQS refuses a batch as a whole. Codes and texts are those of AWS, as its users report them: localstack issues 7106
 * and 7312, sqs-extended-client-lib issue 25 (there with the limit of that time, 262144).
 */
export function batchRefusal(entries: readonly Entry[]): Refusal | undefined {
  if (entries.length === 0)
    return malformed('EmptyBatchRequest', 'There should be at least one entry in the request.');
  if (entries.length > MOST_ENTRIES) {
    const message = `Maximum number of entries per request are ${MOST_ENTRIES}. You have sent ${entries.length}.`;
    return malformed('TooManyEntriesInBatchRequest', message);
  }
  const ids = entries.map(({ Id = '' }) => Id);
  if (!ids.every((id) => ENTRY_ID.test(id))) {
    const message =
      'A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.';
    return malformed('InvalidBatchEntryId', message);
  }
  const repeated = ids.find((id, index) => ids.indexOf(id) !== index);
  if (repeated !== undefined) return malformed('BatchEntryIdsNotDistinct', `Id ${repeated} repeated.`);
  const bytes = entries.reduce((sum, entry) => sum + messageBytes(entry), 0);
  if (bytes <= MOST_BYTES) return undefined;
  const message = `Batch requests cannot be longer than ${MOST_BYTES} bytes. You have sent ${bytes} bytes.`;
  return { rule: 'tooLong', code: 'BatchRequestTooLong', message };
}

/** Why SQS refuses a message. @param maximumBytes the queue's MaximumMessageSize */
export function messageRefusal(entry: Entry, maximumBytes: number): Refusal | undefined {
  const refused = textsOf(entry)
    .map((text) => REFUSED.exec(text)?.[0])
    .find((character) => character !== undefined);
  if (refused !== undefined) {
    const character = `#x${refused.codePointAt(0)?.toString(16).toUpperCase()}`;
    const message =
      `Invalid binary character '${character}' was found in the message body, the set of allowed characters is ` +
      '#x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF].';
    return { rule: 'refusedCharacters', code: 'InvalidMessageContents', message };
  }
  if (messageBytes(entry) <= maximumBytes) return undefined;
  const message = `One or more parameters are invalid. Reason: Message must be shorter than ${maximumBytes} bytes.`;
  return { rule: 'tooLong', code: 'InvalidParameterValue', message };
}

/** UTF-8 bytes of the body and of each attribute's name, type and value. */
export function messageBytes({ MessageBody = '', MessageAttributes = {} }: Entry): number {
  const attributes = Object.entries(MessageAttributes).map(
    ([name, { DataType = '', StringValue = '', BinaryValue = '' }]) =>
      Buffer.byteLength(name + DataType + StringValue) + Buffer.byteLength(BinaryValue, 'base64'),
  );
  return attributes.reduce((sum, bytes) => sum + bytes, Buffer.byteLength(MessageBody));
}

function textsOf({ MessageBody = '', MessageAttributes = {} }: Entry): string[] {
  return [MessageBody, ...Object.values(MessageAttributes).map(({ StringValue = '' }) => StringValue)];
}

function malformed(code: string, message: string): Refusal {
  return { rule: 'malformedBatch', code, message };
}
