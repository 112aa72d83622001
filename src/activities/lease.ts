import { setTimeout as delay } from 'node:timers/promises';
import { activityInfo, getClient, log } from '@temporalio/activity';
import {
  ActivityCancelledError,
  ActivityNotFoundError,
  ActivityPausedError,
  ActivityResetError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { describeError } from '../clients/aws-errors';

/** Tells Temporal that this attempt lives; resolves once Temporal has taken it, and rejects with what it answers instead. */
export type Acknowledge = (details: unknown, timeoutMs: number) => Promise<void>;

/**
 * Heartbeats through the worker's own client: the activity's `heartbeat()` does not tell whether Temporal got it (SDK 1.24.0). An attempt
 * that was superseded is refused at once.
 */
export const acknowledgedHeartbeat: Acknowledge = async (details, timeoutMs) => {
  const client = getClient();
  const { taskToken } = activityInfo();
  await client.withDeadline(Date.now() + timeoutMs, () => client.activity.heartbeat(taskToken, details));
};

export interface LeaseOptions {
  acknowledge: Acknowledge;
  /** What the next attempt should know; asked at every heartbeat. */
  details: () => unknown;
  /** Called with what Temporal has taken. */
  onAcknowledged: (details: unknown) => void;
  /** Milliseconds without a heartbeat after which Temporal hands the work to another attempt. */
  heartbeatTimeoutMs: number;
  /** Milliseconds from now on after which it does so in any case. */
  lastsMs: number;
}

/** Shares of the heartbeat timeout. Of 15 s: a heartbeat every 4 s, and what it allows may begin for 10 s, so that it has 5 s to end. */
const BEAT = 4 / 15;
export const ALLOWED = 10 / 15;

/** Between tries to reach Temporal, in milliseconds. */
const RETRY_MS = 1_000;

export interface Moment {
  /** Milliseconds of a clock that nobody sets, and that may stand still while the machine sleeps. */
  steady: number;
  /** Epoch milliseconds. */
  wall: number;
}

/**
 * The right of an attempt to do what another attempt must not do beside it. It lasts for a bounded time from the last heartbeat
 * that Temporal acknowledged, and ends before Temporal may start another attempt. While Temporal is away nothing is done.
 */
export class Lease {
  /**
   * Aborts when another attempt has taken over, or when this one is asked to end, which still holds the lease. Its reason is what
   * the activity should throw.
   */
  readonly ended: AbortSignal;
  /** Milliseconds between heartbeats. */
  readonly beatMs: number;
  readonly #options: LeaseOptions;
  /** For how long an answer of Temporal is waited for. */
  readonly #answerMs: number;
  readonly #end = new AbortController();
  readonly #stop = new AbortController();
  readonly #began = now();
  #acknowledged: Moment | undefined;
  /** Aborts when Temporal may start another attempt. */
  #expiry = new AbortController();
  #expires: NodeJS.Timeout | undefined;
  /** What ends with the lease, or with the signal that it was asked with. */
  #ending: { of: AbortSignal; signal: AbortSignal } | undefined;
  #isCancelled = false;
  #isPaused = false;
  #isSuperseded = false;
  #failure: unknown;
  #wakeWaiting: () => void = () => {};
  #waiting: Promise<void> = Promise.resolve();
  #wakeBeat: () => void = () => {};

  constructor(options: LeaseOptions) {
    const { heartbeatTimeoutMs } = options;
    this.#options = options;
    this.ended = this.#end.signal;
    this.beatMs = Math.floor(heartbeatTimeoutMs * BEAT);
    this.#answerMs = Math.floor(heartbeatTimeoutMs * (1 - ALLOWED));
    this.#awaitRenewal();
  }

  /** The workflow asked the activity to end. */
  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Somebody paused the activity in Temporal. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Another attempt does the work. */
  get isSuperseded(): boolean {
    return this.#isSuperseded;
  }

  /** What a heartbeat was to tell could not be told: the attempt must fail with it. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Heartbeats until {@link close}. Never rejects: nobody waits for it while the attempt goes on, and the process would end. */
  async keep(): Promise<void> {
    try {
      await this.#keep();
    } catch (error) {
      this.#failure = error;
      this.#end.abort(error);
    }
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && !this.#isSuperseded) {
      const woken = new Promise<void>((resolve) => (this.#wakeBeat = resolve));
      const isAcknowledged = await this.#beat();
      const wait = new AbortController();
      const pause = delay(isAcknowledged ? this.beatMs : RETRY_MS, undefined, {
        signal: AbortSignal.any([signal, wait.signal]),
      }).catch(() => {});
      await Promise.race(isAcknowledged ? [pause, woken] : [pause]);
      wait.abort();
    }
  }

  /** Heartbeats now. */
  beat(): void {
    this.#wakeBeat();
  }

  close(): void {
    this.#stop.abort();
    clearTimeout(this.#expires);
    this.#wakeBeat();
  }

  /**
   * Resolves while the lease is held, at once or when Temporal answers again.
   *
   * @returns aborts with `signal`, and when what was begun must end: Temporal has not answered for so long that it may start another
   *   attempt
   * @throws the reason of `signal` when that aborts
   */
  async held(signal: AbortSignal): Promise<AbortSignal> {
    while (!this.#isHeld()) {
      signal.throwIfAborted();
      await Promise.race([this.#waiting, aborted(signal)]);
    }
    signal.throwIfAborted();
    if (this.#ending?.of !== signal) {
      this.#ending = { of: signal, signal: AbortSignal.any([signal, this.#expiry.signal]) };
    }
    return this.#ending.signal;
  }

  #isHeld(): boolean {
    return !this.#isSuperseded && isHeld(this.#acknowledged, this.#began, this.#options);
  }

  /** @returns whether Temporal has taken it */
  async #beat(): Promise<boolean> {
    const { acknowledge, details, onAcknowledged } = this.#options;
    const sent = now();
    const told = details();
    try {
      await acknowledge(told, this.#answerMs);
    } catch (error) {
      if (!this.#isTaken(error)) return false;
    }
    this.#acknowledged = sent;
    this.#expireLater(sent);
    onAcknowledged(told);
    this.#wakeWaiting();
    this.#awaitRenewal();
    return true;
  }

  #expireLater(acknowledged: Moment): void {
    clearTimeout(this.#expires);
    if (this.#expiry.signal.aborted) {
      this.#expiry = new AbortController();
      this.#ending = undefined;
    }
    const { heartbeatTimeoutMs } = this.#options;
    this.#expires = setTimeout(() => this.#expiry.abort(), heartbeatTimeoutMs - elapsed(acknowledged));
    this.#expires.unref();
  }

  /** Whether a heartbeat was taken all the same: Temporal asks to end in its answer. */
  #isTaken(error: unknown): boolean {
    if (error instanceof ActivityCancelledError) {
      this.#isCancelled = true;
      this.#end.abort(ApplicationFailure.retryable('The workflow asked it to end', 'Cancelled'));
      return true;
    }
    if (error instanceof ActivityPausedError || error instanceof ActivityResetError) {
      this.#isPaused = error instanceof ActivityPausedError;
      this.#end.abort(ApplicationFailure.retryable(`It was ${error.message}`, error.name));
      return true;
    }
    if (error instanceof ActivityNotFoundError) {
      this.#isSuperseded = true;
      this.#end.abort(ApplicationFailure.retryable('Another attempt does this work', 'Superseded'));
    } else {
      log.info('Temporal took no heartbeat; nothing is sent until it does', { error: describeError(error) });
    }
    return false;
  }

  #awaitRenewal(): void {
    this.#waiting = new Promise((resolve) => (this.#wakeWaiting = resolve));
  }
}

/**
 * Whether what a lease allows may begin now, by both clocks: one may have been set, the other may have stood still.
 *
 * @param acknowledged when the last heartbeat was sent that Temporal has taken; undefined where there was none
 * @param began when the attempt began. Temporal's count of it began when it handed it out, some time before
 */
export function isHeld(
  acknowledged: Moment | undefined,
  began: Moment,
  { heartbeatTimeoutMs, lastsMs }: Pick<LeaseOptions, 'heartbeatTimeoutMs' | 'lastsMs'>,
): boolean {
  if (!acknowledged) return false;
  return (
    elapsed(acknowledged) < heartbeatTimeoutMs * ALLOWED && elapsed(began) < lastsMs - heartbeatTimeoutMs
  );
}

export function now(): Moment {
  return { steady: performance.now(), wall: Date.now() };
}

/** Milliseconds by the clock that went further: one may have been set, the other may have stood still. */
function elapsed({ steady, wall }: Moment): number {
  return Math.max(performance.now() - steady, Date.now() - wall);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
