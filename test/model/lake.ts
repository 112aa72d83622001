import type { UploadWork } from '../../src/lane/work';
import { eventOf, KEY_COLUMN } from './events';
import type { Trace } from './trace';

export interface StoredObject {
  sequence: number;
  /** Of all columns and rows. */
  content: string;
  /** Events of its rows; undefined where a row does not fit the columns. */
  events: (number | undefined)[];
}

/** The bucket: an object is written once, and what is written to its key again is compared. */
export class Lake {
  readonly objects = new Map<string, StoredObject>();
  /** Events kept under `rejected/`. */
  readonly rejected = new Set<number>();
  /** Keys of objects that were to be written with another content. */
  readonly differing = new Set<string>();
  /** Events that were in no message any more before they were here. */
  readonly tooLate = new Set<number>();
  readonly #written = new Set<number>();
  readonly #trace: Trace;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  /** @returns whether the key holds this content now */
  put({ sequence, input: { key, columns, rows } }: UploadWork): boolean {
    const content = JSON.stringify({ columns, rows });
    const there = this.objects.get(key);
    if (there) {
      if (there.content === content) return true;
      this.differing.add(key);
      return false;
    }
    const events = rows.map((cells) => eventIn(cells, columns));
    this.objects.set(key, { sequence, content, events });
    const known = events.filter((event) => event !== undefined);
    for (const event of known) this.#written.add(event);
    this.#trace.tell(known, () => `row of object ${sequence}`);
    return true;
  }

  keepRejected(event: number): void {
    this.rejected.add(event);
  }

  /** The queue holds the event no more. */
  isGone(event: number): void {
    if (!this.#written.has(event) && !this.rejected.has(event)) this.tooLate.add(event);
  }
}

function eventIn(cells: readonly string[], columns: readonly string[]): number | undefined {
  const key = cells[columns.indexOf(KEY_COLUMN.name)];
  return cells.length === columns.length && key !== undefined && /^[0-9a-f]{16}$/.test(key)
    ? eventOf(key)
    : undefined;
}
