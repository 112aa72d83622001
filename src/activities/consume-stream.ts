import { setTimeout as delay } from 'node:timers/promises';
import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { S3Client } from '@aws-sdk/client-s3';
import {
  activityInfo,
  cancellationDetails,
  cancellationSignal,
  heartbeat,
  log,
  metricMeter,
} from '@temporalio/activity';
import { describeError, isTransient } from '../aws-errors';
import type { PipelineDefinition } from '../config';
import { keepCanary, keepRejected, type Lake, type RejectReason } from '../lake/rejected';
import { meterQueue, metersOf, type Meters } from '../metrics';
import { encodeMessage, messageBytes } from '../queue/message';
import { queueUrl } from '../queue/queue-url';
import { BatchSender } from '../queue/sender';
import { type Completeness, findHoles, type Place } from '../sources/completeness';
import { ConfirmedCursor, type Pending } from '../sources/confirmed-cursor';
import { type Cursor, newestPartition } from '../sources/cursor';
import { keyDigest } from '../sources/event';
import { openSource } from '../sources/open-source';
import { NO_COUNTS, plusOne, type StintCounts } from '../sources/stint-counts';
import {
  type OnReconnect,
  type ReconnectReason,
  type Source,
  type SourceEvent,
  SourceRefused,
} from '../sources/source';
import { withHeartbeat } from './heartbeat';
import { measureQueue } from './measure-queue';

interface Clients {
  sqs: Pick<SQSClient, 'send'>;
  s3: Pick<S3Client, 'send'>;
}

export interface StintInput {
  /** Name of the pipeline, for metrics. */
  pipeline: string;
  source: PipelineDefinition['source'];
  queue: string;
  lake: Lake;
  cursor: Cursor;
  completeness: Completeness;
  /** Milliseconds after which the stint ends. */
  longestMs: number;
  /** Events sent to the queue after which the stint ends, counted across attempts. */
  mostEvents: number;
}

export interface StintResult extends StintProgress {
  /** `done`: time or events are used up. `cancelled`: as asked. `blocked`: a person must change something. */
  ended: 'done' | 'cancelled' | 'blocked';
  /** What blocks, to what, and what to do. */
  problem?: string;
  /** Whether only a person may try again. */
  isFinal?: boolean;
}

/** What a heartbeat carries to the next attempt, and to the workflow when none follows. */
export interface StintProgress {
  cursor: Cursor;
  completeness: Completeness;
  counts: StintCounts;
}

const HEARTBEAT_MS = 1_000;

/** Between looks at the queue's depth, for metrics: one request a minute. */
const MEASURE_MS = 60_000;

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
  open: (source: StintInput['source'], onReconnect: OnReconnect) => Source = openSource,
): Promise<StintResult> {
  const resumed = (activityInfo().heartbeatDetails as StintProgress | undefined) ?? {
    cursor: input.cursor,
    completeness: input.completeness,
    counts: NO_COUNTS,
  };
  const meters = metersOf(metricMeter, input.pipeline);
  const stint = new Stint(clients, input, resumed, meters);
  const details = () => {
    stint.measure();
    return stint.progress();
  };
  const work = async (signal: AbortSignal): Promise<StintResult> => {
    const source = open(input.source, (reason, detail) => stint.reconnected(reason, detail));
    const ended = await stint.run(source, signal);
    if (
      ended.ended === 'failed' ||
      (ended.ended === 'cancelled' && !cancellationDetails()?.cancelRequested)
    ) {
      heartbeat(stint.progress());
      throw ended.ended === 'failed' ? ended.error : signal.reason;
    }
    return { ...stint.progress(), ...ended };
  };
  return await withHeartbeat({ everyMs: HEARTBEAT_MS, details }, work).finally(() => meters.close());
}

type Ended =
  | { ended: 'done' | 'cancelled' }
  | { ended: 'blocked'; problem: string; isFinal?: boolean }
  | { ended: 'failed'; error: unknown };

/** Something that trying again won't mend; the message goes to a person. */
class Blocked extends Error {}

class Stint {
  readonly #clients: Clients;
  readonly #input: StintInput;
  readonly #cursor: ConfirmedCursor;
  readonly #meters: Meters;
  /** Ends reading. */
  readonly #stop = new AbortController();
  /** Ends sending: what is not confirmed by then is read again. */
  readonly #drop = new AbortController();
  readonly #keeping = new Set<Promise<void>>();
  #counts: StintCounts;
  #taken: number;
  #measuredAt = -Infinity;
  #rejectsInARow = 0;
  #failure: unknown;

  constructor(
    clients: Clients,
    input: StintInput,
    { cursor, completeness, counts }: StintProgress,
    meters: Meters,
  ) {
    this.#clients = clients;
    this.#input = input;
    this.#cursor = new ConfirmedCursor(cursor, completeness);
    this.#meters = meters;
    this.#counts = counts;
    this.#taken = counts.sent;
  }

  progress(): StintProgress {
    return {
      // First what people read: this is the heartbeat in the web UI.
      counts: this.#counts,
      completeness: this.#cursor.completeness,
      cursor: this.#cursor.cursor(),
    };
  }

  reconnected(reason: ReconnectReason, detail: string): void {
    this.#counts = { ...this.#counts, reconnects: plusOne(this.#counts.reconnects, reason) };
    this.#meters.reconnects(1, { reason });
    log.info('Reconnecting to the source', { url: this.#input.source.url, reason, detail });
  }

  /** Sets the metrics that are read off, rather than counted. */
  measure(): void {
    const { time } = this.#cursor;
    if (time !== undefined) this.#meters.lag(Math.max(0, Date.now() - time) / 1_000);
    for (const { partition, offsets, since } of findHoles(this.#cursor.completeness).partitions) {
      this.#meters.holes(offsets, { partition });
      this.#meters.holeAge(since === undefined ? 0 : (Date.now() - Date.parse(since)) / 1_000, { partition });
    }
    if (performance.now() - this.#measuredAt < MEASURE_MS) return;
    this.#measuredAt = performance.now();
    void this.#measureQueue();
  }

  /** A depth that can't be had is no reason to end a stint. */
  async #measureQueue(): Promise<void> {
    try {
      meterQueue(this.#meters, await measureQueue(this.#clients.sqs, this.#input.queue));
    } catch (error) {
      log.debug('The queue was not measured', { error: describeError(error) });
    }
  }

  async run(source: Source, signal: AbortSignal): Promise<Ended> {
    const timer = setTimeout(() => this.#stop.abort(), this.#input.longestMs);
    // A cancelled stint waits for what is on its way; one that was suspended holds only what is old.
    const wasCancelled = cancellationSignal();
    const cancelled = () => setTimeout(() => this.#drop.abort(), wasCancelled.aborted ? GRACE_MS : 0).unref();
    signal.addEventListener('abort', cancelled, { once: true });
    try {
      const sender = await this.#openQueue();
      this.measure();
      const reading = AbortSignal.any([signal, this.#stop.signal]);
      for await (const event of source.read(() => this.#cursor.resume(), reading)) {
        if ('mark' in event) this.#cursor.mark(event.mark);
        else await this.#take(event, sender);
        if (this.#taken >= this.#input.mostEvents || reading.aborted) break;
      }
      await sender.messages.flush();
      await Promise.all(this.#keeping);
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
        onUnconfirmed: (count) => this.#meters.eventsFailed(count),
        onFailure: (error) => this.#fail(blockedUnlessTransient(error, `send to the queue ${queue}`)),
      });
      return { messages, maximumBytes: Number(Attributes?.MaximumMessageSize ?? 256 * 1024) };
    } catch (error) {
      throw blockedUnlessTransient(error, `open the queue ${queue}`);
    }
  }

  async #take(event: SourceEvent, { messages, maximumBytes }: OpenQueue): Promise<void> {
    this.#meters.eventsReceived(1);
    const { read } = event;
    const digest = keyDigest(read.key);
    if (this.#cursor.knows(digest)) {
      this.#counts = { ...this.#counts, repeats: this.#counts.repeats + 1 };
      this.#meters.eventsRepeated(1);
      this.#passRepeat(event, digest);
      return;
    }
    const pending = this.#cursor.received(event, digest, placeOf(event));
    if (!read.ok) return await this.#reject(pending, event, read);
    if (read.canary) return await this.#passCanary(pending, event);
    const message = encodeMessage(event.body ?? event.text, read.key);
    const bytes = messageBytes(message);
    if (bytes > maximumBytes) {
      const detail = `${bytes} bytes, and the queue takes ${maximumBytes}`;
      return await this.#reject(pending, event, { reason: 'message-too-large', detail });
    }
    this.#taken += 1;
    await messages.add(message, (outcome) => {
      if (outcome === 'sent') this.#sent(pending);
      else this.#rejectAside(pending, event, { reason: 'refused-by-sqs', detail: outcome.refused });
    });
  }

  /**
   * A source that never goes back while it is read repeats an event at a place of its own: passed over, once what came before it is
   * safe, or it would be read again from here on. One that rewinds sends again what has its place already.
   */
  #passRepeat(event: SourceEvent, digest: string): void {
    if (event.read.from !== undefined)
      this.#cursor.confirm(this.#cursor.received(event, digest, placeOf(event)));
  }

  #sent(pending: Pending): void {
    this.#counts = { ...this.#counts, sent: this.#counts.sent + 1 };
    this.#meters.eventsSent(1);
    this.#rejectsInARow = 0;
    this.#cursor.confirm(pending);
  }

  async #passCanary(pending: Pending, { id, text }: SourceEvent): Promise<void> {
    const { source } = this.#input;
    const isKept = await this.#keep('a canary event', (options) =>
      keepCanary(this.#clients.s3, this.#input.lake, { source: source.url, id, text }, options),
    );
    if (!isKept) return;
    this.#counts = { ...this.#counts, canaries: this.#counts.canaries + 1 };
    this.#meters.canaries(1);
    this.#cursor.confirm(pending);
  }

  #rejectAside(pending: Pending, event: SourceEvent, why: Why): void {
    const rejecting = this.#reject(pending, event, why).finally(() => this.#keeping.delete(rejecting));
    this.#keeping.add(rejecting);
  }

  /** Never rejects its promise: what fails ends the stint. */
  async #reject(pending: Pending, { id, text, record }: SourceEvent, { reason, detail }: Why): Promise<void> {
    const { source, lake } = this.#input;
    const rejected = { reason, detail, source: source.url, id, text, record };
    const isKept = await this.#keep('a rejected event', (options) =>
      keepRejected(this.#clients.s3, lake, rejected, options),
    );
    if (!isKept) return;
    this.#counts = { ...this.#counts, rejected: plusOne(this.#counts.rejected, reason) };
    this.#meters.eventsRejected(1, { reason });
    this.#cursor.confirm(pending);
    this.#rejectsInARow += 1;
    if (this.#rejectsInARow >= REJECTS_IN_A_ROW) {
      this.#fail(
        new Blocked(
          `${REJECTS_IN_A_ROW} events in a row could not become messages, the last one for ${reason} (${detail}). ` +
            `All are under rejected/. Check that ${source.url} is the stream you mean, then resume`,
        ),
      );
    }
  }

  /** @returns whether the object was written; if it can't be, the stint ends */
  async #keep(
    what: string,
    write: (options: { abortSignal: AbortSignal }) => Promise<void>,
  ): Promise<boolean> {
    const abortSignal = this.#drop.signal;
    try {
      await untilWritten(what, () => write({ abortSignal }), abortSignal);
      return true;
    } catch (error) {
      this.#fail(blockedUnlessTransient(error, `write ${what} to the bucket ${this.#input.lake.bucket}`));
      return false;
    }
  }
}

/** Why an event is rejected. */
interface Why {
  reason: RejectReason;
  detail: string;
}

interface OpenQueue {
  messages: BatchSender;
  /** The queue's MaximumMessageSize; older queues may have 256 KiB. */
  maximumBytes: number;
}

/** The partition whose rewound events hold this one; where the payload doesn't say, its id tells. */
function placeOf({ positions = {}, read }: SourceEvent): Place {
  if (positions[read.partition]) return read;
  return { partition: newestPartition(positions) ?? '', offset: undefined };
}

async function untilWritten(what: string, write: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (let wait = 200; ; wait = Math.min(wait * 2, 10_000)) {
    try {
      return await write();
    } catch (error) {
      if (!isTransient(error)) throw error;
      log.warn(`Could not write ${what} yet`, { error: describeError(error) });
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
  if (!isForPeople) return { ended: 'failed', error: failure };
  const isFinal = failure instanceof SourceRefused && failure.isFinal;
  return { ended: 'blocked', problem: failure.message, ...(isFinal ? { isFinal } : {}) };
}
