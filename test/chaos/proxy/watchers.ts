/**
 * Points at which the backend has carried a request out and the client does not know yet:
 *
 * - `sent`: SQS took messages
 * - `received`: SQS brought messages, which are hidden now
 * - `put`: an object is written
 * - `deleted`: messages are gone
 */
export type Point = 'sent' | 'received' | 'put' | 'deleted';

export interface Sighting {
  point: Point;
  /** The queue's URL; the object's path, `/bucket/key`. */
  place: string;
  /** None for an object. */
  messageIds: string[];
}

/** While the promise that it returns is pending, the answer is held back. */
export type Listener = (sighting: Sighting) => void | Promise<void>;

export class Watchers {
  readonly #listeners = new Map<Point, Set<Listener>>();

  /** @returns what ends the observation */
  observe(point: Point, listener: Listener): () => void {
    const listeners = this.#listeners.get(point) ?? new Set();
    this.#listeners.set(point, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Resolves when no listener holds the answer back any more. */
  async saw(sighting: Sighting): Promise<void> {
    const listeners = [...(this.#listeners.get(sighting.point) ?? [])];
    await Promise.all(listeners.map(async (listener) => await listener(sighting)));
  }
}
