import { setTimeout as delay } from 'node:timers/promises';
import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { S3Client } from '@aws-sdk/client-s3';
import { activityInfo, cancellationDetails, cancellationSignal, heartbeat, log } from '@temporalio/activity';
import { describeError, isTransient } from '../aws-errors';
import type { PipelineDefinition } from '../config';
import { keepRejected } from '../lake/rejected';
import { encodeMessage, messageBytes } from '../queue/message';
import { queueUrl } from '../queue/queue-url';
import { BatchSender } from '../queue/sender';
import { ConfirmedCursor, type Pending } from '../sources/confirmed-cursor';
import { type Cursor, newestPartition } from '../sources/cursor';
import { keyDigest, readEvent, type ReadEvent } from '../sources/event';
import { sseSource } from '../sources/sse';
import { userAgent } from '../sources/user-agent';
import { type Source, type SourceEvent, SourceRefused } from '../sources/source';
import { withHeartbeat } from './heartbeat';

interface Clients {
  sqs: Pick<SQSClient, 'send'>;
  s3: Pick<S3Client, 'send'>;
}

export interface StintInput {
  source: PipelineDefinition['source'];
  queue: string;
  lake: { bucket: string; prefix: string };
  cursor: Cursor;
  /** Milliseconds after which the stint ends. */
  longestMs: number;
  /** Events sent to the queue after which the stint ends, counted across attempts. */
  mostEvents: number;
}

/** Counted over all attempts of a stint, as far as their heartbeats arrived. */
export interface StintCounts {
  /** Events that the queue has confirmed. */
  sent: number;
  /** Events that the source sent again and that were known to be safe already. */
  repeats: number;
  canaries: number;
  rejected: number;
  reconnects: number;
}

export interface StintResult {
  cursor: Cursor;
  counts: StintCounts;
  /** `done`: time or events are used up. `cancelled`: as asked. `blocked`: a person must change something. */
  ended: 'done' | 'cancelled' | 'blocked';
  /** What blocks, to what, and what to do. */
  problem?: string;
}

/** What a heartbeat carries to the next attempt, and to the workflow when none follows. */
export interface StintProgress {
  cursor: Cursor;
  counts: StintCounts;
}

export const NO_COUNTS: StintCounts = { sent: 0, repeats: 0, canaries: 0, rejected: 0, reconnects: 0 };

const HEARTBEAT_MS = 1_000;

/** How long a cancelled stint waits for what is on its way to the queue. */
const GRACE_MS = 500;

/** So many events in a row that can't become messages mean a wrong stream, not wrong events. */
const REJECTS_IN_A_ROW = 100;

/**
 * Reads a stream from a cursor on and sends each event to the queue, for one stint. Every event is in the queue,
 * under `rejected/`, or a canary before the cursor moves over it.
 *
 * Safe to run twice, also at the same time: what is sent again is recognised by the lane's window, which holds more
 * than two stints.
 *
 * @throws CancelledFailure on worker shutdown, activity pause and reset, after a last heartbeat; a cancellation by the
 *   workflow returns instead, since the heartbeat of a cancelled activity never reaches it
 */
export async function consumeStream(
  clients: Clients,
  input: StintInput,
  openSource: typeof openSse = openSse,
): Promise<StintResult> {
  const resumed = (activityInfo().heartbeatDetails as StintProgress | undefined) ?? {
    cursor: input.cursor,
    counts: NO_COUNTS,
  };
  const stint = new Stint(clients, input, resumed);
  return await withHeartbeat({ everyMs: HEARTBEAT_MS, details: () => stint.progress() }, async (signal) => {
    const source = openSource(input.source, (detail) => stint.reconnected(detail));
    const ended = await stint.run(source, signal);
    if (
      ended.ended === 'failed' ||
      (ended.ended === 'cancelled' && !cancellationDetails()?.cancelRequested)
    ) {
      heartbeat(stint.progress());
      throw ended.ended === 'failed' ? ended.error : signal.reason;
    }
    return { ...stint.progress(), ...ended };
  });
}

function openSse({ url, contact }: StintInput['source'], onReconnect: (detail: string) => void): Source {
  return sseSource({
    url,
    userAgent: userAgent(contact),
    onReconnect: (reason, detail) => onReconnect(`${reason}: ${detail}`),
  });
}

type Ended =
  | { ended: 'done' | 'cancelled' }
  | { ended: 'blocked'; problem: string }
  | { ended: 'failed'; error: unknown };

/** Something that trying again won't mend; the message goes to a person. */
class Blocked extends Error {}

class Stint {
  readonly #clients: Clients;
  readonly #input: StintInput;
  readonly #cursor: ConfirmedCursor;
  readonly #counts: StintCounts;
  /** Ends reading. */
  readonly #stop = new AbortController();
  /** Ends sending: what is not confirmed by then is read again. */
  readonly #drop = new AbortController();
  readonly #rejecting = new Set<Promise<void>>();
  #taken: number;
  #rejectsInARow = 0;
  #failure: unknown;

  constructor(clients: Clients, input: StintInput, { cursor, counts }: StintProgress) {
    this.#clients = clients;
    this.#input = input;
    this.#cursor = new ConfirmedCursor(cursor);
    this.#counts = { ...counts };
    this.#taken = counts.sent;
  }

  progress(): StintProgress {
    return { cursor: this.#cursor.cursor(), counts: { ...this.#counts } };
  }

  reconnected(detail: string): void {
    this.#counts.reconnects += 1;
    log.info('Reconnecting to the source', { url: this.#input.source.url, detail });
  }

  async run(source: Source, signal: AbortSignal): Promise<Ended> {
    const timer = setTimeout(() => this.#stop.abort(), this.#input.longestMs);
    // A cancelled stint waits for what is on its way; one that was suspended holds only what is old.
    const wasCancelled = cancellationSignal();
    const cancelled = () => setTimeout(() => this.#drop.abort(), wasCancelled.aborted ? GRACE_MS : 0).unref();
    signal.addEventListener('abort', cancelled, { once: true });
    try {
      const sender = await this.#openQueue();
      const reading = AbortSignal.any([signal, this.#stop.signal]);
      for await (const event of source.read(() => this.#cursor.resume(), reading)) {
        await this.#take(event, sender);
        if (this.#taken >= this.#input.mostEvents || reading.aborted) break;
      }
      await sender.messages.flush();
      await Promise.all(this.#rejecting);
    } catch (error) {
      this.#fail(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancelled);
      this.#drop.abort();
    }
    if (signal.aborted) return { ended: 'cancelled' };
    return this.#failure === undefined ? { ended: 'done' } : explain(this.#failure);
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#stop.abort();
    this.#drop.abort();
  }

  async #openQueue(): Promise<OpenQueue> {
    const { sqs } = this.#clients;
    const { queue } = this.#input;
    const options = { abortSignal: this.#drop.signal };
    try {
      const url = await queueUrl(sqs, queue, options);
      const { Attributes } = await sqs.send(
        new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['MaximumMessageSize'] }),
        options,
      );
      const messages = new BatchSender({
        sqs,
        queueUrl: url,
        signal: this.#drop.signal,
        onFailure: (error) => this.#fail(blockedUnlessTransient(error, `send to the queue ${queue}`)),
      });
      return { messages, maximumBytes: Number(Attributes?.MaximumMessageSize ?? 256 * 1024) };
    } catch (error) {
      throw blockedUnlessTransient(error, `open the queue ${queue}`);
    }
  }

  async #take(event: SourceEvent, { messages, maximumBytes }: OpenQueue): Promise<void> {
    const read = readEvent(event.text);
    const digest = keyDigest(read.key);
    if (this.#cursor.knows(digest)) {
      this.#counts.repeats += 1;
      return;
    }
    const pending = this.#cursor.received(event, digest, partitionOf(event, read));
    if (!read.ok) return await this.#reject(pending, event, read.reason);
    if (read.canary) {
      this.#counts.canaries += 1;
      return this.#cursor.confirm(pending);
    }
    const message = encodeMessage(event.text, read.key);
    const bytes = messageBytes(message);
    if (bytes > maximumBytes) {
      return await this.#reject(
        pending,
        event,
        `too large: ${bytes} bytes, and the queue takes ${maximumBytes}`,
      );
    }
    this.#taken += 1;
    await messages.add(message, (outcome) => {
      if (outcome === 'sent') this.#sent(pending);
      else this.#rejectAside(pending, event, `refused by SQS: ${outcome.refused}`);
    });
  }

  #sent(pending: Pending): void {
    this.#counts.sent += 1;
    this.#rejectsInARow = 0;
    this.#cursor.confirm(pending);
  }

  #rejectAside(pending: Pending, event: SourceEvent, reason: string): void {
    const rejecting = this.#reject(pending, event, reason).finally(() => this.#rejecting.delete(rejecting));
    this.#rejecting.add(rejecting);
  }

  /** Never rejects its promise: what fails ends the stint. */
  async #reject(pending: Pending, { id, text }: SourceEvent, reason: string): Promise<void> {
    const { source, lake } = this.#input;
    const rejected = { reason, source: source.url, id, text };
    const abortSignal = this.#drop.signal;
    try {
      await untilWritten(() => keepRejected(this.#clients.s3, lake, rejected, { abortSignal }), abortSignal);
    } catch (error) {
      this.#fail(blockedUnlessTransient(error, `write a rejected event to the bucket ${lake.bucket}`));
      return;
    }
    this.#counts.rejected += 1;
    this.#cursor.confirm(pending);
    this.#rejectsInARow += 1;
    if (this.#rejectsInARow >= REJECTS_IN_A_ROW) {
      this.#fail(
        new Blocked(
          `${REJECTS_IN_A_ROW} events in a row could not become messages, the last one because it is ${reason}. ` +
            `All are under rejected/. Check that ${source.url} is the stream you mean, then resume`,
        ),
      );
    }
  }
}

interface OpenQueue {
  messages: BatchSender;
  /** The queue's MaximumMessageSize; older queues may have 256 KiB. */
  maximumBytes: number;
}

/** The partition whose rewound events hold this one; where the payload doesn't say, its id tells. */
function partitionOf({ positions = {} }: SourceEvent, read: ReadEvent): string {
  return read.ok && positions[read.partition] ? read.partition : (newestPartition(positions) ?? '');
}

async function untilWritten(write: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (let wait = 200; ; wait = Math.min(wait * 2, 10_000)) {
    try {
      return await write();
    } catch (error) {
      if (!isTransient(error)) throw error;
      log.warn('Could not keep a rejected event yet', { error: describeError(error) });
      await delay(wait, undefined, { signal });
    }
  }
}

function blockedUnlessTransient(error: unknown, doing: string): unknown {
  return isTransient(error)
    ? error
    : new Blocked(
        `Could not ${doing}: ${describeError(error)}. Mend it (\`sluice provision\` creates what is missing), then resume`,
      );
}

function explain(failure: unknown): Ended {
  const isForPeople = failure instanceof Blocked || failure instanceof SourceRefused;
  return isForPeople ? { ended: 'blocked', problem: failure.message } : { ended: 'failed', error: failure };
}
