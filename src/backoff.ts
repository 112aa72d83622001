export interface Backoff {
  /** Milliseconds before the second try. */
  first: number;
  /** The longest wait, in milliseconds. */
  most: number;
}

/**
 * How long to wait before trying again: twice as long after each failure.
 *
 * @param failures in a row so far: 1 is the first one
 * @returns milliseconds
 */
export function backoffMs(failures: number, { first, most }: Backoff): number {
  return Math.min(first * 2 ** (failures - 1), most);
}

/** A wait between half and all of it, so that those who failed together do not try again together. */
export function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}
