import { randomUUID } from 'node:crypto';
import { keyOf, sha256 } from '../../event/key';

/**
 * Payloads that are counted at once. An id may stick for good: then the longest unseen payload is counted from one again, when
 * more keys than any window holds have come since.
 */
const MOST_COUNTED = 100_000;

/**
 * Gives the events of an SSE stream their keys, where the stream's ids are its own. An id alone does not make an event itself: several
 * events may have one, and events without an id stand under the last one that came. So a key is made of the id in force, of
 * the payload, and of how many events with that payload came under the id before. A server that resumes behind an id
 * sends the same events in the same order again, and each gets the key that it had.
 */
export class EventNames {
  #inForce = '';
  readonly #counts = new Map<string, number>();

  /** The id under which the next event stands that has none of its own; empty before the first one. */
  get inForce(): string {
    return this.#inForce;
  }

  /** A connection begins. The id that it was resumed from is in force; empty: it was resumed from none. */
  connected(id: string): void {
    this.#inForce = id;
    this.#counts.clear();
  }

  /** @param id the event's own; empty where it has none */
  keyOf({ id, text }: { id: string; text: string }): string {
    if (id !== '' && id !== this.#inForce) this.connected(id);
    if (this.#inForce === '') return arrivalKey();
    // The event that brought the id does not come again where a server resumes behind it: the others are counted without it.
    const what = `${id === '' ? 'later' : 'own'} ${sha256(text)}`;
    const count = (this.#counts.get(what) ?? 0) + 1;
    this.#counts.delete(what);
    this.#counts.set(what, count);
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > MOST_COUNTED && oldest !== undefined) this.#counts.delete(oldest);
    return keyOf('id', sha256(JSON.stringify([this.#inForce, what, count])));
  }
}

/** The key of an event that nothing can bring again. */
export function arrivalKey(): string {
  return keyOf('arrival', randomUUID());
}
