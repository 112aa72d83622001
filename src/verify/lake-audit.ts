import { type KnownPlace, partitionName } from '../event/place';
import { ADDED_MEMBERS } from '../pipeline/names';
import { isKafkaUrl } from '../sources/kafka/address';
import type { Column } from '../pipeline/definition';
import { Findings, type Found } from './findings';
import { type BatchObject, HOUR_MS, type KeptObject, type ListedObject } from '../lake/layout';
import type { ReadCsv } from '../lake/reader';
import { KeyDigests, type RepeatedKey, RepeatedKeys } from './repeated-keys';
import {
  checkSequence,
  isJudged,
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
  /** Undefined where no columns make a row itself. */
  keys: KeyReport | undefined;
  /** Undefined where the columns with topic, partition and offset are missing. */
  offsets: (OffsetReport & { rowsWithout: number }) | undefined;
  /** Paths of columns with which more could be checked; empty where all is. */
  wanted: { keys: readonly string[]; offsets: readonly string[] };
  /** Objects that are not what they should be. */
  broken: Found<{ object: string; problem: string }>;
  /** Objects that are none of Sluice's. */
  unknown: Found<{ object: string }>;
  /** Prefixes within this one that belong to other pipelines: what lies there is not judged. */
  others: Found<{ prefix: string }>;
  /** When a source that can't be resumed was not listened to, ISO 8601: what it published meanwhile is lost. */
  gaps: Found<{ from: string; to: string }>;
}

/** A check that could not be made. */
export interface Unchecked {
  /** The lake as such, its sequence, its keys (repeats) or its offsets (missing rows). */
  check: 'lake' | 'sequence' | 'keys' | 'offsets';
  /**
   * `nothing-there`: neither objects nor a claim lie under the prefix. `too-young`: what is missing may still be on its way.
   * `no-columns`: the pipeline has none that would tell. `rows-without`: some rows have nothing in them. `rejected-unreadable`:
   * rejected events may account for what is missing, and their offsets can't be read. `another-count`: offsets are so far apart
   * that they are of two counts.
   */
  reason:
    'nothing-there' | 'too-young' | 'no-columns' | 'rows-without' | 'rejected-unreadable' | 'another-count';
  /** How many sequence numbers, offsets, rows or counts it is about. */
  count: number;
}

export interface KeyReport {
  /** Paths of the columns that make a row itself. */
  paths: readonly string[];
  /** Rows whose key is empty, or that have no such column: they are not compared. */
  rowsWithout: number;
  repeated: Found<RepeatedKey>;
}

/** Paths of columns that tell rows apart, and where they stood in their source. */
export interface RowPaths {
  /** Sets of columns, each of which makes a row itself; the first that is there holds. */
  keys: readonly (readonly string[])[];
  /** Topic, partition and offset, and where the source has it the first offset from which on there was nothing. Empty: none. */
  place: readonly string[];
  /** Whether it may well be that no row has a place: of a stream that may be any. */
  isPlaceOptional: boolean;
  /** Whether places are those of records of Kafka, not those that payloads state. */
  isOfRecords: boolean;
  /** Where the key is whatever a payload has there: only text and numbers are keys. Undefined where it is nowhere of that kind. */
  keyInPayload: string | undefined;
}

/** What makes a row itself, whatever the source. */
const OWN_KEY = `${ADDED_MEMBERS.sluice}.key`;

const META_PLACE = ['meta.topic', 'meta.partition', 'meta.offset'] as const;
const RECORD_PLACE = ['kafka.topic', 'kafka.partition', 'kafka.offset', 'kafka.from'] as const;

/**
 * What a pipeline's rows are told apart by: what its lane tells its events apart by. Where that is a key in the payload, a
 * second event with it is no row, and no offset can be missed.
 */
export function rowPathsOf({ url, key = '' }: { url: string; key?: string | undefined }): RowPaths {
  const common = { isPlaceOptional: false, isOfRecords: false, keyInPayload: undefined };
  if (key !== '') return { ...common, keys: [[key], [OWN_KEY]], place: [], keyInPayload: key };
  if (isKafkaUrl(url)) {
    return { ...common, keys: [RECORD_PLACE.slice(0, 3), [OWN_KEY]], place: RECORD_PLACE, isOfRecords: true };
  }
  if (isEventStreams(url)) {
    return { ...common, keys: [['meta.id'], META_PLACE, [OWN_KEY]], place: META_PLACE };
  }
  // Of any other stream `meta.id` may name a thing: only beside a place it is an event's.
  const keys = [[OWN_KEY], ['meta.id', ...META_PLACE], META_PLACE];
  return { ...common, keys, place: META_PLACE, isPlaceOptional: true };
}

/** Wikimedia's service, or another of its kind (KafkaSSE). */
function isEventStreams(url: string): boolean {
  const { hostname, pathname } = new URL(url);
  return /(^|\.)wikimedia\.org$/.test(hostname) || pathname.startsWith('/v2/stream/');
}

/** What a listing of the lake says by itself. */
export interface Listed extends Pick<
  LakeReport,
  'claimed' | 'bucket' | 'prefix' | 'canaries' | 'rejected' | 'gaps' | 'unknown' | 'others'
> {
  batches: readonly BatchObject[];
}

interface RowFacts {
  key: string | undefined;
  place: KnownPlace | undefined;
}

/** Judges a lake by what its objects hold. Pure: whoever reads the objects hands them in. */
export class LakeAudit {
  readonly #columns: readonly Column[];
  readonly #paths: RowPaths;
  readonly #rules: Rules;
  readonly #keyPaths: readonly string[] | undefined;
  readonly #digests = new KeyDigests();
  readonly #offsets: OffsetCheck;
  readonly #broken = new Findings<{ object: string; problem: string }>();
  #repeated: RepeatedKeys | undefined;
  #objects = 0;
  #rows = 0;
  #rowsWithoutKey = 0;
  #rowsWithoutPlace = 0;

  /** @param columns of the pipeline; an object's own header says where they stand in it */
  constructor(columns: readonly Column[], paths: RowPaths, rules: Rules) {
    this.#columns = columns;
    this.#paths = paths;
    this.#rules = rules;
    this.#keyPaths = paths.keys.find((some) => this.#has(some));
    // A topic of Kafka has one count, and its rows say which offsets hold no record.
    this.#offsets = new OffsetCheck(rules, { mayJump: !paths.isOfRecords });
  }

  /** Takes a batch's object, in the first pass. */
  addBatch(object: BatchObject, csv: ReadCsv): void {
    if (isJudged(object, this.#rules)) this.#objects += 1;
    if (!csv.ok) return this.addBroken(object, csv.problem);
    if (isJudged(object, this.#rules)) this.#rows += csv.rows.length;
    const without = isJudged(object, this.#rules) ? 1 : 0;
    for (const { key, place } of this.#facts(csv)) {
      if (key === undefined) this.#rowsWithoutKey += without;
      else this.#digests.add(key);
      if (place === undefined) this.#rowsWithoutPlace += without;
      else this.#offsets.addRow(object, place);
    }
  }

  /** Takes a batch's object that came while others were read, to see which of the offsets that they lack came late. */
  addLate(object: BatchObject, csv: ReadCsv): void {
    if (!csv.ok) return;
    for (const { place } of this.#facts(csv)) if (place !== undefined) this.#offsets.addRow(object, place);
  }

  /** See {@link OffsetCheck.addKept}. */
  addKept(object: KeptObject, place: KnownPlace | undefined): void {
    this.#offsets.addKept(object, place);
  }

  addBroken({ key }: ListedObject, problem: string): void {
    this.#broken.add({ object: key, problem });
  }

  /** Whether anything is missing that events sent again could explain. */
  hasHoles(): boolean {
    return this.#offsets.hasHoles();
  }

  /** Whether an offset is missing that may still come. */
  mayComeYet(): boolean {
    return this.#offsets.mayComeYet();
  }

  /** Whether the objects must be read once more, to name the keys that are repeated. Ends the first pass. */
  wantsMore(): boolean {
    this.#repeated ??= new RepeatedKeys(this.#digests);
    return this.#repeated.wantsRows;
  }

  /** Takes a batch's object, in the second pass. */
  lookForRepeats({ key: object }: BatchObject, csv: ReadCsv): void {
    if (!csv.ok) return;
    for (const [index, { key }] of this.#facts(csv).entries()) {
      if (key !== undefined) this.#repeated?.see(key, { object, row: index + 1 });
    }
  }

  /** @param listed what the listing says, once everything was taken */
  report(listed: Listed): LakeReport {
    const { batches, ...lake } = listed;
    const report = {
      ...lake,
      hours: isoHours(this.#rules),
      graceSeconds: this.#rules.graceMs / 1_000,
      objects: this.#objects,
      rows: this.#rows,
      sequence: checkSequence(batches, this.#rules),
      keys: this.#keyReport(),
      offsets: this.#offsetReport(),
      wanted: {
        keys: this.#keyPaths ? [] : (this.#paths.keys[0] ?? []),
        offsets: this.#has(this.#paths.place) || this.#paths.isPlaceOptional ? [] : this.#paths.place,
      },
      broken: this.#broken,
    };
    return { whole: countFindings(report) === 0, unchecked: uncheckedOf(report), ...report };
  }

  #keyReport(): KeyReport | undefined {
    const paths = this.#keyPaths;
    if (!paths || !this.#repeated) return undefined;
    return { paths, rowsWithout: this.#rowsWithoutKey, repeated: this.#repeated.found() };
  }

  #offsetReport(): LakeReport['offsets'] {
    const { place, isPlaceOptional } = this.#paths;
    if (place.length === 0 || !this.#has(place)) return undefined;
    if (isPlaceOptional && this.#rowsWithoutPlace === this.#rows) return undefined;
    return { ...this.#offsets.report(), rowsWithout: this.#rowsWithoutPlace };
  }

  #has(paths: readonly string[]): boolean {
    return paths.every((wanted) => this.#columns.some(({ path }) => path === wanted));
  }

  /** Nothing, or what is no key in a payload either. */
  #isNoKey(field: string): boolean {
    const [path] = this.#keyPaths ?? [];
    return field === '' || (path === this.#paths.keyInPayload && isJson(field));
  }

  #facts({ header, rows }: Extract<ReadCsv, { ok: true }>): RowFacts[] {
    const indexOf = (path: string) =>
      header.indexOf(this.#columns.find((column) => column.path === path)?.name ?? '');
    const [idPath, ...others] = this.#keyPaths ?? [];
    const idAt = indexOf(idPath ?? '');
    const placeAt = this.#paths.place.map(indexOf);
    return rows.map((row) => {
      const place = rowPlace(placeAt.map((at) => row[at]));
      const isPlace = idPath === this.#paths.place[0];
      const id = isPlace ? place && `${place.partition} offset ${place.offset}` : row[idAt];
      const key = others.length > 0 && !place ? undefined : id;
      return { key: key === undefined || this.#isNoKey(key) ? undefined : key, place };
    });
  }
}

/** Whether a field is the JSON of what is neither text nor a number. */
function isJson(field: string): boolean {
  if (!/^(?:true$|false$|[[{])/.test(field)) return false;
  try {
    JSON.parse(field);
    return true;
  } catch {
    return false;
  }
}

function rowPlace([topic = '', partition = '', offset = '', from = '']: (string | undefined)[]):
  KnownPlace | undefined {
  if (topic === '' || !isDigits(partition) || !isDigits(offset)) return undefined;
  return {
    partition: partitionName(topic, Number(partition)),
    offset: Number(offset),
    ...(isDigits(from) ? { from: Number(from) } : {}),
  };
}

function isDigits(field: string): boolean {
  return /^\d+$/.test(field) && Number.isSafeInteger(Number(field));
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
function uncheckedOf({ claimed, objects, rows, sequence, keys, offsets, wanted }: Judged): Unchecked[] {
  const hasRows = rows > 0;
  const all: Unchecked[] = [
    { check: 'lake', reason: 'nothing-there', count: claimed || objects > 0 ? 0 : 1 },
    { check: 'sequence', reason: 'too-young', count: sequence.onTheWay },
    { check: 'keys', reason: 'no-columns', count: hasRows && !keys ? rows : 0 },
    { check: 'keys', reason: 'rows-without', count: keys?.rowsWithout ?? 0 },
    { check: 'offsets', reason: 'no-columns', count: hasRows && wanted.offsets.length > 0 ? rows : 0 },
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
