import { setTimeout as delay } from 'node:timers/promises';
import { Context, heartbeat, log, metricMeter } from '@temporalio/activity';
import { type Backoff, backoffMs } from '../backoff';
import { describeError, isTransient } from '../clients/aws-errors';
import type { PipelineDefinition } from '../pipeline/definition';
import { keepGap } from '../lake/gap-objects';
import { keepCanary, keepRejected } from '../lake/kept';
import { KEPT_FOLDERS } from '../lake/layout';
import type { LakeStore } from '../lake/store';
import { type Lake } from '../pipeline/definition';
import { type RejectReason } from '../event/event';
import type { Place } from '../event/place';
import { meterQueue, metersOf, type Meters } from '../metrics';
import { encodeMessage } from '../queue/message';
import type { Queue } from '../queue/queue';
import { BatchSender } from '../queue/sender';
import { type Completeness, findHoles } from '../sources/completeness';
import { ConfirmedCursor, type Pending } from '../sources/confirmed-cursor';
import { type Cursor, newestPartition } from '../sources/cursor';
import { keyDigest } from '../event/key';
import { connected, type Gap, type Gaps, judged, keptGap } from '../sources/gaps';
import { openSource } from '../sources/open-source';
import { NO_COUNTS, plusOne, type StintCounts } from '../sources/stint-counts';
import {
  type ReconnectReason,
  type Source,
  type SourceEvent,
  type SourceListener,
  SourceRefused,
} from '../sources/source';
import { withHeartbeat } from './heartbeat';
import { type Acknowledge, acknowledgedHeartbeat, Lease } from './lease';
import { measureQueue } from './measure-queue';
import { type NamedQueue, whyAnotherQueue } from './own-queue';

interface Clients {
  queue: NamedQueue & Pick<Queue, 'attributes' | 'send' | 'depth' | 'clock'>;
  store: Pick<LakeStore, 'lake' | 'putIfAbsent'>;
}

export interface StintInput {
  /** Name of the pipeline, for metrics. */
  pipeline: string;
  source: PipelineDefinition['source'];
  queue: string;
  /** Workflow id of the lane that reads the queue: no other queue of that name may get the events. */
  lane: string;
  lake: Lake;
  cursor: Cursor;
  completeness: Completeness;
  gaps: Gaps;
  /** Milliseconds after which the stint ends, if the next one can go on behind it. */
  longestMs: number;
  /** Events sent to the queue after which the stint ends, if the next one can go on behind it. Counted across attempts. */
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
  gaps: Gaps;
}

/** Where Temporal names none. */
const HEARTBEAT_TIMEOUT_MS = 15_000;

/** Confirmed events after which a heartbeat does not wait for its time. */
const CONFIRMED_PER_BEAT = 500;

/** Between looks at the queue's depth, for metrics: one request a minute. */
const MEASURE_MS = 60_000;

/** How long a stint that is to end waits for events on their way to the queue, in milliseconds. */
const GRACE_MS = 500;

/**
 * The same where nothing brings it again: when the workflow asks, and when the worker shuts down. A worker has eight seconds for that
 * (src/workers/workers.ts).
 */
const LAST_GRACE_MS = 60_000;
const LAST_GRACE_OF_WORKER_MS = 6_000;

/** Between tries to write to the lake. */
const KEEP_BACKOFF: Backoff = { first: 200, most: 10_000 };

/** So many events in a row that can't become messages mean a wrong stream, not wrong events. */
const REJECTS_IN_A_ROW = 100;

/**
 * Reads a stream from a cursor on and sends each event to the queue, for one stint. Every event is in the queue,
 * under `rejected/`, or a canary before the cursor moves over it.
 *
 * Safe to run twice, also at the same time: it sends only under a {@link Lease}, and what is sent again is recognised by the lane's
 * window, which holds more than two stints.
 *
 * A stream that can't be resumed loses what it publishes while nobody listens. So only who asks for it ends its stint, and all
 * that was received is sent before it ends.
 *
 * @throws CancelledFailure on worker shutdown, activity pause and reset, after a last heartbeat; a cancellation by the
 *   workflow returns instead, since the heartbeat of a cancelled activity never reaches it
 */
export async function consumeStream(
  clients: Clients,
  input: StintInput,
  {
    open = openSource,
    acknowledge = acknowledgedHeartbeat,
  }: {
    open?: (source: StintInput['source'], listener: SourceListener) => Source;
    acknowledge?: Acknowledge;
  } = {},
): Promise<StintResult> {
  const { cursor, completeness, gaps } = input;
  const context = Context.current();
  const { heartbeatDetails, heartbeatTimeoutMs, startToCloseTimeoutMs } = context.info;
  const resumed = (heartbeatDetails as StintProgress | undefined) ?? {
    cursor,
    completeness,
    counts: NO_COUNTS,
    gaps,
  };
  const meters = metersOf(metricMeter, input.pipeline);
  /** What Temporal knows: older details, sent by other means, must not take the place of newer ones. */
  let told: unknown = resumed;
  const lease = new Lease({
    acknowledge,
    details: () => {
      stint.measure();
      return stint.progress();
    },
    onAcknowledged: (details) => (told = details),
    heartbeatTimeoutMs: heartbeatTimeoutMs ?? HEARTBEAT_TIMEOUT_MS,
    lastsMs: startToCloseTimeoutMs,
  });
  const stint = new Stint(clients, input, resumed, { meters, lease, context });
  const work = async (cancelled: AbortSignal): Promise<StintResult> => {
    const signal = AbortSignal.any([cancelled, lease.ended]);
    const ended = await stint.run(open(input.source, stint), signal);
    const isAsked = lease.isCancelled || context.cancellationDetails?.cancelRequested === true;
    if (ended.ended === 'failed' || (ended.ended === 'cancelled' && !isAsked)) {
      if (!lease.isSuperseded) heartbeat(stint.progress());
      throw ended.ended === 'failed' ? ended.error : signal.reason;
    }
    return { ...stint.progress(), ...ended };
  };
  const kept = lease.keep();
  try {
    return await withHeartbeat({ everyMs: lease.beatMs, details: () => told }, work);
  } finally {
    lease.close();
    await kept;
    meters.close();
  }
}

type Ended =
  | { ended: 'done' | 'cancelled' }
  | { ended: 'blocked'; problem: string; isFinal?: boolean }
  | { ended: 'failed'; error: unknown };

/** Something that trying again won't mend; the message goes to a person. */
class Blocked extends Error {}

class Stint implements SourceListener {
  readonly #clients: Clients;
  readonly #input: StintInput;
  readonly #cursor: ConfirmedCursor;
  readonly #meters: Meters;
  readonly #lease: Lease;
  readonly #context: Pick<Context, 'cancellationSignal' | 'cancellationDetails'>;
  /** Ends reading. */
  readonly #stop = new AbortController();
  /** Ends sending: the next attempt reads again the events that are not confirmed by then. */
  readonly #drop = new AbortController();
  readonly #keeping = new Set<Promise<void>>();
  #counts: StintCounts;
  #gaps: Gaps;
  /** When something last came over the connection, in epoch milliseconds. */
  #heardAt: number | undefined;
  /** Events that came too late to be sent. */
  #unsent = 0;
  #unheard = 0;
  /** Where this attempt began to read. */
  readonly #beginning: string;
  readonly #takenBefore: number;
  #taken: number;
  #measuredAt = -Infinity;
  readonly #gapsBeingKept = new Set<Gap>();
  #isOver = false;
  #rejectsInARow = 0;
  #failure: unknown;

  constructor(
    clients: Clients,
    input: StintInput,
    { cursor, completeness, counts, gaps }: StintProgress,
    { meters, lease, context }: { meters: Meters; lease: Lease; context: Context },
  ) {
    this.#clients = clients;
    this.#input = input;
    // By that of this machine, which may be hours behind, the cursor would not move.
    this.#cursor = new ConfirmedCursor(cursor, completeness, () => clients.queue.clock.now());
    this.#meters = meters;
    this.#lease = lease;
    this.#context = context;
    this.#counts = counts;
    this.#gaps = gaps;
    this.#beginning = placeIn(cursor);
    this.#takenBefore = counts.sent;
    this.#taken = counts.sent;
  }

  progress(): StintProgress {
    return {
      // First what people read: this is the heartbeat in the web UI.
      counts: this.#counts,
      gaps: this.#safeGaps(),
      completeness: this.#cursor.completeness,
      cursor: this.#cursor.cursor(),
    };
  }

  /** Every event before the oldest one that is not confirmed is safe. */
  #safeGaps(): Gaps {
    const safeUntil = this.#cursor.oldestPending ?? this.#heardAt;
    return safeUntil === undefined ? this.#gaps : { ...this.#gaps, safeUntil };
  }

  onConnected(isResumed: boolean | undefined): void {
    const now = Date.now();
    const before = this.#gaps.count;
    // Only events of earlier connections are meant: this attempt sends those that it has received.
    const heard = this.#heardAt === undefined ? {} : { safeUntil: this.#heardAt };
    this.#gaps = connected({ ...this.#gaps, ...heard }, isResumed, now);
    this.#heardAt = now;
    this.#tellOfGaps(before);
  }

  onHeard(): void {
    this.#heardAt = Date.now();
  }

  onError(text: string): void {
    this.#counts = { ...this.#counts, errors: this.#counts.errors + 1 };
    this.#meters.sourceErrors(1);
    log.warn('The source sent an error', { url: this.#input.source.url, error: text });
  }

  #tellOfGaps(before: number): void {
    if (this.#gaps.count === before) return;
    this.#meters.gaps(this.#gaps.count - before);
    const { url } = this.#input.source;
    log.warn('The source was not listened to, and can not be resumed', {
      url,
      gap: this.#gaps.recent.at(-1),
    });
    this.#keepGaps();
  }

  /** An object in the lake tells of each gap, for whoever checks the lake. */
  #keepGaps(): void {
    for (const gap of this.#gaps.unkept) {
      if (this.#gapsBeingKept.has(gap)) continue;
      this.#gapsBeingKept.add(gap);
      const keeping = this.#keepGap(gap).finally(() => this.#keeping.delete(keeping));
      this.#keeping.add(keeping);
    }
  }

  async #keepGap(gap: Gap): Promise<void> {
    const { source } = this.#input;
    const isKept = await this.#keep('a gap', (options) =>
      keepGap(this.#clients.store, { source: source.url, ...gap }, options),
    );
    if (isKept) this.#gaps = keptGap(this.#gaps, gap);
  }

  onReconnect(reason: ReconnectReason, detail: string): void {
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
      meterQueue(this.#meters, await measureQueue(this.#clients.queue));
    } catch (error) {
      log.debug('The queue was not measured', { error: describeError(error) });
    }
  }

  async run(source: Source, signal: AbortSignal): Promise<Ended> {
    const timer = setTimeout(() => {
      this.#isOver = true;
      if (this.#mayEnd()) this.#stop.abort();
    }, this.#input.longestMs);
    const dropLater = () => setTimeout(() => this.#drop.abort(), this.#graceMs()).unref();
    signal.addEventListener('abort', dropLater, { once: true });
    try {
      const sender = await this.#openQueue();
      this.measure();
      this.#keepGaps();
      await this.#read(source, sender, AbortSignal.any([signal, this.#stop.signal]));
      await sender.messages.flush();
      await Promise.all(this.#keeping);
    } catch (error) {
      this.#fail(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', dropLater);
      this.#drop.abort();
      this.#countDropped();
    }
    if (signal.aborted) return { ended: 'cancelled' };
    return this.#failure === undefined ? { ended: 'done' } : explain(this.#failure);
  }

  async #read(source: Source, sender: OpenQueue, reading: AbortSignal): Promise<void> {
    try {
      for await (const event of source.read(() => this.#cursor.resume(), reading)) {
        if ('mark' in event) this.#cursor.mark(event.mark);
        else await this.#sendEvent(event, sender);
        const isEnough = this.#isOver || this.#taken >= this.#input.mostEvents;
        // A source that can't be resumed ends by itself, once it has given all that it holds.
        if ((isEnough && this.#mayEnd()) || (reading.aborted && this.#cursor.canResume === true)) break;
      }
    } catch (error) {
      if (this.#cursor.canResume !== false) throw error;
      // The events that it gave before are sent.
      this.#failure ??= error;
    }
  }

  /** Whether another stint goes on behind this one: else it would read the same once more, or miss something. */
  #mayEnd(): boolean {
    if (this.#cursor.canResume !== true) return false;
    return this.#taken === this.#takenBefore || placeIn(this.#cursor.cursor()) !== this.#beginning;
  }

  /** How long to wait for events on their way. A process that was stopped, or an attempt beside another, holds only old ones. */
  #graceMs(): number {
    const { cancellationSignal, cancellationDetails } = this.#context;
    const isOld = !this.#lease.ended.aborted && !cancellationSignal.aborted;
    if (isOld || this.#lease.isSuperseded) return 0;
    if (this.#cursor.canResume !== false) return GRACE_MS;
    const isAsked = this.#lease.isCancelled || cancellationDetails?.cancelRequested === true;
    return isAsked ? LAST_GRACE_MS : LAST_GRACE_OF_WORKER_MS;
  }

  /** An event that the source will send again is not lost. The attempt that took over tells of those that this one still held. */
  #countDropped(): void {
    const dropped = this.#cursor.pending + this.#unsent;
    if (this.#cursor.canResume !== false || dropped === 0 || this.#lease.isSuperseded) return;
    this.#gaps = { ...this.#gaps, dropped: this.#gaps.dropped + dropped };
    this.#meters.eventsDropped(dropped);
    log.warn('Events were received and not sent', { url: this.#input.source.url, dropped });
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#stop.abort();
    this.#drop.abort();
  }

  /** Ends reading. Events that were read before are still sent. */
  #endWith(error: unknown): void {
    if (this.#cursor.canResume !== false) return this.#fail(error);
    this.#failure ??= error;
    this.#stop.abort();
  }

  async #openQueue(): Promise<OpenQueue> {
    const { queue } = this.#clients;
    try {
      const { arn, maximumBytes } = await queue.attributes({ abortSignal: this.#drop.signal });
      const problem = whyAnotherQueue(queue.name, arn, this.#input.lane);
      if (problem !== undefined) throw new Blocked(problem);
      const messages = new BatchSender({
        queue,
        signal: this.#drop.signal,
        mayBegin: (signal) => this.#lease.held(signal),
        onUnconfirmed: (count) => this.#meters.eventsFailed(count),
        onFailure: (error) => this.#fail(blockedUnlessTransient(error, `send to the queue ${queue.name}`)),
      });
      return { messages, maximumBytes };
    } catch (error) {
      if (error instanceof Blocked) throw error;
      throw blockedUnlessTransient(error, `open the queue ${queue.name}`);
    }
  }

  /** Brings an event to the queue, or where it belongs instead. */
  async #sendEvent(event: SourceEvent, { messages, maximumBytes }: OpenQueue): Promise<void> {
    this.#meters.eventsReceived(1);
    const { read } = event;
    const digest = keyDigest(read.key);
    if (this.#cursor.knows(digest)) {
      this.#countRepeat(event, digest);
      this.#passRepeat(event, digest);
      return;
    }
    if (this.#drop.signal.aborted) {
      this.#unsent += 1;
      return;
    }
    const pending = this.#cursor.received(event, digest, placeInCursor(event));
    this.#judgeGaps();
    if (!read.ok) return await this.#reject(pending, event, read);
    if (read.isCanary) return await this.#passCanary(pending, event);
    const message = encodeMessage({ key: read.key, text: event.body ?? event.text });
    const { bytes } = message;
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

  #countRepeat({ id, idInForce }: SourceEvent, digest: string): void {
    this.#counts = { ...this.#counts, repeats: this.#counts.repeats + 1 };
    this.#meters.eventsRepeated(1);
    // Where payloads have their key, an event with a known one may well be new.
    if (this.#input.source.key !== undefined || !this.#cursor.isBehind(digest, idInForce)) return;
    const { behind, firstBehind = id } = this.#counts;
    this.#counts = { ...this.#counts, behind: behind + 1, firstBehind };
  }

  /** The first event tells whether what was no connection before it was a gap. */
  #judgeGaps(): void {
    if (this.#gaps.unjudged.length === 0 || this.#cursor.canResume === undefined) return;
    const before = this.#gaps.count;
    this.#gaps = judged(this.#gaps, this.#cursor.canResume);
    this.#tellOfGaps(before);
  }

  /**
   * A source that never goes back while it is read repeats an event at a place of its own: passed over, once what came before it is
   * safe, or it would be read again from here on. One that rewinds sends again what has its place already.
   */
  #passRepeat(event: SourceEvent, digest: string): void {
    if (event.read.from !== undefined)
      this.#cursor.confirm(this.#cursor.received(event, digest, placeInCursor(event)));
  }

  #sent(pending: Pending): void {
    this.#counts = { ...this.#counts, sent: this.#counts.sent + 1 };
    this.#meters.eventsSent(1);
    this.#rejectsInARow = 0;
    this.#confirm(pending);
  }

  #confirm(pending: Pending): void {
    this.#cursor.confirm(pending);
    this.#unheard += 1;
    if (this.#unheard < CONFIRMED_PER_BEAT) return;
    this.#unheard = 0;
    this.#lease.beat();
  }

  async #passCanary(pending: Pending, { id, text, read: { key } }: SourceEvent): Promise<void> {
    const { source } = this.#input;
    const isKept = await this.#keep('a canary event', (options) =>
      keepCanary(this.#clients.store, { source: source.url, id, key, text }, options),
    );
    if (!isKept) return;
    this.#counts = { ...this.#counts, canaries: this.#counts.canaries + 1 };
    this.#meters.canaries(1);
    this.#confirm(pending);
  }

  #rejectAside(pending: Pending, event: SourceEvent, why: Why): void {
    const rejecting = this.#reject(pending, event, why).finally(() => this.#keeping.delete(rejecting));
    this.#keeping.add(rejecting);
  }

  /** Never rejects its promise: a failure ends the stint. */
  async #reject(pending: Pending, event: SourceEvent, { reason, detail }: Why): Promise<void> {
    const { source } = this.#input;
    const { id, text, record, read } = event;
    const rejected = { reason, detail, source: source.url, id, key: read.key, text, record };
    const isKept = await this.#keep('a rejected event', (options) =>
      keepRejected(this.#clients.store, rejected, options),
    );
    if (!isKept) return;
    this.#counts = { ...this.#counts, rejected: plusOne(this.#counts.rejected, reason) };
    this.#meters.eventsRejected(1, { reason });
    this.#confirm(pending);
    this.#rejectsInARow += 1;
    if (this.#rejectsInARow >= REJECTS_IN_A_ROW) {
      this.#endWith(
        new Blocked(
          `${REJECTS_IN_A_ROW} events in a row could not become messages, the last one for ${reason} (${detail}). ` +
            `All are under ${KEPT_FOLDERS.rejected}/. Check that ${source.url} is the stream you mean, then resume`,
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
      const writeOnce = async () => {
        await write({ abortSignal: await this.#lease.held(abortSignal) });
      };
      await untilWritten(what, writeOnce, abortSignal);
      return true;
    } catch (error) {
      this.#fail(blockedUnlessTransient(error, `write ${what} to the bucket ${this.#input.lake.bucket}`));
      return false;
    }
  }
}

/** Where a cursor stands, so that two can be told apart. */
function placeIn({ positions, lastEventId }: Cursor): string {
  return JSON.stringify([positions, lastEventId]);
}

/** Why an event is rejected. */
interface Why {
  reason: RejectReason;
  detail: string;
}

interface OpenQueue {
  messages: BatchSender;
  /** The most that a message may have. */
  maximumBytes: number;
}

/** The partition whose rewound events hold this one; where the payload doesn't say, its id tells. */
function placeInCursor({ positions = {}, read }: SourceEvent): Place {
  if (positions[read.partition]) return read;
  return { partition: newestPartition(positions) ?? '', offset: undefined };
}

async function untilWritten(what: string, write: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await write();
    } catch (error) {
      if (!isTransient(error)) throw error;
      log.warn(`Could not write ${what} yet`, { error: describeError(error) });
      await delay(backoffMs(failures, KEEP_BACKOFF), undefined, { signal });
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
