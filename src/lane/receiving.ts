import { backoffMs } from '../backoff';
import type { LaneLimits } from './limits';
import type { ReceiveSize } from './room';
import type { Received } from './received';
import type { WaitWork } from './work';

/** After a receive that failed, in milliseconds. */
const FIRST_WAIT_MS = 1_000;

/** The receives of a lane: which are under way, what the last one told of the queue, and how long to wait after those that fail. */
export class Receiving {
  readonly #limits: LaneLimits;
  /** Under way or waited after, with the rows that each may bring. A receive that is waited after keeps its place. */
  readonly #places = new Map<number, number>();
  readonly #waits = new Map<WaitWork, number>();
  #failures = 0;
  /** The last receive met a backlog. */
  #hasBacklog = false;
  /** The last one that was answered did. */
  #sawBacklog = false;

  constructor(limits: LaneLimits) {
    this.#limits = limits;
  }

  get underWay(): number {
    return this.#places.size;
  }

  /** Rows that the receives under way may bring: they must find their place. */
  get rows(): number {
    return [...this.#places.values()].reduce((sum, rows) => sum + rows, 0);
  }

  get hasBacklog(): boolean {
    return this.#hasBacklog;
  }

  /** As far as the last answer told, whatever failed since. */
  get sawBacklog(): boolean {
    return this.#sawBacklog;
  }

  begin(number: number, { most }: ReceiveSize): void {
    this.#places.set(number, most);
  }

  /** @returns milliseconds to wait before the next one: SQS refused some of its polls */
  answered({ behind, refusedPolls }: Received): number {
    this.#hasBacklog = behind;
    this.#sawBacklog = behind;
    this.#failures = 0;
    return refusedPolls > 0 ? FIRST_WAIT_MS : 0;
  }

  /** @returns milliseconds to wait before the next one */
  failed(): number {
    this.#hasBacklog = false;
    this.#failures += 1;
    return backoffMs(this.#failures, { first: FIRST_WAIT_MS, most: this.#limits.longestReceiveWaitMs });
  }

  /** What was handed out is not known. */
  lost(): void {
    this.#hasBacklog = false;
  }

  end(number: number): void {
    this.#places.delete(number);
  }

  /** Its place stays taken until the lane woke. */
  endAfter(number: number, wait: WaitWork): void {
    this.#waits.set(wait, number);
  }

  woke(wait: WaitWork): void {
    const number = this.#waits.get(wait);
    this.#waits.delete(wait);
    if (number !== undefined) this.end(number);
  }
}
