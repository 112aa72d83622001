/** Opened and closed by one side, waited at by the other. Open at first. */
export class Gate {
  #isOpen = true;
  readonly #waiting = new Set<() => void>();

  open(): void {
    this.#isOpen = true;
    for (const wake of this.#waiting) wake();
  }

  close(): void {
    this.#isOpen = false;
  }

  /**
   * Resolves when it is open, after so long, or when the signal aborts.
   *
   * @param longestMs default: as long as it takes
   */
  async passed(signal: AbortSignal, longestMs = Infinity): Promise<void> {
    if (this.#isOpen || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = Number.isFinite(longestMs) ? setTimeout(done, longestMs) : undefined;
      signal.addEventListener('abort', done);
      this.#waiting.add(done);
    });
  }
}
