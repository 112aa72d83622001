/** Of each kind of finding so many are named; all are counted. */
export const MOST_NAMED = 20;

/** Findings of one kind. */
export interface Found<T> {
  /** All there are, in the unit that the kind counts in. */
  count: number;
  /** The first of them, 20 at most. */
  named: T[];
}

/** Collects findings of one kind, and keeps the first. */
export class Findings<T> implements Found<T> {
  count = 0;
  readonly named: T[] = [];

  /** @param count how many of the unit this finding stands for */
  add(finding: T, count = 1): void {
    this.count += count;
    if (this.named.length < MOST_NAMED) this.named.push(finding);
  }
}
