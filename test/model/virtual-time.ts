interface Due {
  time: number;
  /** Counts what was asked for. */
  number: number;
  what: () => void;
}

/** A clock that stands still but for {@link step}: hours pass in milliseconds, and the same way each time. */
export class VirtualTime {
  /** A binary heap, the next one first. */
  readonly #due: Due[] = [];
  #now: number;
  #asked = 0;

  /** @param now epoch milliseconds */
  constructor(now: number) {
    this.#now = now;
  }

  get now(): number {
    return this.#now;
  }

  /** What is due at one time happens in the order in which it was asked for. @param time epoch milliseconds */
  at(time: number, what: () => void): void {
    this.#asked += 1;
    const due = { time: Math.max(time, this.#now), number: this.#asked, what };
    let place = this.#due.push(due) - 1;
    for (let above = parentOf(place); place > 0 && this.#swaps(place, above); above = parentOf(place)) {
      place = above;
    }
  }

  after(ms: number, what: () => void): void {
    this.at(this.#now + ms, what);
  }

  /** Goes on to what is due next, and lets it happen. @returns false where nothing is */
  step(): boolean {
    const [next] = this.#due;
    const last = this.#due.pop();
    if (!next || !last) return false;
    if (this.#due.length > 0) {
      this.#due[0] = last;
      this.#sink();
    }
    this.#now = next.time;
    next.what();
    return true;
  }

  #sink(): void {
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      const isRightFirst = isBefore(this.#due[left + 1], this.#due[left]);
      const child = isRightFirst ? left + 1 : left;
      if (!this.#swaps(child, place)) return;
      place = child;
    }
  }

  /** Swaps the two where the lower one is due first. */
  #swaps(lower: number, upper: number): boolean {
    const [one, other] = [this.#due[lower], this.#due[upper]];
    if (!one || !other || !isBefore(one, other)) return false;
    this.#due[lower] = other;
    this.#due[upper] = one;
    return true;
  }
}

function parentOf(place: number): number {
  return (place - 1) >> 1;
}

function isBefore(one: Due | undefined, other: Due | undefined): boolean {
  if (!one || !other) return false;
  return one.time < other.time || (one.time === other.time && one.number < other.number);
}
