import { describeError, isTransient } from '../clients/aws-errors';
import { type Kept, keyOfResent, listKept, putBack, readKept, setAside } from '../lake/kept';
import { KEPT_FOLDERS, type KeptObject } from '../lake/layout';
import type { LakeStore } from '../lake/store';
import { encodeMessage, type OutgoingMessage } from '../queue/message';
import type { Queue } from '../queue/queue';
import { readPayload } from '../event/event';
import { withRecord } from '../sources/kafka/event';
import { type Context } from './context';
import { CommandError, UsageError } from './errors';
import { explainingQueue, explainingS3 } from './explain';
import { printable } from '../printable';
import { find, type LakeContext, short } from './rejected';

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
  { store, queue, say }: LakeContext & { store: ResendingStore; queue: TargetQueue },
  beginning: string | undefined,
  { all = false, reason, force = false }: ResendOptions = {},
): Promise<boolean> {
  if (all === (beginning !== undefined)) throw new UsageError('Name one digest, or give --all');
  return await explainingS3(store.lake, async () => {
    const { maximumBytes } = await explainingQueue(queue, () => queue.attributes());
    const clients = { store, queue, maximumBytes };
    if (beginning === undefined) return await sendAll(clients, reason, say);
    const kept = await find(store, beginning);
    const hindrance = await sendAgain(clients, kept, force);
    if (hindrance !== undefined) {
      throw new CommandError(printable(`${short(kept.object)} was not sent: ${hindrance}`));
    }
    say(`${short(kept.object)}: sent again`);
    return true;
  });
}

/** The part of the queue that sending again needs. */
type TargetQueue = Pick<Queue, 'name' | 'attributes' | 'sendOne'>;

/** The part of the lake's store that it needs. */
type ResendingStore = LakeContext['store'] & Pick<LakeStore, 'putIfAbsent' | 'delete'>;

interface Clients {
  store: ResendingStore;
  queue: TargetQueue;
  /** Of one message, attributes included. */
  maximumBytes: number;
}

/** Goes through all of `rejected/`, and says what is not sent and why. */
async function sendAll(clients: Clients, reason: string | undefined, say: Context['say']): Promise<boolean> {
  const { store } = clients;
  let sent = 0;
  let left = 0;
  // What is gone since it was listed, somebody else sent.
  for await (const kept of readKept(store, await listKept(store, 'rejected'))) {
    if (reason !== undefined && kept.event?.reason !== reason) continue;
    const hindrance = await sendAgain(clients, kept, false);
    if (hindrance === undefined) sent += 1;
    else {
      left += 1;
      say(printable(`${short(kept.object)}: not sent: ${hindrance}`));
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
  { store, queue, maximumBytes }: Clients,
  { object, content, event }: Kept,
  force: boolean,
): Promise<string | undefined> {
  if (!event) return 'the object is not the JSON of a rejected event';
  const read = readPayload(event.text);
  if (!read.ok) return `it would be rejected again: ${read.detail}`;
  const kept = { object, content, event };
  const text = event.record ? withRecord(event.text, event.record) : event.text;
  const message = encodeMessage({ key: keyOfResent({ digest: object.digest, time: event.time }), text });
  const { bytes } = message;
  if (bytes > maximumBytes) return `${bytes} bytes, and the queue takes ${maximumBytes} (MaximumMessageSize)`;
  if (object.kind === 'resent') {
    if (!force) return sentBefore(object);
    await sendMessage(queue, message, object);
    return undefined;
  }
  const isAside = await setAside(store, kept);
  if (!isAside) return 'it was rejected anew just now: try again';
  await sendMessage(queue, message, object, () => putBack(store, kept));
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
