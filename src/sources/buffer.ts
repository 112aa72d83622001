import { Gate } from './gate';

/** What a buffer holds before it counts as full. It takes more: what was received is received. */
export interface BufferLimits {
  /** Default: any number. */
  items?: number;
  bytes: number;
}

/** Places of items that were taken, at most. */
const MOST_TAKEN = 1_000;

/** What a source has received and its reader has not taken. Whoever fills it waits for room, so that back-pressure reaches the connection. */
export class EventBuffer<T extends object> {
  readonly #limits: Required<BufferLimits>;
  readonly #room = new Gate();
  readonly #news = new Gate();
  #waiting: ({ item: T; bytes: number } | undefined)[] = [];
  /** Places at the beginning of {@link #waiting} whose items were taken: to take each away by itself would move all the others. */
  #taken = 0;
  #bytes = 0;
  #problem: Error | undefined;

  constructor(limits: BufferLimits) {
    this.#limits = { items: Infinity, ...limits };
  }

  put(item: T, bytes: number): void {
    this.#waiting.push({ item, bytes });
    this.#bytes += bytes;
    if (this.#isFull()) this.#room.close();
    this.#news.open();
  }

  /** Ends the reading with an error, after what is in the buffer. The first error counts. */
  fail(problem: Error): void {
    this.#problem ??= problem;
    this.#news.open();
  }

  /** Resolves when the buffer is not full, or when the signal aborts. */
  async room(signal: AbortSignal): Promise<void> {
    await this.#room.passed(signal);
  }

  /**
   * Takes items as they come, until the signal aborts. What is not taken then stays: see {@link rest}.
   *
   * @throws the error of {@link fail}
   */
  async *read(signal: AbortSignal): AsyncGenerator<T> {
    while (!signal.aborted) {
      for (const item of this.rest()) {
        yield item;
        if (signal.aborted) return;
      }
      if (this.#problem) throw this.#problem;
      this.#news.close();
      await this.#news.passed(signal);
    }
  }

  /** Takes what is there, waiting for nothing. */
  *rest(): Generator<T> {
    for (let next = this.#take(); next; next = this.#take()) {
      this.#bytes -= next.bytes;
      if (!this.#isFull()) this.#room.open();
      yield next.item;
    }
  }

  /** Drops what is there, and lets go whoever waits for room. */
  clear(): void {
    this.#waiting = [];
    this.#taken = 0;
    this.#bytes = 0;
    this.#room.open();
  }

  #take(): { item: T; bytes: number } | undefined {
    const next = this.#waiting[this.#taken];
    // What is taken is held no longer: it may be large.
    if (next) this.#waiting[this.#taken++] = undefined;
    if (!next || this.#taken >= MOST_TAKEN) {
      this.#waiting = this.#waiting.slice(this.#taken);
      this.#taken = 0;
    }
    return next;
  }

  #isFull(): boolean {
    const items = this.#waiting.length - this.#taken;
    return items >= this.#limits.items || this.#bytes >= this.#limits.bytes;
  }
}
