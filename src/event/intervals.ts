/** Whole numbers without a hole: both ends belong to it. */
export interface Span {
  from: number;
  to: number;
}

/**
 * A set of whole numbers, as its spans: numbers that come roughly in order need little room, however many there are.
 * Each span has an owner, which is whatever brought its lowest number.
 */
export class Intervals<Owner> {
  /** In their order; between two of them at least one number is missing. */
  readonly #spans: (Span & { owner: Owner })[] = [];

  /** @returns false when the number was there already; then nothing changes */
  add(value: number, owner: Owner): boolean {
    return this.addSpan({ from: value, to: value }, owner);
  }

  /** @returns false when all of its numbers were there already; then nothing changes */
  addSpan(span: Span, owner: Owner): boolean {
    const missing = this.missing(span);
    for (const part of missing) this.#insert(part, owner);
    return missing.length > 0;
  }

  /** Of a span none of whose numbers is there. */
  #insert({ from, to }: Span, owner: Owner): void {
    const at = this.#lastFrom(from);
    const below = this.#spans[at];
    const above = this.#spans[at + 1];
    const joinsBelow = below?.to === from - 1;
    const joinsAbove = above?.from === to + 1;
    if (joinsBelow && joinsAbove) {
      below.to = above.to;
      this.#spans.splice(at + 1, 1);
    } else if (joinsBelow) below.to = to;
    else if (joinsAbove) Object.assign(above, { from, owner });
    else this.#spans.splice(at + 1, 0, { from, to, owner });
  }

  contains(value: number): boolean {
    const below = this.#spans[this.#lastFrom(value)];
    return below !== undefined && value <= below.to;
  }

  /** The lowest and the highest number; undefined when there is none. */
  get extent(): Span | undefined {
    const [lowest] = this.#spans;
    const highest = this.#spans.at(-1);
    return lowest && highest && { from: lowest.from, to: highest.to };
  }

  /**
   * Spans of numbers that are missing below the highest one, each with the owner of the number after it.
   *
   * @param since where to begin; default: at the lowest number
   */
  holes(since = this.extent?.from ?? 0): (Span & { next: Owner })[] {
    let from = since;
    return this.#spans.flatMap((span) => {
      const hole = { from, to: span.from - 1, next: span.owner };
      from = Math.max(from, span.to + 1);
      return hole.from <= hole.to ? [hole] : [];
    });
  }

  /** What of a span is missing. */
  missing({ from, to }: Span): Span[] {
    const missing: Span[] = [];
    let next = from;
    for (let at = Math.max(0, this.#lastFrom(from)); next <= to; at += 1) {
      const span = this.#spans[at];
      const end = Math.min(to, (span?.from ?? Infinity) - 1);
      if (next <= end) missing.push({ from: next, to: end });
      next = span ? Math.max(next, span.to + 1) : Infinity;
    }
    return missing;
  }

  /** Index of the last span that begins at or before a number; -1 when there is none. */
  #lastFrom(value: number): number {
    let low = 0;
    let high = this.#spans.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#spans[middle]?.from ?? Infinity) <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
