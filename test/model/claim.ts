import type { VirtualTime } from './virtual-time';

/** Whose the queue is, as its tag says. */
export class Claim {
  /** Receives that a lane began though the queue was not its own, as it knew. */
  trespasses = 0;
  readonly #time: VirtualTime;
  #refusedUntil: number;
  #isHeld = false;

  /** @param refusedMs milliseconds for which the queue is another's at the beginning */
  constructor(time: VirtualTime, refusedMs: number) {
    this.#time = time;
    this.#refusedUntil = time.now + refusedMs;
  }

  /** @returns whether the queue is the lane's now */
  take(): boolean {
    this.#isHeld = this.#time.now >= this.#refusedUntil;
    return this.#isHeld;
  }

  /** The lane hears that the queue is gone. When it is there again it has no tag. */
  lose(): void {
    this.#isHeld = false;
  }

  receiveBegins(): void {
    if (!this.#isHeld) this.trespasses += 1;
  }

  /** Nobody else wants the queue any more. */
  heal(): void {
    this.#refusedUntil = 0;
  }
}
