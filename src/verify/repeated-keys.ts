import { keyDigest } from '../event/key';
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
  key: string;
  /** Rows that have it. */
  times: number;
  places: RowPlace[];
}

/** The first pass: digests of 64 bits, eight bytes a row, so that a lake's size is no matter. */
export class KeyDigests {
  #digests = new BigUint64Array(1_024);
  #count = 0;

  add(key: string): void {
    if (this.#count === this.#digests.length) {
      const larger = new BigUint64Array(this.#count * 2);
      larger.set(this.#digests);
      this.#digests = larger;
    }
    this.#digests[this.#count] = digestOf(key);
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

/** The second pass: reads the rows again, to name the first of the repeated keys. */
export class RepeatedKeys {
  #count = 0;
  #rowsLeft = 0;
  /** By digest and key: two keys may share a digest, and are no repeat then. */
  readonly #sought = new Map<bigint, Map<string, RepeatedKey>>();

  constructor(digests: KeyDigests) {
    for (const { digest, times } of digests.repeated()) {
      this.#count += 1;
      if (this.#sought.size === MOST_NAMED) continue;
      this.#sought.set(digest, new Map());
      this.#rowsLeft += times;
    }
  }

  /** Whether rows must still be seen to name the keys. */
  get wantsRows(): boolean {
    return this.#rowsLeft > 0;
  }

  see(key: string, place: RowPlace): void {
    const keys = this.#sought.get(digestOf(key));
    if (!keys) return;
    this.#rowsLeft -= 1;
    const known = keys.get(key) ?? { key, times: 0, places: [] };
    known.times += 1;
    if (known.places.length < MOST_PLACES) known.places.push(place);
    keys.set(key, known);
  }

  /** Counts keys. Those beyond the ones that are named are counted by their digests. */
  found(): Found<RepeatedKey> {
    const keys = [...this.#sought.values()].flatMap((keys) => [...keys.values()]);
    const named = keys.filter(({ times }) => times > 1);
    return { count: this.#count - this.#sought.size + named.length, named };
  }
}

function digestOf(key: string): bigint {
  return BigInt(`0x${keyDigest(key)}`);
}
