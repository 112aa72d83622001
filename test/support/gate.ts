/** Holds whoever waits for it until it is opened. */
export class Gate {
  readonly passed: Promise<void>;
  waiting = 0;
  #open: () => void = () => {};

  constructor() {
    this.passed = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#open();
  }

  async pass(): Promise<void> {
    this.waiting += 1;
    await this.passed;
  }
}
