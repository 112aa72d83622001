import type { KnownPlace } from '../event/place';
import type { Adoption } from '../lake/adoption';
import { Coverage } from './coverage';
import { Findings, type Found } from './findings';
import {
  type AdoptionObject,
  type BatchObject,
  HOUR_MS,
  type KeptObject,
  type LaneLife,
  type ListedObject,
} from '../lake/layout';
import type { ReadBatch } from '../lake/reader';
import { KeyDigests, type RepeatedKey, RepeatedKeys } from './repeated-keys';
import {
  checkSequence,
  ClosedNumbers,
  isJudged,
  mayComeYet,
  OffsetCheck,
  type OffsetReport,
  type Rules,
  type SequenceReport,
} from './verification';

/** What `sluice verify` found. JSON. */
export interface LakeReport {
  /** Nothing is missing, twice, broken or unknown, as far as it could be checked. */
  whole: boolean;
  /** Checks that could not be made, wholly or in part. Empty where all were: then `whole` is all there is to know. */
  unchecked: Unchecked[];
  /** Whether a lane has claimed the prefix. */
  claimed: boolean;
  bucket: string;
  prefix: string;
  /** The UTC hours judged, ISO 8601: `since` is the first, `until` the first after them. Without one: all there are. */
  hours: { since?: string; until?: string };
  /** Seconds for which what is missing before a new object may still be on its way. */
  graceSeconds: number;
  /** CSV objects. */
  objects: number;
  rows: number;
  /** Objects under `canaries/` and `rejected/`. */
  canaries: number;
  rejected: number;
  sequence: SequenceReport;
  /** Undefined where no row has a key. */
  keys: KeyReport | undefined;
  /** Undefined where no column holds topic, partition and offset. */
  offsets: (OffsetReport & { rowsWithout: number }) | undefined;
  /** Paths of columns with which more could be checked; empty where all is. */
  wanted: { offsets: readonly string[] };
  /** Objects that are not what they should be, or not what was written. */
  broken: Found<{ object: string; problem: string }>;
  /** Objects that are none of Sluice's. */
  unknown: Found<{ object: string }>;
  /** Prefixes within this one that belong to other pipelines: what lies there is not judged. */
  others: Found<{ prefix: string }>;
  /** Lanes that took over from others, and when, ISO 8601. */
  adoptions: Found<LaneLife & { time: string }>;
  /** When a source that can't be resumed was not listened to, ISO 8601: what it published meanwhile is lost. */
  gaps: Found<{ from: string; to: string }>;
}

/** A check that could not be made. */
export interface Unchecked {
  /** The lake as such, its sequence, whether its objects are as they were written, its keys (repeats) or its offsets (missing rows). */
  check: 'lake' | 'sequence' | 'bodies' | 'keys' | 'offsets';
  /**
   * `nothing-there`: neither objects nor a claim lie under the prefix. `too-young`: what is missing may still be on its way.
   * `no-metadata`: objects do not state what they should hold. `no-key-column`: rows without a key. `no-columns`: the pipeline has none
   * that would tell. `rows-without`: some rows have nothing in them. `rejected-unreadable`: rejected events may account for what is
   * missing, and their offsets can't be read. `another-count`: offsets are so far apart that they are of two counts.
   */
  reason:
    | 'nothing-there'
    | 'too-young'
    | 'no-metadata'
    | 'no-key-column'
    | 'no-columns'
    | 'rows-without'
    | 'rejected-unreadable'
    | 'another-count';
  /** How many objects, sequence numbers, offsets, rows or counts it is about. */
  count: number;
}

export interface KeyReport {
  /** Rows of objects without a column of keys: they are not compared. */
  rowsWithout: number;
  repeated: Found<RepeatedKey>;
}

/** What a listing of the lake says by itself. */
export interface Listed extends Pick<
  LakeReport,
  'claimed' | 'bucket' | 'prefix' | 'canaries' | 'rejected' | 'gaps' | 'unknown' | 'others'
> {
  batches: readonly BatchObject[];
}

/** Judges a lake by what its objects hold and state. Pure: whoever reads the objects hands them in. */
export class LakeAudit {
  readonly #rules: Rules;
  readonly #coverage = new Coverage();
  readonly #digests = new KeyDigests();
  readonly #offsets: OffsetCheck;
  readonly #broken = new Findings<{ object: string; problem: string }>();
  #repeated: RepeatedKeys | undefined;
  readonly #closed = new ClosedNumbers();
  readonly #adoptions = new Findings<LaneLife & { time: string }>();
  #objects = 0;

  constructor(rules: Rules) {
    this.#rules = rules;
    this.#offsets = new OffsetCheck(rules);
  }

  /** Takes a batch's object, in the first pass. */
  addBatch(object: BatchObject, batch: ReadBatch): void {
    const isCounted = isJudged(object, this.#rules);
    if (isCounted) this.#objects += 1;
    if (!batch.ok) return this.addBroken(object, batch.problem);
    if (batch.changed !== undefined) this.addBroken(object, batch.changed);
    this.#coverage.add(object.key, batch, isCounted);
    for (const { key } of batch.rows) if (key !== undefined) this.#digests.add(key);
    this.#addPlaces(object, batch);
  }

  /** Takes a batch's object that came while others were read, to see which of the offsets that they lack came late. */
  addLate(object: BatchObject, batch: ReadBatch): void {
    if (batch.ok) this.#addPlaces(object, batch);
  }

  #addPlaces(object: BatchObject, { rows, stated }: Extract<ReadBatch, { ok: true }>): void {
    // A topic of Kafka has one count, and its rows say which offsets hold no record.
    const mayJump = stated?.place?.kind !== 'kafka';
    for (const { place } of rows) if (place !== undefined) this.#offsets.addRow(object, place, { mayJump });
  }

  /** Whether rows are records of Kafka, so that events which are no rows have the place of one, too. Ask after the first pass. */
  get isOfRecords(): boolean {
    return this.#coverage.isOfRecords;
  }

  /** See {@link OffsetCheck.addKept}. */
  addKept(object: KeptObject, place: KnownPlace | undefined): void {
    this.#offsets.addKept(object, place);
  }

  /** Takes what a lane wrote down that took over from others. */
  addAdoption({ lane, incarnation }: AdoptionObject, { time, closed }: Adoption): void {
    for (const life of closed) this.#closed.add(life);
    this.#adoptions.add({ lane, incarnation, time });
  }

  addBroken({ key }: Pick<ListedObject, 'key'>, problem: string): void {
    this.#broken.add({ object: key, problem });
  }

  /** Whether anything is missing that events sent again could explain. */
  hasHoles(): boolean {
    return this.#offsets.hasHoles();
  }

  /**
   * Whether an offset or a sequence number is missing that may still come.
   *
   * @param batches all that were listed
   */
  mayComeYet(batches: readonly BatchObject[]): boolean {
    return this.#offsets.mayComeYet() || mayComeYet(batches, this.#rules, this.#closed);
  }

  /** Whether the objects must be read once more, to name the keys that are repeated. Ends the first pass. */
  wantsMore(): boolean {
    this.#repeated ??= new RepeatedKeys(this.#digests);
    return this.#repeated.wantsRows;
  }

  /** Takes a batch's object, in the second pass. */
  lookForRepeats({ key: object }: BatchObject, batch: ReadBatch): void {
    if (!batch.ok) return;
    for (const [index, { key }] of batch.rows.entries()) {
      if (key !== undefined) this.#repeated?.see(key, { object, row: index + 1 });
    }
  }

  /** @param listed what the listing says, once everything was taken. Ask once */
  report(listed: Listed): LakeReport {
    const { batches, ...lake } = listed;
    const coverage = this.#coverage;
    if (!isCopy(coverage)) for (const key of coverage.silent) this.addBroken({ key }, SILENT);
    const report = {
      ...lake,
      hours: isoHours(this.#rules),
      graceSeconds: this.#rules.graceMs / 1_000,
      objects: this.#objects,
      rows: coverage.rows,
      sequence: checkSequence(batches, this.#rules, this.#closed),
      adoptions: this.#adoptions,
      keys: this.#keyReport(),
      offsets: this.#offsetReport(),
      wanted: { offsets: coverage.wantedPaths },
      broken: this.#broken,
    };
    return { whole: countFindings(report) === 0, unchecked: uncheckedOf(report, coverage), ...report };
  }

  #keyReport(): KeyReport | undefined {
    const { rows, rowsWithKey } = this.#coverage;
    if (rowsWithKey === 0) return undefined;
    return { rowsWithout: rows - rowsWithKey, repeated: this.#repeated?.found() ?? new Findings() };
  }

  #offsetReport(): LakeReport['offsets'] {
    const { hasPlaces, rowsWithoutPlace } = this.#coverage;
    return hasPlaces ? { ...this.#offsets.report(), rowsWithout: rowsWithoutPlace } : undefined;
  }
}

const SILENT = 'it states nothing in its metadata, as others do: another hand wrote it';

/** Whether no object states anything: somebody copied the bodies, and their metadata did not come along. */
function isCopy({ objects, silent }: Coverage): boolean {
  return objects > 0 && silent.length === objects;
}

function isoHours({ hours: { since, until } }: Rules): LakeReport['hours'] {
  const iso = (hour: number) => new Date(hour * HOUR_MS).toISOString();
  return {
    ...(since === -Infinity ? {} : { since: iso(since) }),
    ...(until === Infinity ? {} : { until: iso(until) }),
  };
}

type Judged = Omit<LakeReport, 'whole' | 'unchecked'>;

/** Where there are no rows, there is nothing to compare; where nobody claimed the prefix, it is hardly the one that was meant. */
function uncheckedOf({ claimed, objects, sequence, offsets }: Judged, coverage: Coverage): Unchecked[] {
  const { rows, rowsWithKey, rowsWithoutColumns, rowsUnstated, silent } = coverage;
  const all: Unchecked[] = [
    { check: 'lake', reason: 'nothing-there', count: claimed || objects > 0 ? 0 : 1 },
    { check: 'sequence', reason: 'too-young', count: sequence.onTheWay },
    { check: 'bodies', reason: 'no-metadata', count: isCopy(coverage) ? silent.length : 0 },
    { check: 'keys', reason: 'no-key-column', count: rows - rowsWithKey },
    { check: 'offsets', reason: 'no-metadata', count: rowsUnstated },
    { check: 'offsets', reason: 'no-columns', count: rowsWithoutColumns },
    { check: 'offsets', reason: 'rows-without', count: offsets?.rowsWithout ?? 0 },
    { check: 'offsets', reason: 'too-young', count: offsets?.onTheWay ?? 0 },
    { check: 'offsets', reason: 'rejected-unreadable', count: offsets ? excusedBy(offsets) : 0 },
    { check: 'offsets', reason: 'another-count', count: offsets?.jumps.count ?? 0 },
  ];
  return all.filter(({ count }) => count > 0);
}

/** How many missing offsets rejected events may account for, whose offsets can't be read. */
function excusedBy({ unexplained, unreadable }: OffsetReport): number {
  return Math.min(unexplained, unreadable);
}

/** How many things are missing, twice, broken or unknown. */
export function countFindings({ sequence, keys, offsets, broken, unknown }: Judged): number {
  const kinds = [
    sequence.missing,
    sequence.repeated,
    keys?.repeated,
    offsets?.missing,
    offsets?.lostAgain,
    broken,
    unknown,
  ];
  return kinds.reduce((sum, found) => sum + (found?.count ?? 0), 0);
}
