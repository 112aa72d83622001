import { type Found, MOST_NAMED } from './findings';

/** Finds keys that stand in more than one row, in two passes: one that counts digests, one that names what they are. */

/** Of each so many places are named. */
const MOST_PLACES = 5;

/** Where a row stands. */
export interface RowPlace {
  object: string;
  /** From 1; the header is not counted. */
  row: number;
}

export interface RepeatedKey {
  /** Its digest, 16 hexadecimal digits. */
  key: string;
  /** Rows that have it. */
  times: number;
  places: RowPlace[];
}

/** The first pass: eight bytes a row, so that a lake's size is no matter. Keys are digests of 16 hexadecimal digits. */
export class KeyDigests {
  #digests = new BigUint64Array(1_024);
  #count = 0;

  add(key: string): void {
    if (this.#count === this.#digests.length) {
      const larger = new BigUint64Array(this.#count * 2);
      larger.set(this.#digests);
      this.#digests = larger;
    }
    this.#digests[this.#count] = numberOf(key);
    this.#count += 1;
  }

  /** The digests that come more than once, and how often. Sorts all of them first. */
  *repeated(): Generator<{ digest: bigint; times: number }> {
    const sorted = this.#digests.subarray(0, this.#count).sort();
    let from = 0;
    for (let at = 1; at <= sorted.length; at += 1) {
      const digest = sorted[from];
      if (digest === undefined || digest === sorted[at]) continue;
      if (at - from > 1) yield { digest, times: at - from };
      from = at;
    }
  }
}

/** The second pass: reads the rows again, to say where the first of the repeated keys stand. */
export class RepeatedKeys {
  #count = 0;
  #rowsLeft = 0;
  readonly #sought = new Map<bigint, RepeatedKey>();

  constructor(digests: KeyDigests) {
    for (const { digest, times } of digests.repeated()) {
      this.#count += 1;
      if (this.#sought.size === MOST_NAMED) continue;
      this.#sought.set(digest, { key: digest.toString(16).padStart(16, '0'), times, places: [] });
      this.#rowsLeft += times;
    }
  }

  /** Whether rows must still be seen to say where the keys stand. */
  get wantsRows(): boolean {
    return this.#rowsLeft > 0;
  }

  see(key: string, place: RowPlace): void {
    const known = this.#sought.get(numberOf(key));
    if (!known) return;
    this.#rowsLeft -= 1;
    if (known.places.length < MOST_PLACES) known.places.push(place);
  }

  /** Counts keys. */
  found(): Found<RepeatedKey> {
    return { count: this.#count, named: [...this.#sought.values()] };
  }
}

function numberOf(key: string): bigint {
  return BigInt(`0x${key}`);
}
