import { describeError, isTransient } from '../clients/aws-errors';
import { KEPT_FOLDERS, type KeptObject } from '../lake/layout';
import { readKeptEvent, readObjects } from '../lake/reader';
import { keyOfResent, putBack, setAside } from '../lake/resend';
import { encodeMessage, type OutgoingMessage } from '../queue/message';
import type { Queue } from '../queue/queue';
import { readPayload } from '../event/event';
import { withRecord } from '../sources/kafka/event';
import { type Context, CommandError, explainingQueue, UsageError } from './context';
import { explainingS3 } from './explain-s3';
import { printable } from './printable';
import { find, type Held, keptObjects, type LakeClient, type LakeContext, short } from './rejected';

export interface ResendOptions {
  /** Every rejected event, instead of one. */
  all?: boolean;
  /** With `all`: only those rejected for it. */
  reason?: string;
  /** Whether to send one that was sent again before, too. */
  force?: boolean;
}

/**
 * `sluice rejected again`: brings rejected events to the queue once more, since they became acceptable. Whoever runs it twice,
 * or after a crash, sends the same message twice, which the lane recognises. What the lane rejects anew is back under
 * `rejected/`.
 *
 * @param beginning of the digest of one event; undefined with `all`
 * @returns whether all of them are in the queue
 * @throws CommandError when the one can't be sent, with what to do, and when S3 or SQS refuse
 */
export async function resendRejected(
  { pipeline, s3, queue, say }: LakeContext & { queue: TargetQueue },
  beginning: string | undefined,
  { all = false, reason, force = false }: ResendOptions = {},
): Promise<boolean> {
  if (all === (beginning !== undefined)) throw new UsageError('Name one digest, or give --all');
  const { lake } = pipeline;
  return await explainingS3(lake, async () => {
    const { maximumBytes } = await explainingQueue(queue, () => queue.attributes());
    const clients = { lake, s3, queue, maximumBytes };
    if (beginning === undefined) return await sendAll(clients, reason, say);
    const held = await find(clients, beginning);
    const hindrance = await sendAgain(clients, held, force);
    if (hindrance !== undefined) {
      throw new CommandError(printable(`${short(held.object)} was not sent: ${hindrance}`));
    }
    say(`${short(held.object)}: sent again`);
    return true;
  });
}

/** The part of the queue that sending again needs. */
type TargetQueue = Pick<Queue, 'name' | 'attributes' | 'sendOne'>;

interface Clients extends LakeClient {
  queue: TargetQueue;
  /** Of one message, attributes included. */
  maximumBytes: number;
}

/** Goes through all of `rejected/`, and says what is not sent and why. */
async function sendAll(clients: Clients, reason: string | undefined, say: Context['say']): Promise<boolean> {
  const objects = await keptObjects(clients, 'rejected');
  let sent = 0;
  let left = 0;
  for await (const { object, content } of readObjects(clients.s3, clients.lake.bucket, objects)) {
    // Gone since it was listed: somebody else sent it.
    if (!content) continue;
    if (reason !== undefined && readKeptEvent(content.body)?.reason !== reason) continue;
    const hindrance = await sendAgain(clients, { object, content }, false);
    if (hindrance === undefined) sent += 1;
    else {
      left += 1;
      say(printable(`${short(object)}: not sent: ${hindrance}`));
    }
  }
  say(`sent again: ${sent}; not sent: ${left}`);
  return left === 0;
}

/**
 * @returns why this event is not sent, if it is not; then nothing is changed
 * @throws CommandError when the queue takes none
 */
async function sendAgain(
  clients: Clients,
  { object, content }: Held,
  force: boolean,
): Promise<string | undefined> {
  const event = readKeptEvent(content.body);
  if (!event) return 'the object is not the JSON of a rejected event';
  const read = readPayload(event.text);
  if (!read.ok) return `it would be rejected again: ${read.detail}`;
  const rejection = { digest: object.digest, time: event.time, content };
  const text = event.record ? withRecord(event.text, event.record) : event.text;
  const message = encodeMessage({ key: keyOfResent(rejection), text });
  const { maximumBytes } = clients;
  const { bytes } = message;
  if (bytes > maximumBytes) return `${bytes} bytes, and the queue takes ${maximumBytes} (MaximumMessageSize)`;
  if (object.kind === 'resent') {
    if (!force) return sentBefore(object);
    await sendMessage(clients.queue, message, object);
    return undefined;
  }
  const isAside = await setAside(clients.s3, clients.lake, rejection);
  if (!isAside) return 'it was rejected anew just now: try again';
  await sendMessage(clients.queue, message, object, () => putBack(clients.s3, clients.lake, rejection));
  return undefined;
}

function sentBefore({ modifiedAt }: KeptObject): string {
  const time = new Date(modifiedAt).toISOString();
  return `it was sent again at ${time}. Where its row never came (\`sluice verify\`), --force sends it once more`;
}

/**
 * @param undo done when the queue certainly did not take it
 * @throws CommandError in which state the event is
 */
async function sendMessage(
  queue: TargetQueue,
  message: OutgoingMessage,
  object: KeptObject,
  undo?: () => Promise<void>,
): Promise<void> {
  try {
    await queue.sendOne(message);
  } catch (error) {
    const says = describeError(error);
    if (isTransient(error)) {
      throw new CommandError(
        `The queue ${queue.name} may have ${short(object)} or not (${says}). The event is kept under ${KEPT_FOLDERS.resent}/; ` +
          `\`sluice rejected again ${short(object)} --force\` sends it under the same key, so that two count as one`,
      );
    }
    await undo?.();
    throw new CommandError(
      `The queue ${queue.name} refused ${short(object)}, which stays where it was: ${says}`,
    );
  }
}
