import { type PlaceKind, PLACE_PATHS } from '../lake/place-columns';
import type { ReadBatch } from '../lake/reader';

type GoodBatch = Extract<ReadBatch, { ok: true }>;

/** Counts how much of a lake can be checked, by what its objects have and state. */
export class Coverage {
  objects = 0;
  rows = 0;
  rowsWithKey = 0;
  /** Rows of objects with columns for places, that have one or none. */
  rowsWithPlace = 0;
  rowsWithoutPlace = 0;
  /** Rows whose source counts them, of objects without columns for it. */
  rowsWithoutColumns = 0;
  /** Rows of objects that do not state which columns those are. */
  rowsUnstated = 0;
  /** Names of objects that state nothing. */
  readonly silent: string[] = [];
  /** What counts the events of the others. */
  readonly #kinds = new Set<PlaceKind>();

  /** @param isJudged whether it counts. Hours around the range are read, too, and say what counts the events */
  add(object: string, { rows, hasKeys, stated }: GoodBatch, isJudged: boolean): void {
    const place = stated?.place;
    if (place) this.#kinds.add(place.kind);
    if (!isJudged) return;
    this.objects += 1;
    this.rows += rows.length;
    if (hasKeys) this.rowsWithKey += rows.length;
    if (!stated) this.silent.push(object);
    if (!place) this.rowsUnstated += rows.length;
    else if (place.at.length > 0) this.#addPlaces(rows);
    else if (isCounted(place.kind)) this.rowsWithoutColumns += rows.length;
  }

  #addPlaces(rows: GoodBatch['rows']): void {
    const withPlace = rows.filter(({ place }) => place !== undefined).length;
    this.rowsWithPlace += withPlace;
    this.rowsWithoutPlace += rows.length - withPlace;
  }

  /** Whether rows are records of Kafka: then rejected events have the place of one, too. */
  get isOfRecords(): boolean {
    return this.#kinds.has('kafka');
  }

  /** Whether rows have places at all: of a stream that may be any, none may have one. */
  get hasPlaces(): boolean {
    return this.rowsWithPlace > 0 || (this.rowsWithoutPlace > 0 && [...this.#kinds].some(isCounted));
  }

  /** Paths of the columns without which offsets can't be checked; empty where none is missing. */
  get wantedPaths(): readonly string[] {
    if (this.rowsWithoutColumns === 0) return [];
    return PLACE_PATHS[this.isOfRecords ? 'kafka' : 'meta'];
  }
}

/** Whether the source is sure to count its events. */
function isCounted(kind: PlaceKind): boolean {
  return kind === 'kafka' || kind === 'meta';
}
