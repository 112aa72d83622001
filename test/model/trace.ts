import type { VirtualTime } from './virtual-time';

/** Tells the life of one event, line by line. Silent where none is wanted. */
export class Trace {
  /** What stands at the end of each line, such as the state of the lane. */
  suffix = (): string => '';
  readonly #time: VirtualTime;
  readonly #event: number | undefined;
  readonly #say: (line: string) => void;
  readonly #begun: number;

  constructor(time: VirtualTime, event: number | undefined, say: (line: string) => void) {
    this.#time = time;
    this.#event = event;
    this.#say = say;
    this.#begun = time.now;
  }

  /** @param words made only where the event is among these */
  tell(events: readonly number[], words: () => string): void {
    if (this.#event === undefined || !events.includes(this.#event)) return;
    const seconds = ((this.#time.now - this.#begun) / 1_000).toFixed(1);
    this.#say(`${seconds.padStart(9)} s  ${words().padEnd(72)} ${this.suffix()}`.trimEnd());
  }

  /** As {@link tell}, of what concerns every event. */
  tellAll(words: () => string): void {
    if (this.#event !== undefined) this.tell([this.#event], words);
  }
}
