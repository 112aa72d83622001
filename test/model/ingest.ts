import type { Random } from '../../local/simulated-stream/random';
import { STINTS_PER_WINDOW } from '../../src/pipeline/definition';
import type { Queue } from './queue';
import type { Scenario } from './scenario';
import type { VirtualTime } from './virtual-time';

/** An attempt of a stint: it sends events in order, until it is over. */
interface Attempt {
  /** The event that it sends next. */
  position: number;
  /** The event before which its stint ends, however often it is tried. */
  readonly bound: number;
  /** Epoch milliseconds. It may send beside its successor until then. */
  endsAt: number;
}

/** A cut-off attempt sends on for so long at most, in milliseconds. */
const LONGEST_LEASE_MS = 20_000;

/** Events that a stint has in its hands. */
const MOST_HELD = 40;

/** Of the messages, those that hold one of their events twice, or one of an earlier message, or their events in another order. */
const ODD_MESSAGES = 0.02;

/**
 * Sends a source's events to the queue, in stints of a third of the window. When its worker dies, another sends again what came since
 * the last heartbeat, in other messages; and the dead one may be alive.
 */
export class Ingest {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #scenario: Scenario;
  readonly #queue: Pick<Queue, 'send'>;
  readonly #begun: number;
  #windowKeys: number;
  #attempt: Attempt;
  /** The event at which the stint began. */
  #cursor = 0;
  /** The event before which all was told in a heartbeat. */
  #acknowledged = 0;
  /** Epoch milliseconds, from which on no dead attempt sends. */
  #quietFrom = 0;
  #sent = 0;

  constructor(time: VirtualTime, random: Random, scenario: Scenario, queue: Pick<Queue, 'send'>) {
    this.#time = time;
    this.#random = random;
    this.#scenario = scenario;
    this.#queue = queue;
    this.#begun = time.now;
    this.#windowKeys = scenario.window;
    this.#attempt = this.#newAttempt(0);
  }

  start(): void {
    this.#step(this.#attempt);
  }

  /** All events were sent, and nobody sends any more. */
  get isDone(): boolean {
    return this.#attempt.position >= this.#scenario.events && this.#time.now >= this.#quietFrom;
  }

  /** Events that were sent: all before this one. */
  get sent(): number {
    return this.#sent;
  }

  /** The stints that begin from now on are of this window. */
  resize(windowKeys: number): void {
    this.#windowKeys = windowKeys;
  }

  /** The worker of the stint dies, or is cut off. */
  crash(): void {
    const dead = this.#attempt;
    if (dead.position >= this.#scenario.events) return;
    const isCutOff = this.#random.chance(0.2);
    dead.endsAt = this.#time.now + (isCutOff ? this.#random.integer(1_000, LONGEST_LEASE_MS) : 0);
    this.#quietFrom = Math.max(this.#quietFrom, dead.endsAt);
    this.#lag(dead);
    const next = this.#successor(isCutOff || this.#random.chance(0.1));
    this.#attempt = next;
    this.#time.after(this.#random.integer(500, 6_000), () => this.#step(next));
  }

  #successor(heartbeatsWereLost: boolean): Attempt {
    const { bound } = this.#attempt;
    if (heartbeatsWereLost) this.#acknowledged = this.#cursor;
    // The stint was ended, and the next one begins.
    else if (this.#random.chance(0.5)) return this.#newAttempt(this.#acknowledged);
    return { position: this.#acknowledged, bound, endsAt: Infinity };
  }

  #newAttempt(cursor: number): Attempt {
    this.#cursor = cursor;
    this.#acknowledged = cursor;
    const bound = cursor + Math.floor(this.#windowKeys / STINTS_PER_WINDOW);
    return { position: cursor, bound, endsAt: Infinity };
  }

  /** What a stint had in its hands when it was cut off is sent when all the others are long beyond it. */
  #lag({ position }: Attempt): void {
    const ms = this.#scenario.laggard * 1_000;
    if (ms === 0) return;
    const to = Math.min(position + MOST_HELD, this.#published());
    this.#quietFrom = Math.max(this.#quietFrom, this.#time.now + ms + 1);
    this.#time.after(ms, () => this.#send(position, to));
  }

  #published(): number {
    const { events, rate, backlog } = this.#scenario;
    if (backlog > 0) return events;
    return Math.min(events, Math.floor(((this.#time.now - this.#begun) / 1_000) * rate));
  }

  #step(attempt: Attempt): void {
    if (this.#time.now >= attempt.endsAt) return;
    const isCurrent = attempt === this.#attempt;
    if (attempt.position >= attempt.bound) {
      if (isCurrent) this.#nextStint();
      return;
    }
    const atOnce = Math.max(10, Math.ceil(this.#scenario.rate / 4));
    const upTo = Math.min(this.#published(), attempt.bound, attempt.position + atOnce);
    if (upTo > attempt.position) {
      this.#send(attempt.position, upTo);
      attempt.position = upTo;
      if (isCurrent && this.#random.chance(0.3)) this.#acknowledged = upTo;
    }
    if (attempt.position < this.#scenario.events) {
      this.#time.after(this.#pauseMs(upTo), () => this.#step(attempt));
    }
  }

  #nextStint(): void {
    const next = this.#newAttempt(this.#attempt.position);
    this.#attempt = next;
    this.#time.after(this.#isHurried() ? 1 : this.#random.integer(50, 500), () => this.#step(next));
  }

  #isHurried(): boolean {
    return this.#scenario.backlog > 0;
  }

  #pauseMs(position: number): number {
    if (this.#isHurried()) return 1;
    return position < this.#published() ? this.#random.integer(5, 70) : this.#random.integer(200, 1_500);
  }

  #send(from: number, to: number): void {
    this.#sent = Math.max(this.#sent, to);
    for (let first = from; first < to;) {
      const most = this.#scenario['events-per-message'];
      const count = Math.min(to - first, this.#random.integer(1, most));
      const events = Array.from({ length: count }, (_, index) => first + index);
      const isOdd = count < most && this.#random.chance(ODD_MESSAGES);
      const message = isOdd ? this.#odd(events) : events;
      this.#queue.send(message);
      if (this.#random.chance(this.#scenario['sent-twice'])) this.#queue.send(message);
      first += count;
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
