import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { createEventTexts } from '../local/simulated-stream/events';
import { seededRandom } from '../local/simulated-stream/random';
import { attributeValues, encodeMessage, encodePack, type OutgoingMessage } from '../src/queue/message';

const SENDERS = 8;
const ENTRIES = 10;

/** What ElasticMQ takes in one request of packs: 256 KiB. */
const PACKS = 5;

/**
 * A queue that is deleted in the end: ElasticMQ keeps messages in memory, and ran out of it in the third round of `ingest`.
 *
 * @returns its URL
 */
export async function createQueue(
  sqs: SQSClient,
  name: string,
  ending: (end: () => Promise<unknown>) => void,
): Promise<string> {
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: name }));
  if (QueueUrl === undefined) throw new Error(`SQS named no URL for the queue ${name}`);
  // A server that ended by itself has it no more.
  ending(() => sqs.send(new DeleteQueueCommand({ QueueUrl })).catch(() => {}));
  return QueueUrl;
}

/** Messages in a queue, received or not. */
export async function depthOf(sqs: SQSClient, queueUrl: string): Promise<number> {
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({
      QueueUrl: queueUrl,
      AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
    }),
  );
  return (
    Number(Attributes?.ApproximateNumberOfMessages ?? 0) +
    Number(Attributes?.ApproximateNumberOfMessagesNotVisible ?? 0)
  );
}

/** Events as the simulated stream publishes them, one after the other. */
export function* eventTexts(count: number, paddingBytes: number): Generator<{ key: string; text: string }> {
  const next = createEventTexts(seededRandom(7), { awkwardOneIn: 0, paddingBytes });
  const began = Date.now();
  for (let offset = 0; offset < count; offset += 1) {
    const place = { topic: 'eqiad.mediawiki.recentchange', partition: 0, offset, timestamp: began + offset };
    yield next('well-formed', place);
  }
}

/** Fills a queue with events as ingest sends them: so many in a message. */
export async function fillQueue(
  sqs: SQSClient,
  queueUrl: string,
  texts: Iterator<{ key: string; text: string }>,
  perMessage: number,
): Promise<void> {
  const messages = messagesOf(texts, perMessage);
  const most = perMessage === 1 ? ENTRIES : PACKS;
  const send = async () => {
    for (let batch = take(messages, most); batch.length > 0; batch = take(messages, most)) {
      const { Failed = [] } = await sqs.send(
        new SendMessageBatchCommand({
          QueueUrl: queueUrl,
          Entries: batch.map((message, index) => ({
            Id: String(index),
            MessageBody: message.body,
            MessageAttributes: attributeValues(message),
          })),
        }),
      );
      if (Failed.length > 0) throw new Error(`The queue refused a message: ${Failed[0]?.Message}`);
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, send));
}

function* messagesOf(
  texts: Iterator<{ key: string; text: string }>,
  perMessage: number,
): Generator<OutgoingMessage> {
  for (let events = take(texts, perMessage); events.length > 0; events = take(texts, perMessage)) {
    const [first] = events;
    if (events.length > 1) yield encodePack(events);
    else if (first) yield encodeMessage(first);
  }
}

/** The next items of an iterator, fewer where it ends. */
export function take<T>(items: Iterator<T>, count: number): T[] {
  const taken: T[] = [];
  while (taken.length < count) {
    const { done, value } = items.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}
