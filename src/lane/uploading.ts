import { batchKey, type LaneLife } from '../lake/layout';
import { type PlaceColumns, placeColumnsOf } from '../lake/place-columns';
import type { ObjectAcl, PipelineDefinition } from '../pipeline/definition';
import type { WaitingRow } from './assembler';
import type { LaneLimits } from './limits';
import type { UploadInput, UploadWork } from './work';

/** A batch in its final form: every try to upload it writes the same bytes to the same key. JSON. */
export interface FrozenBatch {
  sequence: number;
  bucket: string;
  objectKey: string;
  acl?: ObjectAcl;
  /** Of the definition whose columns the rows have. */
  version: number;
  columns: string[];
  place: PlaceColumns;
  rows: (readonly string[])[];
  /** Digests of the rows' keys. */
  keys: string[];
  /** Whether they are written, as a last column. */
  keyColumn: boolean;
  bytes: number;
  /** When its oldest row was received, in epoch milliseconds. */
  admittedAt: number;
}

/** The batches of a lane, from the moment in which they are frozen until they are in the lake. */
export class Uploading {
  readonly #life: LaneLife;
  readonly #limits: LaneLimits;
  #nextSequence: number;
  /** Not being uploaded, in order of their sequence. */
  #frozen: FrozenBatch[];
  readonly #underWay = new Map<number, FrozenBatch>();

  constructor(life: LaneLife, limits: LaneLimits, nextSequence = 1, frozen: readonly FrozenBatch[] = []) {
    this.#life = life;
    this.#limits = limits;
    this.#nextSequence = nextSequence;
    this.#frozen = [...frozen];
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** What continue-as-new carries, while nothing is under way. */
  get frozen(): readonly FrozenBatch[] {
    return this.#frozen;
  }

  /** Whether another batch would find its place. */
  get hasRoom(): boolean {
    return this.#frozen.length + this.#underWay.size < this.#limits.uploadsAtOnce;
  }

  /** Rows of all batches that are not known to be in the lake. */
  get load(): { rows: number; bytes: number } {
    const batches = [...this.#frozen, ...this.#underWay.values()];
    return {
      rows: batches.reduce((sum, { rows }) => sum + rows.length, 0),
      bytes: batches.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  /**
   * @param rows at least one
   * @param now epoch milliseconds
   */
  freeze(
    rows: readonly [WaitingRow, ...WaitingRow[]],
    definition: PipelineDefinition,
    { version, now }: { version: number; now: number },
  ): void {
    const { bucket, prefix, acl, columns, keyColumn } = definition.lake;
    const [first] = rows;
    const sequence = this.#nextSequence;
    this.#nextSequence += 1;
    this.#frozen.push({
      sequence,
      bucket,
      objectKey: batchKey(prefix, {
        ...this.#life,
        sequence,
        frozenAt: now,
        firstKeyDigest: first.key,
      }),
      ...(acl === undefined ? {} : { acl }),
      version,
      columns: columns.map(({ name }) => name),
      place: placeColumnsOf(definition),
      rows: rows.map(({ cells }) => cells),
      keys: rows.map(({ key }) => key),
      keyColumn,
      bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0),
      admittedAt: first.admittedAt,
    });
  }

  *work(): Iterable<UploadWork> {
    while (this.#underWay.size < this.#limits.uploadsAtOnce) {
      const batch = this.#frozen.shift();
      if (!batch) return;
      this.#underWay.set(batch.sequence, batch);
      yield { kind: 'upload', sequence: batch.sequence, input: inputOf(batch) };
    }
  }

  /** @returns the batch, which is in the lake now, or is frozen again */
  ended(sequence: number, isWritten: boolean): FrozenBatch {
    const batch = this.#underWay.get(sequence);
    if (!batch) throw new Error(`batch ${sequence} is not being uploaded`);
    this.#underWay.delete(sequence);
    if (!isWritten)
      this.#frozen = [...this.#frozen, batch].sort((one, other) => one.sequence - other.sequence);
    return batch;
  }
}

function inputOf(batch: FrozenBatch): UploadInput {
  const { bucket, objectKey: key, acl, version, columns, place, rows, keys, keyColumn } = batch;
  return {
    bucket,
    key,
    ...(acl === undefined ? {} : { acl }),
    version,
    columns,
    place,
    rows,
    ...(keyColumn ? { keys } : {}),
  };
}
