import { log } from '@temporalio/activity';
import { describeError } from '../clients/aws-errors';
import { type Acknowledge, ALLOWED, isHeld, type Moment, now } from './lease';

/** By so many milliseconds a clock that nobody sets and one that may be set drift apart before they say that it was set. */
const DRIFT_MS = 1_000;

/**
 * How long ago Temporal handed out the tasks that a process begins: a task may wait for a process that sleeps, or in a connection that
 * hangs. Temporal's clock says when it scheduled a task, and this process's clock when it begins. Theirs differ: a task that seems to come from the
 * future tells by how much at least, and is remembered until the clock is set.
 */
export class TaskAges {
  #known: { drift: number; ahead: number } | undefined;

  /**
   * @param scheduled by Temporal's clock, in epoch milliseconds
   * @returns milliseconds at most; undefined for the first task, and for the first after the clock was set or the machine slept
   */
  of(scheduled: number): number | undefined {
    const { steady, wall } = now();
    const age = wall - scheduled;
    const drift = wall - steady;
    const known = this.#known;
    const isFirst = known === undefined || Math.abs(drift - known.drift) > DRIFT_MS;
    const ahead = Math.min(age, isFirst ? 0 : known.ahead);
    this.#known = { drift: isFirst ? drift : known.drift, ahead };
    return isFirst ? undefined : age - ahead;
  }
}

export interface PollLeaseOptions {
  acknowledge: Acknowledge;
  /** Milliseconds since Temporal handed the task out, at most; undefined where that is not known. See {@link TaskAges}. */
  ageMs: number | undefined;
  /** Milliseconds without a heartbeat after which Temporal takes the receive for lost. */
  heartbeatTimeoutMs: number;
  /** Milliseconds after its beginning at which it does so in any case. */
  lastsMs: number;
}

/**
 * The right of a receive to poll: what it hides after the lane took it for lost, nobody waits for. It lasts as a stint's does (see
 * {@link Lease}), from the last heartbeat that Temporal acknowledged. Handing the task out was one: so a receive that ends within some seconds
 * makes none, and a longer one makes one before its next poll.
 */
export class PollLease {
  readonly #options: PollLeaseOptions;
  readonly #began = now();
  #acknowledged: Moment | undefined;

  constructor(options: PollLeaseOptions) {
    const { ageMs } = options;
    const { steady, wall } = this.#began;
    this.#options = options;
    if (ageMs !== undefined) this.#acknowledged = { steady: steady - ageMs, wall: wall - ageMs };
  }

  /** @returns whether a poll may begin now; asks Temporal where it has not heard of this receive for too long */
  async allows(): Promise<boolean> {
    if (!this.#isHeld()) await this.#renew();
    return this.#isHeld();
  }

  #isHeld(): boolean {
    return isHeld(this.#acknowledged, this.#began, this.#options);
  }

  async #renew(): Promise<void> {
    const { acknowledge, heartbeatTimeoutMs } = this.#options;
    const sent = now();
    try {
      await acknowledge(undefined, heartbeatTimeoutMs * (1 - ALLOWED));
      this.#acknowledged = sent;
    } catch (error) {
      log.info('Temporal took no heartbeat; nothing more is received', { error: describeError(error) });
    }
  }
}
