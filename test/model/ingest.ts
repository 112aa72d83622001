import type { Random } from '../../local/simulated-stream/random';
import { mostUnacknowledged } from '../../src/pipeline/definition';
import type { Queue } from './queue';
import type { Scenario } from './scenario';
import type { VirtualTime } from './virtual-time';

/** What a stint keeps to. Without one of them, events come again later than a window remembers. */
export interface IngestRules {
  /** Milliseconds after its last acknowledged heartbeat in which a stint begins to send. */
  leaseMs: number;
  /** Whether it waits when a third of the window is sent beyond that heartbeat's cursor. */
  isBounded: boolean;
  /** Whether the workflow hears what a dead stint told last. Else the next one begins where the dead one did. */
  hearsOfDead: boolean;
}

export const RULES: IngestRules = { leaseMs: 10_000, isBounded: true, hearsOfDead: true };

/** Milliseconds without a heartbeat after which Temporal takes a stint for dead. */
const HEARTBEAT_TIMEOUT_MS = 15_000;

/** Between heartbeats, in milliseconds, at most. */
const BEAT_MS = 4_000;

/** A request is given up after so many milliseconds. */
const REQUEST_MS = 5_000;

/** Events that a stint has in its hands. */
const MOST_HELD = 40;

/** Of the messages, those that hold one of their events twice, or one of an earlier message, or their events in another order. */
const ODD_MESSAGES = 0.02;

/**
 * What happens to a stint:
 * - `returns`: a worker's shutdown, a person, or a failure that may pass; the workflow hears its cursor
 * - `killed`: it sends nothing more
 * - `stopped`: its process sleeps, and wakes with what it held
 * - `cut off`: from Temporal; it works on
 * - `stuck`: SQS does not take one event for a while, and takes the others; then the stint ends
 */
const FATES = ['returns', 'killed', 'stopped', 'cut off', 'stuck'] as const;

/** A stint: it sends events in order, until it is over. */
interface Stint {
  /** Where it began. */
  readonly from: number;
  /** Events beyond the last acknowledged heartbeat's cursor, at most. */
  readonly bound: number;
  /** The event that it sends next. */
  position: number;
  /** The event before which all was told in a heartbeat that Temporal has taken. */
  acknowledged: number;
  /** Epoch milliseconds. */
  acknowledgedAt: number;
  /** Temporal takes no heartbeat of it. */
  isCutOff: boolean;
  /** The event that SQS does not take. */
  stuckAt?: number;
  isOver: boolean;
}

/**
 * Sends a source's events to the queue, in stints. However one ends, the next one sends again what was sent beyond the cursor that the
 * workflow knows, in other messages; and the one before it may be alive.
 */
export class Ingest {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #scenario: Scenario;
  readonly #queue: Pick<Queue, 'send'>;
  readonly #rules: IngestRules;
  readonly #begun: number;
  #windowKeys: number;
  #stint: Stint;
  /** The event before which the lake's cursor covers all. */
  #kept = 0;
  /** Epoch milliseconds, from which on no earlier stint sends. */
  #quietFrom = 0;
  #sent = 0;

  constructor(
    time: VirtualTime,
    random: Random,
    scenario: Scenario,
    queue: Pick<Queue, 'send'>,
    rules: IngestRules = RULES,
  ) {
    this.#time = time;
    this.#random = random;
    this.#scenario = scenario;
    this.#queue = queue;
    this.#rules = rules;
    this.#begun = time.now;
    this.#windowKeys = scenario.window;
    this.#stint = this.#newStint(0);
  }

  start(): void {
    this.#begin(this.#stint);
  }

  /** All events were sent, and nobody sends any more. */
  get isDone(): boolean {
    const { position, stuckAt, isCutOff, isOver } = this.#stint;
    const isAllSent = position >= this.#scenario.events && stuckAt === undefined;
    return isAllSent && !isCutOff && !isOver && this.#time.now >= this.#quietFrom;
  }

  /** Events that were sent: all before this one. */
  get sent(): number {
    return this.#sent;
  }

  /** The stints that begin from now on are of this window. */
  resize(windowKeys: number): void {
    this.#windowKeys = windowKeys;
  }

  /**
   * Ends the stint under way, unless it ends already; the next is of this window.
   *
   * @param then called when none of a larger one sends
   */
  shrink(windowKeys: number, then: () => void): void {
    const stint = this.#stint;
    this.#windowKeys = windowKeys;
    if (!stint.isOver && !stint.isCutOff) this.#end(stint, stint.stuckAt ?? stint.position);
    const answer = () => {
      if (stint.isOver && this.#quietFrom <= this.#time.now) then();
      else this.#time.at(Math.max(this.#quietFrom, this.#time.now + 100), answer);
    };
    answer();
  }

  /** Something happens to the stint under way. */
  crash(): void {
    const stint = this.#stint;
    const fate = this.#random.pick(FATES);
    // Another one begins already, or waits for what it was not taken.
    if (stint.isOver || stint.isCutOff || stint.stuckAt !== undefined) return;
    switch (fate) {
      case 'returns':
        return this.#end(stint, stint.position);
      case 'killed':
        return this.#die(stint);
      case 'stopped':
        this.#wakeLater(stint);
        return this.#die(stint);
      case 'cut off':
        stint.isCutOff = true;
        return this.#time.at(this.#deadAt(stint), () => this.#die(stint));
      case 'stuck':
        return this.#stick(stint);
    }
  }

  /**
   * Temporal is lost. The stint under way works on for as long as its lease lasts, and another begins at the cursor that the lake keeps.
   *
   * @param goneMs milliseconds until another one begins
   */
  lose(goneMs: number): void {
    const dead = this.#stint;
    const lastsUntil = Math.min(dead.acknowledgedAt + this.#rules.leaseMs, this.#time.now + goneMs);
    dead.isCutOff = true;
    this.#time.at(Math.max(lastsUntil, this.#time.now + 1), () => (dead.isOver = true));
    const next = this.#newStint(this.#kept);
    this.#stint = next;
    this.#quietFrom = Math.max(this.#quietFrom, lastsUntil + REQUEST_MS, this.#time.now + goneMs + 1);
    this.#time.after(goneMs, () => this.#begin(next));
  }

  /** The workflow hears of it when Temporal takes it for dead. It may be alive. */
  #die(stint: Stint): void {
    const isAlive = stint.isCutOff;
    if (!isAlive) stint.isOver = true;
    const known = this.#rules.hearsOfDead ? this.#toldLast(stint) : stint.from;
    const dead = this.#deadAt(stint);
    this.#succeed(stint, known, Math.max(0, dead - this.#time.now));
    if (!isAlive) return;
    const lastsUntil = stint.acknowledgedAt + this.#rules.leaseMs + REQUEST_MS;
    this.#quietFrom = Math.max(this.#quietFrom, Math.min(lastsUntil, this.#time.now + HEARTBEAT_TIMEOUT_MS));
    this.#time.at(this.#quietFrom, () => (stint.isOver = true));
  }

  /** A heartbeat that the SDK sent by itself may be on its way for long, and then take the place of a newer one. */
  #toldLast({ from, acknowledged, bound }: Stint): number {
    const isOvertaken = this.#random.chance(0.1);
    return isOvertaken ? Math.max(from, acknowledged - this.#random.integer(0, bound)) : acknowledged;
  }

  /** @param cursor what it returns */
  #end(stint: Stint, cursor: number): void {
    stint.isOver = true;
    this.#succeed(stint, cursor, 0);
  }

  /** The workflow waits before the next stint, and a person may pause it meanwhile: it knows the cursor all the same. */
  #succeed(stint: Stint, cursor: number, afterMs: number): void {
    const isPaused = this.#random.chance(0.2);
    const waitMs = this.#random.integer(1, 5_000) + (isPaused ? this.#random.integer(1_000, 60_000) : 0);
    this.#time.after(afterMs + waitMs, () => {
      if (this.#stint !== stint) return;
      this.#stint = this.#newStint(cursor);
      this.#begin(this.#stint);
    });
  }

  /** What its process had in its hands is sent when all the others are long beyond it, if the lease lets it. */
  #wakeLater(stint: Stint): void {
    const { position } = stint;
    const to = Math.min(position + MOST_HELD, this.#published());
    const wakesAt = this.#time.now + this.#scenario.laggard * 1_000;
    if (!this.#isHeldAt(stint, wakesAt)) return;
    this.#quietFrom = Math.max(this.#quietFrom, wakesAt + 1);
    this.#time.at(wakesAt, () => this.#send(position, to));
  }

  #stick(stint: Stint): void {
    // It may have been sent already, and never confirmed.
    stint.stuckAt = Math.max(stint.acknowledged, stint.position - this.#random.integer(0, 10));
    this.#time.after(this.#random.integer(1_000, 40_000), () => {
      const { stuckAt = stint.position } = stint;
      delete stint.stuckAt;
      this.#end(stint, stuckAt);
    });
  }

  #newStint(from: number): Stint {
    const bound = this.#rules.isBounded ? mostUnacknowledged(this.#windowKeys) : Infinity;
    const { now } = this.#time;
    return {
      from,
      bound,
      position: from,
      acknowledged: from,
      acknowledgedAt: now,
      isCutOff: false,
      isOver: false,
    };
  }

  #begin(stint: Stint): void {
    stint.acknowledgedAt = this.#time.now;
    this.#step(stint);
  }

  #published(): number {
    const { events, rate, backlog } = this.#scenario;
    if (backlog > 0) return events;
    return Math.min(events, Math.floor(((this.#time.now - this.#begun) / 1_000) * rate));
  }

  #step(stint: Stint): void {
    if (stint.isOver) return;
    const { rate } = this.#scenario;
    const { position, acknowledged, bound } = stint;
    const upTo = Math.min(
      this.#published(),
      acknowledged + bound,
      position + Math.max(10, Math.ceil(rate / 4)),
    );
    if (upTo > position && this.#isHeldAt(stint, this.#time.now)) {
      this.#request(stint, position, upTo);
      stint.position = upTo;
    }
    this.#beat(stint);
    this.#time.after(this.#pauseMs(stint), () => this.#step(stint));
  }

  /** What is sent under the lease may take its time. Of a stint that works on beside another one, nothing else would be late. */
  #request({ isCutOff, stuckAt }: Stint, from: number, to: number): void {
    const ms = isCutOff && this.#random.chance(0.3) ? this.#random.integer(0, REQUEST_MS) : 0;
    const send = () => this.#send(from, to, stuckAt);
    if (ms === 0) send();
    else this.#time.after(ms, send);
  }

  #beat(stint: Stint): void {
    const { now } = this.#time;
    const { position, acknowledged, bound, acknowledgedAt, stuckAt = position } = stint;
    const isFull = position >= acknowledged + bound;
    if (stint.isCutOff || !(isFull || now - acknowledgedAt >= BEAT_MS || this.#random.chance(0.3))) return;
    stint.acknowledged = Math.min(position, stuckAt);
    stint.acknowledgedAt = now;
    // A sixth of the window is sent beyond the cursor in the lake before that is written again.
    if (stint.acknowledged - this.#kept >= bound / 2) this.#kept = stint.acknowledged;
  }

  #isHeldAt({ acknowledgedAt }: Stint, time: number): boolean {
    return time < acknowledgedAt + this.#rules.leaseMs;
  }

  #deadAt({ acknowledgedAt }: Stint): number {
    return acknowledgedAt + HEARTBEAT_TIMEOUT_MS;
  }

  #pauseMs({ position }: Stint): number {
    const isHurried = this.#scenario.backlog > 0 && position < this.#scenario.events;
    if (isHurried) return 1;
    return position < this.#published() ? this.#random.integer(5, 70) : this.#random.integer(200, 1_500);
  }

  /** @param but the event that SQS does not take */
  #send(from: number, to: number, but?: number): void {
    this.#sent = Math.max(this.#sent, to);
    for (let first = from; first < to;) {
      const most = this.#scenario['events-per-message'];
      const count = Math.min(to - first, this.#random.integer(1, most));
      const events = Array.from({ length: count }, (_, index) => first + index).filter(
        (event) => event !== but,
      );
      first += count;
      if (events.length === 0) continue;
      const isOdd = count < most && this.#random.chance(ODD_MESSAGES);
      const message = isOdd ? this.#odd(events) : events;
      this.#queue.send(message);
      if (this.#random.chance(this.#scenario['sent-twice'])) this.#queue.send(message);
    }
  }

  #odd(events: readonly number[]): number[] {
    const [first = 0] = events;
    const before = Math.max(0, first - this.#random.integer(1, 20));
    return this.#random.pick([
      [...events, first],
      [before, ...events],
      events.toReversed(),
      [...events, before],
    ]);
  }
}
