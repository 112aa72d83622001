import type { Gap } from '../sources/gaps';

/**
 * The lake's layout: every key of an object is made here, and understood here. Nothing of an event's content reaches a key.
 *
 * ```
 * date=2026-01-31/hour=12/batch-1a2b3c4d-0000000042-3f9c0a1be27d5c44.csv      rows of lane 0
 * date=2026-01-31/hour=12/batch-l7-1a2b3c4d-0000000042-3f9c0a1be27d5c44.csv   rows of lane 7
 * rejected/<digest>.json   canaries/<digest>.json   resent/<digest>-20260131T120000.000Z.json
 * gaps/20260131T120000.000Z-20260131T121500.000Z.json
 * _sluice/owner.json   _sluice/cursor.json   _sluice/adoptions/1a2b3c4d.json
 * ```
 *
 * All stand below the lake's prefix, which may be empty. A digest is the SHA-256 of an event's key, in hexadecimal.
 */

/**
 * Uploads of one lane that are under way at once. So a sequence number that is missing can only be on its way among the newest
 * few, and whoever checks the lake goes by that.
 */
export const UPLOADS_AT_ONCE = 4;

export const HOUR_MS = 3_600_000;

/** Folders of events that are kept whole, by what the event is. */
export const KEPT_FOLDERS = { canary: 'canaries', rejected: 'rejected', resent: 'resent' } as const;

/**
 * Why an event is kept whole: it is a canary, it could not become a row, or it could not and a person sent it to the queue
 * again.
 */
export type KeptKind = keyof typeof KEPT_FOLDERS;

const KEPT_KINDS = ['canary', 'rejected', 'resent'] as const satisfies readonly KeptKind[];

/** Time in which a source that can't be resumed was not listened to. */
const GAPS_FOLDER = 'gaps';

/** The object that names the lane which alone may write here. */
const OWNER_OBJECT = '_sluice/owner.json';

/** The object that tells how far the source was read: see `kept-cursor.ts`. */
const CURSOR_OBJECT = '_sluice/cursor.json';

/** Objects that tell which lanes another one took over from: see `adoption.ts`. */
const ADOPTIONS_FOLDER = '_sluice/adoptions';

/** What numbers objects: a lane, and the time from its first start to its removal. Each counts from 1. */
export interface LaneLife {
  /** From 0. */
  lane: number;
  /** Eight lower-case hexadecimal digits: see {@link incarnationOf}. */
  incarnation: string;
}

export interface BatchName extends LaneLife {
  /** From 1. */
  sequence: number;
  /** Epoch milliseconds. */
  frozenAt: number;
  /** Digest of the first row's key, 16 hexadecimal digits. */
  firstKeyDigest: string;
}

/** An object as the listing has it. */
export interface ListedObject {
  key: string;
  /** Epoch milliseconds; S3 keeps whole seconds. */
  modifiedAt: number;
}

/** An object of the lake, by what its key says. */
export type LakeObject = ListedObject &
  (
    | (LaneLife & {
        kind: 'batch';
        sequence: number;
        /** UTC hour in which the batch was frozen, in hours since 1970. */
        hour: number;
        /** It came while others were read: it shows what came late, and is not judged itself. */
        isLate?: true;
      })
    | { kind: KeptKind; digest: string }
    | { kind: 'gap'; gap: Gap }
    | { kind: 'owner' }
    | { kind: 'cursor' }
    /** Named after the lane that took over. */
    | (LaneLife & { kind: 'adoption' })
    | { kind: 'unknown' }
  );

export type BatchObject = Extract<LakeObject, { kind: 'batch' }>;
export type AdoptionObject = Extract<LakeObject, { kind: 'adoption' }>;
/** An object that holds one event whole. */
export type KeptObject = Extract<LakeObject, { digest: string }>;

/** A part of a listing. */
export interface Part {
  prefix: string;
  /** A key, or the beginning of one: those up to it are left out. */
  startAfter?: string;
  /** The first key that is not wanted any more. */
  end?: string;
}

/** A key below the lake's prefix, which may be empty. */
export function underPrefix(prefix: string, key: string): string {
  return prefix === '' ? key : `${prefix}/${key}`;
}

/** `20260131T120000.000Z`, as a part of keys. @param time epoch milliseconds, or ISO 8601 */
export function compactTime(time: number | string): string {
  return new Date(time).toISOString().replaceAll(/[-:]/g, '');
}

/**
 * What tells a lane from another one that had its number before it: the end of the id of its workflow's first execution. That
 * execution's id stays through continue-as-new, and a lane that was removed and begun again gets another. The end, since newer versions of
 * Temporal begin run ids with the time; their end is random.
 *
 * @param firstExecutionRunId a UUID
 */
export function incarnationOf(firstExecutionRunId: string): string {
  return firstExecutionRunId.replaceAll('-', '').slice(-8).toLowerCase();
}

/** The key of a batch's object: partitioned by the UTC hour in which the batch was frozen, as Hive-style readers expect. */
export function batchKey(prefix: string, { sequence, frozenAt, firstKeyDigest, ...life }: BatchName): string {
  const number = String(sequence).padStart(10, '0');
  return `${hourFolder(prefix, Math.floor(frozenAt / HOUR_MS))}/batch-${lifeName(life)}-${number}-${firstKeyDigest}.csv`;
}

/** Of a lane, in keys; no other has it. */
export function lifeName({ lane, incarnation }: LaneLife): string {
  return lane === 0 ? incarnation : `l${lane}-${incarnation}`;
}

/** Objects by who wrote them: lanes in their order, and the incarnations of one in the order in which they come. */
export function livesOf<Batch extends LaneLife>(
  batches: readonly Batch[],
): { life: LaneLife; batches: Batch[] }[] {
  const lives = new Map<string, { life: LaneLife; batches: Batch[] }>();
  for (const batch of batches) {
    const { lane, incarnation } = batch;
    const name = lifeName(batch);
    const known = lives.get(name) ?? { life: { lane, incarnation }, batches: [] };
    known.batches.push(batch);
    lives.set(name, known);
  }
  return [...lives.values()].sort((a, b) => a.life.lane - b.life.lane);
}

/** The key of an event that is kept whole: the same however often it comes. */
export function keptKey(prefix: string, kind: Exclude<KeptKind, 'resent'>, digest: string): string {
  return `${keptFolder(prefix, kind)}${digest}.json`;
}

/** The key of an event that was sent again: one for each time that it was rejected. @param time of rejection, ISO 8601 */
export function resentKey(prefix: string, { digest, time }: { digest: string; time: string }): string {
  return `${keptFolder(prefix, 'resent')}${digest}-${compactTime(time)}.json`;
}

export function gapKey(prefix: string, { from, to }: Gap): string {
  return underPrefix(prefix, `${GAPS_FOLDER}/${compactTime(from)}-${compactTime(to)}.json`);
}

export function ownerKey(prefix: string): string {
  return underPrefix(prefix, OWNER_OBJECT);
}

export function cursorKey(prefix: string): string {
  return underPrefix(prefix, CURSOR_OBJECT);
}

/** @param life of the lane that took over */
export function adoptionKey(prefix: string, life: LaneLife): string {
  return underPrefix(prefix, `${ADOPTIONS_FOLDER}/${lifeName(life)}.json`);
}

/** The beginning of the keys of an hour's batches, without a slash at its end. @param hour in hours since 1970 */
export function hourFolder(prefix: string, hour: number): string {
  const time = new Date(hour * HOUR_MS).toISOString();
  return underPrefix(prefix, `date=${time.slice(0, 10)}/hour=${time.slice(11, 13)}`);
}

/** The beginning of the keys of events that are kept whole, with a slash at its end. */
export function keptFolder(prefix: string, kind: KeptKind): string {
  return underPrefix(prefix, `${KEPT_FOLDERS[kind]}/`);
}

/**
 * What to list: without bounds all there is; else the hours asked for with one more on each side, since rows come a little out of
 * order, and what has no hours.
 *
 * @param hours hours since 1970; `until` is the first one after them. Unbounded: -Infinity, Infinity
 */
export function partsOf(prefix: string, { since, until }: { since: number; until: number }): Part[] {
  if (since === -Infinity && until === Infinity) return [{ prefix: underPrefix(prefix, '') }];
  const hours = {
    prefix: underPrefix(prefix, 'date='),
    ...(since === -Infinity ? {} : { startAfter: hourFolder(prefix, since - 1) }),
    ...(until === Infinity ? {} : { end: hourFolder(prefix, until + 1) }),
  };
  const others = [
    ...KEPT_KINDS.map((kind) => keptFolder(prefix, kind)),
    underPrefix(prefix, `${GAPS_FOLDER}/`),
  ];
  return [hours, ...[...others, underPrefix(prefix, '_sluice/')].map((beginning) => ({ prefix: beginning }))];
}

/** Whose prefix an object claims, whatever the prefix is; undefined for an object that claims none. */
export function prefixClaimedBy(key: string): string | undefined {
  const end = `/${OWNER_OBJECT}`;
  return key.endsWith(end) ? key.slice(0, -end.length) : undefined;
}

/** Tells what an object is by its key. Never throws. */
export function classify(lakePrefix: string, object: ListedObject): LakeObject {
  const name = object.key.slice(underPrefix(lakePrefix, '').length);
  if (name === OWNER_OBJECT) return { ...object, kind: 'owner' };
  if (name === CURSOR_OBJECT) return { ...object, kind: 'cursor' };
  const known = batchNamed(name) ?? keptNamed(name) ?? gapNamed(name) ?? adoptionNamed(name);
  return { ...object, ...(known ?? { kind: 'unknown' }) };
}

const BATCH =
  /^date=(\d{4}-\d{2}-\d{2})\/hour=(\d{2})\/batch-(?:l([1-9]\d*)-)?([0-9a-f]{8})-(\d{10}|[1-9]\d{10,})-[0-9a-f]{16}\.csv$/;

function batchNamed(name: string) {
  const [, date, time, lane = '0', incarnation = '', sequence] = BATCH.exec(name) ?? [];
  const hour = Date.parse(`${date}T${time}:00:00Z`) / HOUR_MS;
  // Date.parse takes the 30th of February for the second of March, and hour 24 for the next day.
  if (!Number.isInteger(hour) || hourFolder('', hour) !== `date=${date}/hour=${time}`) return undefined;
  return { kind: 'batch', lane: Number(lane), incarnation, sequence: Number(sequence), hour } as const;
}

const KEPT = /^([a-z]+)\/([0-9a-f]{64})(?:-([\w.]+))?\.json$/;

function keptNamed(name: string) {
  const [, folder, digest = '', time] = KEPT.exec(name) ?? [];
  const kind = KEPT_KINDS.find((one) => KEPT_FOLDERS[one] === folder);
  if (kind === undefined) return undefined;
  const isComplete = kind === 'resent' ? !Number.isNaN(timeOf(time ?? '')) : time === undefined;
  return isComplete ? { kind, digest } : undefined;
}

const GAP = /^([a-z]+)\/([\w.]+)-([\w.]+)\.json$/;

function gapNamed(name: string) {
  const [, folder, from = '', to = ''] = GAP.exec(name) ?? [];
  const gap = { from: timeOf(from), to: timeOf(to) };
  return folder === GAPS_FOLDER && gap.from <= gap.to ? ({ kind: 'gap', gap } as const) : undefined;
}

const ADOPTION = /^_sluice\/adoptions\/(?:l([1-9]\d*)-)?([0-9a-f]{8})\.json$/;

function adoptionNamed(name: string) {
  const [, lane = '0', incarnation] = ADOPTION.exec(name) ?? [];
  return incarnation === undefined
    ? undefined
    : ({ kind: 'adoption', lane: Number(lane), incarnation } as const);
}

const COMPACT_TIME = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2}\.\d{3}Z)$/;

/** @returns epoch milliseconds; NaN for what is no {@link compactTime} */
function timeOf(compact: string): number {
  const time = Date.parse(compact.replace(COMPACT_TIME, '$1-$2-$3T$4:$5:$6'));
  return !Number.isNaN(time) && compactTime(time) === compact ? time : NaN;
}
