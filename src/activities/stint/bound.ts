import type { ConfirmedCursor } from '../../sources/confirmed-cursor';
import { Gate } from '../../sources/gate';

export interface BoundOptions {
  /** Events beyond the cursor of the last acknowledged heartbeat, at most. */
  most: number;
  cursor: Pick<ConfirmedCursor, 'passed' | 'pending'>;
  /** Asks for a heartbeat now. */
  beat: () => void;
}

/** Confirmed events after which a heartbeat does not wait for its time. */
const CONFIRMED_PER_BEAT = 500;

/**
 * The bound of what can come again. However an attempt ends, another one goes on at the last cursor that Temporal has taken. So all that
 * was received beyond that cursor may be sent again, and no more is received than the lane's window recognises.
 */
export class Bound {
  readonly #options: BoundOptions;
  readonly #confirmedPerBeat: number;
  readonly #acknowledgements = new Gate();
  /** Events that the cursor had passed when the heartbeat under way was made. */
  #told = 0;
  /** The same of the last one that Temporal has taken. */
  #acknowledged = 0;
  #unheard = 0;
  #isWaiting = false;

  constructor(options: BoundOptions) {
    this.#options = options;
    // Half of the bound is room enough for what is on its way meanwhile.
    this.#confirmedPerBeat = Math.min(CONFIRMED_PER_BEAT, Math.ceil(options.most / 2));
  }

  /** Resolves when one more event may be received, or when the signal aborts. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.#isFull() && !signal.aborted) {
      this.#isWaiting = true;
      this.#beatWithNews();
      this.#acknowledgements.close();
      await this.#acknowledgements.passed(signal);
    }
    this.#isWaiting = false;
  }

  /** One more event is safe. */
  confirmed(): void {
    this.#unheard += 1;
    if (this.#isWaiting) this.#beatWithNews();
    if (this.#unheard < this.#confirmedPerBeat) return;
    this.#unheard = 0;
    this.#options.beat();
  }

  /** A heartbeat is made, of the cursor as it is. One is under way at a time. */
  tell(): void {
    this.#told = this.#options.cursor.passed;
  }

  /** Temporal has taken that heartbeat. */
  acknowledged(): void {
    this.#acknowledged = this.#told;
    this.#acknowledgements.open();
  }

  #isFull(): boolean {
    const { most, cursor } = this.#options;
    return cursor.passed + cursor.pending - this.#acknowledged >= most;
  }

  /** While the cursor stands there is nothing to tell: SQS may not take an event for long. */
  #beatWithNews(): void {
    const { cursor, beat } = this.#options;
    if (cursor.passed > this.#acknowledged) beat();
  }
}
