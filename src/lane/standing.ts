import { backoffMs } from '../backoff';
import type { WaitWork } from './work';

/** What a workflow is doing. `parked` says what a person must change; it tries again by itself, slowly. */
export type Activity = 'running' | 'paused' | 'stopping' | 'stopped' | 'parked';

/** Before a parked workflow tries again by itself: longer each time that the same thing fails. */
const BACKOFF = { first: 30_000, most: 10 * 60_000 };

/** Why a workflow is parked. JSON: it travels through continue-as-new. */
export interface Parked {
  /** What failed; when it works again, the workflow is no longer parked. */
  doing: string;
  problem: string;
  /** How often it failed in a row. */
  tries: number;
  /** Tried again only when a person says so. */
  isFinal?: boolean;
}

/** What continue-as-new carries of a {@link Standing}. JSON. */
export interface CarriedStanding {
  paused: boolean;
  stopping: boolean;
  stopped: boolean;
  parked?: Parked;
  /** A parked workflow tries again: it waited long enough, or was asked to. */
  mayTry: boolean;
}

/**
 * Whether a workflow works: what people asked of it, and what keeps it from it. Both workflows stand in the same way.
 *
 * A person's wish and a problem are two things: a workflow that is parked keeps its wish, and goes on with it once it can.
 */
export class Standing {
  #paused: boolean;
  #stopping: boolean;
  #stopped: boolean;
  #parked: Parked | undefined;
  #mayTry: boolean;
  /** The wait that ends in the next try. */
  #wait: WaitWork | undefined;

  constructor(carried?: CarriedStanding) {
    this.#paused = carried?.paused ?? false;
    this.#stopping = carried?.stopping ?? false;
    this.#stopped = carried?.stopped ?? false;
    this.#parked = carried?.parked;
    this.#mayTry = carried?.mayTry ?? true;
  }

  /** Works again, after a stop too. */
  start(): void {
    this.#stopping = false;
    this.#stopped = false;
    this.resume();
  }

  /** Ends its work and idles. A lane drains its queue, so that a stop wakes one that is paused. */
  stop(): void {
    this.#stopping = true;
    this.resume();
  }

  pause(): void {
    this.#paused = true;
  }

  /** Goes on, and tries again what is parked. */
  resume(): void {
    this.#paused = false;
    this.retry();
  }

  /** The work is ended, unless it was started again meanwhile. */
  drained(): void {
    this.#stopped = this.#stopping;
  }

  /**
   * Idle until the problem may be over. Several failures while it is parked count as one try.
   *
   * @returns whether it parked now
   */
  park(doing: string, problem: string, { isFinal = false }: { isFinal?: boolean } = {}): boolean {
    if (this.isParked) return false;
    const tries = this.#parked?.doing === doing ? this.#parked.tries + 1 : 1;
    this.#parked = { doing, problem, tries, ...(isFinal ? { isFinal } : {}) };
    this.#mayTry = false;
    this.#wait = undefined;
    return true;
  }

  /** What it needs may have changed: what is parked is tried again. */
  retry(): void {
    this.#mayTry = true;
  }

  /** Notes a problem that keeps nothing from going on. */
  note(doing: string, problem: string): void {
    this.#parked = { doing, problem, tries: 1 };
    this.#mayTry = true;
  }

  /** What was tried works, and is no problem any more. Default: all does. */
  worked(doing = this.#parked?.doing): void {
    if (this.#parked?.doing === doing) this.#parked = undefined;
  }

  /** @returns the wait until a parked workflow tries again by itself, once for each time that it parks */
  takeWait(): WaitWork | undefined {
    if (!this.isParked || this.#parked?.isFinal === true || this.#wait) return undefined;
    this.#wait = {
      kind: 'wait',
      why: 'parked',
      ms: backoffMs(this.#parked?.tries ?? 1, BACKOFF),
      summary: 'parked: the next try',
    };
    return this.#wait;
  }

  /** @returns whether that was the wait of the problem at hand, so that it is tried again */
  woke(wait: WaitWork): boolean {
    if (wait !== this.#wait) return false;
    this.#mayTry = true;
    return true;
  }

  get isParked(): boolean {
    return this.#parked !== undefined && !this.#mayTry;
  }

  /** Whether this is what it is parked for, or what it tries again now. */
  isTroubledBy(doing: string): boolean {
    return this.#parked?.doing === doing;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  get isStopping(): boolean {
    return this.#stopping;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Nothing is to be done, but for what ends by itself. */
  get isIdle(): boolean {
    return this.isParked || this.#stopped;
  }

  get activity(): Activity {
    if (this.#stopped) return 'stopped';
    if (this.isParked) return 'parked';
    if (this.#paused) return 'paused';
    return this.#stopping ? 'stopping' : 'running';
  }

  /** Why it is parked, or what was the matter when it stopped. While it is tried again nothing is known. */
  get problem(): string | undefined {
    return this.isIdle ? this.#parked?.problem : undefined;
  }

  carried(): CarriedStanding {
    return {
      paused: this.#paused,
      stopping: this.#stopping,
      stopped: this.#stopped,
      ...(this.#parked ? { parked: this.#parked } : {}),
      mayTry: this.#mayTry,
    };
  }
}
