/** Places of late keys that are kept though the keys are gone: to drop each by itself would move all the others. */
const MOST_GONE = 1_000;

/**
 * The settled keys of a window, by when each was sent. Most settle in that order. Those of a message that had to be waited for, or that
 * a lost receive hid, settle late, and take their place among the older ones: as new ones they would push out keys that were sent after them.
 */
export class SettledKeys {
  /** Key to when it was sent, in that order: a map keeps it. */
  readonly #inTime = new Map<string, number>();
  /** Goes on where it was: a new one would pass over the place of each key that was deleted before, half of a lane's time. */
  #oldestInTime: Iterator<[string, number]>;
  #next: [key: string, sentAt: number] | undefined;
  #newest = -Infinity;
  readonly #late = new Map<string, number>();
  /** Those of {@link #late} and others that are gone, in the order in which they were sent, from {@link #lateFrom} on. */
  #lateOrder: [key: string, sentAt: number][] = [];
  #lateFrom = 0;

  constructor() {
    this.#oldestInTime = this.#inTime.entries();
  }

  get size(): number {
    return this.#inTime.size + this.#late.size;
  }

  has(key: string): boolean {
    return this.#inTime.has(key) || this.#late.has(key);
  }

  /** @param sentAt when it was sent, in epoch milliseconds */
  add(key: string, sentAt: number): void {
    if (sentAt >= this.#newest) {
      this.#newest = sentAt;
      this.#inTime.set(key, sentAt);
      return;
    }
    this.#late.set(key, sentAt);
    this.#lateOrder.splice(this.#placeOf(sentAt), 0, [key, sentAt]);
  }

  /** @returns whether it was there */
  delete(key: string): boolean {
    return this.#inTime.delete(key) || this.#late.delete(key);
  }

  /** Takes the key that was sent first; undefined where there is none. */
  takeOldest(): string | undefined {
    const inTime = this.#peekInTime();
    const late = this.#peekLate();
    if (late && (!inTime || late[1] < inTime[1])) {
      this.#lateFrom += 1;
      this.#late.delete(late[0]);
      return late[0];
    }
    if (!inTime) return undefined;
    this.#next = undefined;
    this.#inTime.delete(inTime[0]);
    return inTime[0];
  }

  /** @returns all, the longest sent first */
  entries(): [key: string, sentAt: number][] {
    return [...this.#inTime, ...this.#late].sort(([, one], [, other]) => one - other);
  }

  #peekInTime(): [string, number] | undefined {
    while (!this.#next || this.#inTime.get(this.#next[0]) !== this.#next[1]) {
      const { value, done } = this.#oldestInTime.next();
      if (done === true) return this.#beginAnew();
      this.#next = value;
    }
    return this.#next;
  }

  /** An iterator that came to the end stays there, whatever is added. */
  #beginAnew(): undefined {
    this.#oldestInTime = this.#inTime.entries();
    this.#next = undefined;
  }

  #peekLate(): [string, number] | undefined {
    if (this.#lateFrom > MOST_GONE) {
      this.#lateOrder = this.#lateOrder.slice(this.#lateFrom);
      this.#lateFrom = 0;
    }
    for (; this.#lateFrom < this.#lateOrder.length; this.#lateFrom += 1) {
      const oldest = this.#lateOrder[this.#lateFrom];
      if (oldest && this.#late.get(oldest[0]) === oldest[1]) return oldest;
    }
    return undefined;
  }

  /** Where the first one stands that was sent later. */
  #placeOf(sentAt: number): number {
    let [from, to] = [this.#lateFrom, this.#lateOrder.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#lateOrder[middle]?.[1] ?? Infinity) <= sentAt) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
