import { type BatchObject, classify, HOUR_MS } from '../../src/lake/layout';
import { type WrittenLife, writtenLives } from '../../src/lake/newest';
import type { Adopted, AdoptInput, UploadWork } from '../../src/lane/work';
import { eventOf, isKeyed, keyOf, KEY_COLUMN } from './events';
import type { Trace } from './trace';

export interface StoredObject {
  sequence: number;
  /** Of all columns and rows. */
  content: string;
  /** Events of its rows; undefined where a row does not fit the columns, or has another's key. */
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
  /** What lanes wrote down that took the place of others. */
  readonly closed: WrittenLife[] = [];
  readonly #written = new Set<number>();
  readonly #trace: Trace;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  /** @returns whether the key holds this content now */
  put({ sequence, input: { key, columns, rows, keys } }: UploadWork): boolean {
    const content = JSON.stringify({ columns, rows, keys });
    const there = this.objects.get(key);
    if (there) {
      if (there.content === content) return true;
      this.differing.add(key);
      return false;
    }
    const isKeyedRight = isKeyed(columns) === (keys !== undefined);
    const events = rows.map((cells, index) =>
      isKeyedRight ? eventIn(cells, columns, keys?.[index]) : undefined,
    );
    this.objects.set(key, { sequence, content, events });
    const known = events.filter((event) => event !== undefined);
    for (const event of known) this.#written.add(event);
    this.#trace.tell(known, () => `row of object ${sequence}`);
    return true;
  }

  /** What a lane reads, and writes down, that goes on where another one ended. */
  adopt({ keys }: Pick<AdoptInput, 'keys'>): Adopted {
    const events = [...this.objects.values()].flatMap((object) => object.events);
    const known = events.filter((event) => event !== undefined);
    const { batches } = this;
    this.closed.push(...writtenLives(batches));
    const newestHour = Math.max(0, ...batches.map(({ hour }) => hour)) * HOUR_MS;
    return { keys: [...new Set(known)].slice(-keys).map(keyOf).join(''), newestHour };
  }

  /** All objects, by what their keys say. */
  get batches(): BatchObject[] {
    return [...this.objects.keys()].flatMap((key) => {
      const object = classify('raw', { key, modifiedAt: 0 });
      return object.kind === 'batch' ? [object] : [];
    });
  }

  keepRejected(event: number): void {
    this.rejected.add(event);
  }

  /** The queue holds the event no more. */
  isGone(event: number): void {
    if (!this.#written.has(event) && !this.rejected.has(event)) this.tooLate.add(event);
  }
}

/** @param written what stands in the last column as the row's key */
function eventIn(
  cells: readonly string[],
  columns: readonly string[],
  written: string | undefined,
): number | undefined {
  const key = cells[columns.indexOf(KEY_COLUMN.name)];
  const isRow = cells.length === columns.length && key !== undefined && /^[0-9a-f]{16}$/.test(key);
  return isRow && (written ?? key) === key ? eventOf(key) : undefined;
}
