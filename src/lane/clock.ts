/**
 * What is to be made of the time that an answer tells:
 * - `steady`: the clock went on
 * - `ahead`: it goes on far ahead. Much time may have passed, with workers or Temporal away; or the answer is wrong, and the next one tells
 * - `anew`: what was told before was wrong, and its times say nothing
 * - `odd`: the answer is wrong, as far as can be known now
 */
export type Told = 'steady' | 'ahead' | 'anew' | 'odd';

/** What continue-as-new carries of a {@link LaneClock}. JSON. */
export interface CarriedClock {
  /** Epoch milliseconds: the latest time that the lane was told; 0: none. */
  now: number;
  /** Epoch milliseconds: the latest time by which an object was dated. */
  dated: number;
  /** Answers that must be right before a time far ahead is believed at once again. Default: none. */
  wary?: number;
}

/** When an answer says that something was begun, and when it ended, in epoch milliseconds. */
export interface Span {
  from: number;
  until: number;
}

/** Two workers reckon the queue's clock differently by so much at most, in milliseconds; and more than twice that. */
const STEADY_MS = 5_000;

/** What is further ahead than this, in milliseconds, is not what a lane that works is told next. */
const AHEAD_MS = 120_000;

/** Before an object is dated so far ahead, in milliseconds, the time is asked for once more: no later one may have an earlier date. */
const LOOK_MS = 24 * 3_600_000;

/** No activity of a lane takes as long, in milliseconds. */
const LONGEST_MS = 10 * 60_000;

/** The year 10,000, in epoch milliseconds: years have four digits in keys. */
const LAST_MS = 253_402_300_800_000;

/** After a time far ahead was wrong: so many right ones before the next is believed at once. */
const WARY = 1_000;

/**
 * The clock of a lane: the newest time that an answer told. Answers tell that of SQS, which is one for all workers. Still one may be wrong:
 * made by hand, or of a worker that can't know better. It must cost the lane no more than that answer. So what two answers
 * in a row say is believed, and one that begins earlier than what was known when it was asked for is not, by itself.
 */
export class LaneClock {
  /** By answers alone; -Infinity before the first. */
  #told: number;
  /** By timers, too. */
  #now: number;
  #dated: number;
  #wary: number;
  /** The newest time was told once, by an answer far ahead: another may take it back. */
  #isDoubted = false;
  /** What an odd answer told. */
  #suspect: number | undefined;
  #wantsLook = false;
  /** What was told when a piece of work was begun. */
  readonly #begun = new WeakMap<object, number>();

  /** @param now epoch milliseconds, of a lane that carries nothing: until the first answer */
  constructor(now: number, carried?: CarriedClock) {
    this.#now = carried?.now || now;
    this.#told = carried?.now || -Infinity;
    this.#dated = carried?.dated ?? 0;
    this.#wary = carried?.wary ?? 0;
  }

  /** Epoch milliseconds. */
  get now(): number {
    return this.#now;
  }

  /** The time by which an object is dated, in epoch milliseconds: never before an earlier object's. */
  date(): number {
    this.#dated = Math.max(this.#dated, this.#now);
    return this.#dated;
  }

  /** Objects are dated no earlier than this, in epoch milliseconds: others lie there already. */
  dateFrom(time: number): void {
    this.#dated = Math.max(this.#dated, time);
  }

  /** A piece of work is handed out: it can't begin before what is known by now. */
  begin(work: object): void {
    this.#begun.set(work, this.#told);
  }

  /** A timer tells that so much time has passed. */
  tick(time: number): void {
    this.#now = Math.max(this.#now, time);
  }

  /** What is known may be wrong: the next answer is believed. */
  doubt(): void {
    this.#isDoubted = true;
  }

  /** @returns whether somebody should ask for the time, before an object is dated; once */
  takeLook(): boolean {
    const wantsLook = this.#wantsLook;
    this.#wantsLook = false;
    return wantsLook;
  }

  /** Takes what an answer tells. @param work that was answered */
  hear(work: object, span: Span): Told {
    if (!isSpan(span)) return 'odd';
    const begun = Math.min(this.#begun.get(work) ?? -Infinity, this.#told);
    const isBehind = span.from < begun - STEADY_MS;
    const isAhead = span.until > this.#now + AHEAD_MS;
    if (!isBehind && !isAhead) return this.#goOn(span);
    if (isAhead && this.#wary === 0) return this.#goAhead(span);
    if (this.#isDoubted || this.#isSaidAgain(span)) return this.#beginAnew(span, isBehind);
    this.#suspect = span.until;
    if (isAhead) this.#wary = WARY;
    return 'odd';
  }

  carried(): CarriedClock {
    return { now: this.#now, dated: this.#dated, ...(this.#wary > 0 ? { wary: this.#wary } : {}) };
  }

  #goOn({ until }: Span): Told {
    // An answer that was long on its way says nothing of the newest time.
    if (until >= this.#told - STEADY_MS) {
      this.#isDoubted = false;
      this.#suspect = undefined;
      this.#wary = Math.max(0, this.#wary - 1);
    }
    // What it began with was told by another clock.
    if (this.#told === -Infinity) this.#now = until;
    this.#told = Math.max(this.#told, until);
    this.tick(until);
    return 'steady';
  }

  #goAhead({ until }: Span): Told {
    this.#wantsLook ||= until > this.#now + LOOK_MS;
    this.#isDoubted = true;
    this.#suspect = undefined;
    this.#told = until;
    this.#now = until;
    return 'ahead';
  }

  /** Two answers in a row, or one and what was known before the doubt. */
  #beginAnew({ until }: Span, isBehind: boolean): Told {
    if (isBehind) this.#wary = WARY;
    this.#isDoubted = false;
    this.#suspect = undefined;
    this.#wantsLook = false;
    this.#told = until;
    this.#now = until;
    return 'anew';
  }

  #isSaidAgain({ from, until }: Span): boolean {
    if (this.#suspect === undefined) return false;
    return from >= this.#suspect - LONGEST_MS && until <= this.#suspect + LONGEST_MS;
  }
}

/** What came from outside may be anything. */
function isSpan({ from, until }: Span): boolean {
  const areTimes = Number.isFinite(from) && Number.isFinite(until) && from >= 0 && until < LAST_MS;
  return areTimes && from - until <= STEADY_MS && until - from <= LONGEST_MS;
}
