import { type Context, log } from '@temporalio/activity';
import { describeError } from '../../clients/aws-errors';
import { keyDigest } from '../../event/key';
import type { Place } from '../../event/place';
import { KEPT_FOLDERS } from '../../lake/layout';
import type { LakeStore } from '../../lake/store';
import { meterQueue, type Meters } from '../../metrics';
import type { Lake, PipelineDefinition } from '../../pipeline/definition';
import type { Queue } from '../../queue/queue';
import { Packer } from '../../queue/packer';
import { BatchSender } from '../../queue/sender';
import { type Completeness, findHoles } from '../../sources/completeness';
import { ConfirmedCursor, type Pending } from '../../sources/confirmed-cursor';
import { type Cursor, newestPartition } from '../../sources/cursor';
import type { Gaps } from '../../sources/gaps';
import type { ReconnectReason, Source, SourceEvent, SourceListener } from '../../sources/source';
import { plusOne, type StintCounts } from '../../sources/stint-counts';
import type { Lease } from '../lease';
import { measureQueue } from '../measure-queue';
import { type NamedQueue, whyAnotherQueue } from '../own-queue';
import { Bound } from './bound';
import { Blocked, blockedUnlessTransient, type Ended, explain } from './ended';
import { GapBook } from './gap-book';
import { judge, type Why } from './judge';
import { Keeper } from './keeper';

/** What a stint needs of the queue and of the lake. */
export interface StintClients {
  queue: NamedQueue & Pick<Queue, 'attributes' | 'send' | 'depth' | 'clock'>;
  store: Pick<LakeStore, 'lake' | 'putIfAbsent' | 'replace'>;
}

export interface StintInput {
  /** Name of the pipeline, for metrics. */
  pipeline: string;
  source: PipelineDefinition['source'];
  queue: string;
  /** Events of one message at most, 1 to 100. */
  packEvents: number;
  /** Workflow id of the lane that reads the queue: no other queue of that name may get the events. */
  lane: string;
  lake: Lake;
  cursor: Cursor;
  completeness: Completeness;
  gaps: Gaps;
  /** Milliseconds after which the stint ends, if the next one can go on behind it. */
  longestMs: number;
  /** Events received beyond the cursor of the last heartbeat that Temporal has taken, at most: see {@link Bound}. */
  mostUnacknowledged: number;
}

/** What a heartbeat carries to the workflow, and what a stint returns. */
export interface StintProgress {
  cursor: Cursor;
  completeness: Completeness;
  counts: StintCounts;
  gaps: Gaps;
}

/** For how long a request waits for a second pack, in milliseconds. */
const PACK_LINGER_MS = 50;

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

/** So many events in a row that can't become messages mean a wrong stream, not wrong events. */
const REJECTS_IN_A_ROW = 100;

const PAUSED =
  'Its activity was paused in Temporal. `sluice resume` goes on; `sluice pause` is how to pause a pipeline';

/** A stint: reads events, brings each where it belongs, and moves the cursor over what is safe. */
export class Stint implements SourceListener {
  readonly #clients: StintClients;
  readonly #input: StintInput;
  readonly #cursor: ConfirmedCursor;
  readonly #meters: Meters;
  readonly #lease: Lease;
  readonly #context: Pick<Context, 'cancellationSignal' | 'cancellationDetails'>;
  /** Ends reading. */
  readonly #stop = new AbortController();
  /** Ends sending: the next attempt reads again the events that are not confirmed by then. */
  readonly #drop = new AbortController();
  readonly #bound: Bound;
  readonly #keeper: Keeper;
  readonly #gaps: GapBook;
  #counts: StintCounts;
  /** Events that came too late to be sent. */
  #unsent = 0;
  /** Where it began to read. */
  readonly #beginning: string;
  /** Events that went to the queue. */
  #taken = 0;
  #measuredAt = -Infinity;
  #isOver = false;
  #rejectsInARow = 0;
  #failure: unknown;

  constructor(
    clients: StintClients,
    input: StintInput,
    { cursor, completeness, counts, gaps }: StintProgress,
    { meters, lease, context }: { meters: Meters; lease: Lease; context: Context },
  ) {
    const { url } = input.source;
    this.#clients = clients;
    this.#input = input;
    // By that of this machine, which may be hours behind, the cursor would not move.
    this.#cursor = new ConfirmedCursor(cursor, completeness, () => clients.queue.clock.now());
    this.#meters = meters;
    this.#lease = lease;
    this.#context = context;
    this.#bound = new Bound({
      most: input.mostUnacknowledged,
      cursor: this.#cursor,
      beat: () => lease.beat(),
    });
    this.#keeper = new Keeper({
      store: clients.store,
      source: url,
      mayBegin: (signal) => lease.held(signal),
      signal: this.#drop.signal,
      onFailure: (error) => this.#fail(error),
    });
    this.#gaps = new GapBook(gaps, { url, keeper: this.#keeper, meters });
    this.#counts = counts;
    this.#beginning = placeIn(cursor);
  }

  progress(): StintProgress {
    return {
      // First what people read: this is the heartbeat in the web UI.
      counts: this.#counts,
      // Every event before the oldest one that is not confirmed is safe.
      gaps: this.#gaps.told(this.#cursor.oldestPending),
      completeness: this.#cursor.completeness,
      cursor: this.#cursor.cursor(),
    };
  }

  /** What a heartbeat tells that is made now. */
  tell(): StintProgress {
    this.#measure();
    this.#bound.tell();
    return this.progress();
  }

  /** Temporal has taken what was told last. */
  acknowledged(): void {
    this.#bound.acknowledged();
  }

  onConnected(isResumed: boolean | undefined): void {
    this.#gaps.connected(isResumed);
  }

  onHeard(): void {
    this.#gaps.heard();
  }

  onError(text: string): void {
    this.#counts = { ...this.#counts, errors: this.#counts.errors + 1 };
    this.#meters.sourceErrors(1);
    log.warn('The source sent an error', { url: this.#input.source.url, error: text });
  }

  onReconnect(reason: ReconnectReason, detail: string): void {
    this.#counts = { ...this.#counts, reconnects: plusOne(this.#counts.reconnects, reason) };
    this.#meters.reconnects(1, { reason });
    log.info('Reconnecting to the source', { url: this.#input.source.url, reason, detail });
  }

  /** Sets the metrics that are read off, rather than counted. */
  #measure(): void {
    const { time } = this.#cursor;
    if (time !== undefined) this.#meters.lag((Date.now() - time) / 1_000);
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
      this.#measure();
      this.#gaps.keepAll();
      await this.#read(source, sender, AbortSignal.any([signal, this.#stop.signal]));
      await sender.events.flush();
      await this.#keeper.settled();
    } catch (error) {
      this.#fail(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', dropLater);
      this.#drop.abort();
      this.#countDropped();
    }
    if (signal.aborted) return this.#whyAborted();
    return this.#failure === undefined ? { ended: 'done' } : explain(this.#failure);
  }

  #whyAborted(): Ended {
    if (this.#isAsked) return { ended: 'cancelled' };
    const isPaused = this.#lease.isPaused || this.#context.cancellationDetails?.paused === true;
    return isPaused ? { ended: 'blocked', problem: PAUSED, isFinal: true } : { ended: 'interrupted' };
  }

  /** Whether the workflow asks it to end. */
  get #isAsked(): boolean {
    return this.#lease.isCancelled || this.#context.cancellationDetails?.cancelRequested === true;
  }

  async #read(source: Source, sender: OpenQueue, reading: AbortSignal): Promise<void> {
    try {
      for await (const event of source.read(() => this.#cursor.resume(), reading)) {
        if ('mark' in event) this.#cursor.mark(event.mark, event.place);
        else await this.#receive(event, sender, reading);
        if ((this.#isOver && this.#mayEnd()) || this.#isAtEnd(reading)) break;
      }
    } catch (error) {
      if (this.#cursor.canResume !== false) throw error;
      // The events that it gave before are sent.
      this.#failure ??= error;
    }
  }

  async #receive(event: SourceEvent, sender: OpenQueue, reading: AbortSignal): Promise<void> {
    if (event.resumedFrom) this.#cursor.reading(event.resumedFrom);
    if (await this.#mayReceive(reading)) await this.#sendEvent(event, sender);
  }

  /** Waits for room. Of a source that can't be resumed nothing comes again. */
  async #mayReceive(reading: AbortSignal): Promise<boolean> {
    if (this.#cursor.canResume === false) return true;
    await this.#bound.room(reading);
    return !this.#isAtEnd(reading);
  }

  /** A source that can't be resumed ends by itself, once it has given all that it holds. */
  #isAtEnd(reading: AbortSignal): boolean {
    return reading.aborted && this.#cursor.canResume === true;
  }

  /** Whether another stint goes on behind this one: else it would read the same once more, or miss something. */
  #mayEnd(): boolean {
    if (this.#cursor.canResume !== true) return false;
    return this.#taken === 0 || placeIn(this.#cursor.cursor()) !== this.#beginning;
  }

  /** How long to wait for events on their way. A process that was stopped, or an attempt beside another, holds only old ones. */
  #graceMs(): number {
    const isOld = !this.#lease.ended.aborted && !this.#context.cancellationSignal.aborted;
    if (isOld || this.#lease.isSuperseded) return 0;
    if (this.#cursor.canResume !== false) return GRACE_MS;
    return this.#isAsked ? LAST_GRACE_MS : LAST_GRACE_OF_WORKER_MS;
  }

  /** An event that the source will send again is not lost. The attempt that took over tells of those that this one still held. */
  #countDropped(): void {
    const dropped = this.#cursor.pending + this.#unsent;
    if (this.#cursor.canResume !== false || dropped === 0 || this.#lease.isSuperseded) return;
    this.#gaps.drop(dropped);
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
      const { packEvents } = this.#input;
      const sender = new BatchSender({
        queue,
        // Packs have waited already.
        ...(packEvents > 1 ? { lingerMs: PACK_LINGER_MS } : {}),
        signal: this.#drop.signal,
        mayBegin: (signal) => this.#lease.held(signal),
        onUnconfirmed: (count) => this.#meters.eventsFailed(count),
        onFailure: (error) => this.#fail(blockedUnlessTransient(error, `send to the queue ${queue.name}`)),
      });
      return { events: new Packer({ sender, most: packEvents, maximumBytes }), maximumBytes };
    } catch (error) {
      if (error instanceof Blocked) throw error;
      throw blockedUnlessTransient(error, `open the queue ${queue.name}`);
    }
  }

  /** Brings an event to the queue, or where it belongs instead. */
  async #sendEvent(event: SourceEvent, { events, maximumBytes }: OpenQueue): Promise<void> {
    this.#meters.eventsReceived(1);
    const digest = keyDigest(event.read.key);
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
    this.#gaps.judge(this.#cursor.canResume);
    const judgement = judge(event, maximumBytes);
    if (judgement.goes === 'rejected') return await this.#reject(pending, event, judgement.why);
    if (judgement.goes === 'canary') return await this.#passCanary(pending, event);
    this.#taken += 1;
    await events.add(judgement, (outcome) => {
      if (outcome === 'sent') return this.#sent(pending);
      const why: Why = { reason: 'refused-by-sqs', detail: outcome.refused };
      this.#keeper.aside(this.#reject(pending, event, why));
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

  /**
   * A source that never goes back while it is read repeats an event at a place of its own: passed over, once what came before it is
   * safe, or it would be read again from here on. One that rewinds sends again what has its place already.
   */
  #passRepeat(event: SourceEvent, digest: string): void {
    if (event.read.from !== undefined)
      this.#confirm(this.#cursor.received(event, digest, placeInCursor(event)));
  }

  #sent(pending: Pending): void {
    this.#counts = { ...this.#counts, sent: this.#counts.sent + 1 };
    this.#meters.eventsSent(1);
    this.#rejectsInARow = 0;
    this.#confirm(pending);
  }

  #confirm(pending: Pending): void {
    this.#cursor.confirm(pending);
    this.#bound.confirmed();
  }

  async #passCanary(pending: Pending, event: SourceEvent): Promise<void> {
    if (!(await this.#keeper.canary(event))) return;
    this.#counts = { ...this.#counts, canaries: this.#counts.canaries + 1 };
    this.#meters.canaries(1);
    this.#confirm(pending);
  }

  /** Never rejects its promise: a failure ends the stint. */
  async #reject(pending: Pending, event: SourceEvent, why: Why): Promise<void> {
    if (!(await this.#keeper.rejected(event, why))) return;
    const { reason, detail } = why;
    this.#counts = { ...this.#counts, rejected: plusOne(this.#counts.rejected, reason) };
    this.#meters.eventsRejected(1, { reason });
    this.#confirm(pending);
    this.#rejectsInARow += 1;
    if (this.#rejectsInARow < REJECTS_IN_A_ROW) return;
    this.#endWith(
      new Blocked(
        `${REJECTS_IN_A_ROW} events in a row could not become messages, the last one for ${reason} (${detail}). ` +
          `All are under ${KEPT_FOLDERS.rejected}/. Check that ${this.#input.source.url} is the stream you mean, then resume`,
      ),
    );
  }
}

interface OpenQueue {
  events: Packer;
  /** The most that a message may have. */
  maximumBytes: number;
}

/** Where a cursor stands, so that two can be told apart. */
function placeIn({ positions, lastEventId }: Cursor): string {
  return JSON.stringify([positions, lastEventId]);
}

/** The partition whose rewound events hold this one; where the payload doesn't say, its id tells. */
function placeInCursor({ positions = {}, read }: SourceEvent): Place {
  if (positions[read.partition]) return read;
  return { partition: newestPartition(positions) ?? '', offset: undefined };
}
