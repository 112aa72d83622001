import { GetObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { parse } from 'papaparse';
import type { Gap } from '../sources/gaps';
import { CANARIES_FOLDER, OWNER_OBJECT, REJECTED_FOLDER, RESENT_FOLDER } from '../pipeline/names';
import { gapOf } from './gap-objects';
import { underPrefix } from './layout';

/** Reads the lake back: what the keys of its objects say, and what the objects hold. */

type Reader = Pick<S3Client, 'send'>;

export const HOUR_MS = 3_600_000;

const READS_AT_ONCE = 8;

const KIND_OF_FOLDER: ReadonlyMap<string, KeptObject['kind']> = new Map([
  [CANARIES_FOLDER, 'canary'],
  [REJECTED_FOLDER, 'rejected'],
  [RESENT_FOLDER, 'resent'],
] as const);

/** An object as the listing has it. */
export interface ListedObject {
  key: string;
  /** Epoch milliseconds; S3 keeps whole seconds. */
  modifiedAt: number;
}

/** An object of the lake, by what its key says. */
export type LakeObject = ListedObject &
  (
    | {
        kind: 'batch';
        sequence: number;
        /** UTC hour in which the batch was frozen, in hours since 1970. */
        hour: number;
        /** It came while others were read: it shows what came late, and is not judged itself. */
        isLate?: true;
      }
    | { kind: 'canary' | 'rejected' | 'resent'; digest: string }
    /** Time in which a source that can't be resumed was not listened to. */
    | { kind: 'gap'; gap: Gap }
    /** The object that names the lane which writes here. */
    | { kind: 'owner' }
    | { kind: 'unknown' }
  );

export type BatchObject = Extract<LakeObject, { kind: 'batch' }>;
/** An object that holds one event whole. */
export type KeptObject = Extract<LakeObject, { digest: string }>;

/** An event that is kept whole: a rejected one, a canary, or one that was sent again. Canaries have no reason. */
export interface KeptEvent {
  reason: string;
  detail: string;
  source: string;
  id: string;
  /** When it was kept, ISO 8601. */
  time: string;
  text: string;
  /** What the source knew of it beside its payload, where it was one that knows something. */
  record?: object;
}

/** What an object holds, and the tag that changes with it. */
export interface ObjectContent {
  body: Uint8Array;
  etag: string | undefined;
}

/** A batch's object, or what is wrong with it. */
export type ReadCsv =
  | { ok: true; header: readonly string[]; rows: readonly (readonly string[])[] }
  | { ok: false; problem: string };

/**
 * Lists objects in the order of their keys.
 *
 * @param startAfter a key, or the beginning of one: those up to it are left out
 * @throws the S3 client's error
 */
export async function* listObjects(
  s3: Reader,
  bucket: string,
  { prefix, startAfter }: { prefix: string; startAfter?: string },
): AsyncGenerator<ListedObject> {
  let token: string | undefined;
  do {
    const page = await s3.send(
      new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: prefix,
        StartAfter: startAfter,
        ContinuationToken: token,
      }),
    );
    for (const { Key, LastModified } of page.Contents ?? []) {
      if (Key !== undefined) yield { key: Key, modifiedAt: LastModified?.getTime() ?? 0 };
    }
    token = page.NextContinuationToken;
  } while (token !== undefined);
}

/** The beginning of the keys of an hour's batches, without a slash at its end. */
export function hourFolder(prefix: string, hour: number): string {
  const time = new Date(hour * HOUR_MS).toISOString();
  return underPrefix(prefix, `date=${time.slice(0, 10)}/hour=${time.slice(11, 13)}`);
}

/** Tells what an object is by its key. Never throws. */
export function classify(lakePrefix: string, object: ListedObject): LakeObject {
  const name = object.key.slice(underPrefix(lakePrefix, '').length);
  if (name === OWNER_OBJECT) return { ...object, kind: 'owner' };
  const gap = gapOf(name);
  if (gap) return { ...object, kind: 'gap', gap };
  const [, date, time, sequence] =
    /^date=(\d{4}-\d{2}-\d{2})\/hour=(\d{2})\/batch-(\d{10,})-[0-9a-f]{16}\.csv$/.exec(name) ?? [];
  const hour = Date.parse(`${date}T${time}:00:00Z`) / HOUR_MS;
  if (Number.isInteger(hour)) return { ...object, kind: 'batch', sequence: Number(sequence), hour };
  const [, folder = '', digest = '', sentAgain] =
    /^([a-z]+)\/([0-9a-f]{64})(-[\w.]+)?\.json$/.exec(name) ?? [];
  const kind = KIND_OF_FOLDER.get(folder);
  const isKept = kind !== undefined && (kind === 'resent') === (sentAgain !== undefined);
  return isKept ? { ...object, kind, digest } : { ...object, kind: 'unknown' };
}

/**
 * Reads objects, eight at once, in the order given.
 *
 * @returns each object with its content; undefined where it is gone since it was listed
 * @throws the S3 client's error
 */
export async function* readObjects<T extends ListedObject>(
  s3: Reader,
  bucket: string,
  objects: Iterable<T>,
): AsyncGenerator<{ object: T; content: ObjectContent | undefined }> {
  const ahead: Promise<{ object: T; content: ObjectContent | undefined }>[] = [];
  for (const object of objects) {
    const read = readObject(s3, bucket, object.key).then((content) => ({ object, content }));
    // A failure is told when its turn comes; until then, and where nobody waits any more, it must not end the process.
    read.catch(() => {});
    ahead.push(read);
    if (ahead.length === READS_AT_ONCE) yield* ahead.splice(0, 1);
  }
  yield* ahead;
}

/**
 * @returns undefined when there is no such object
 * @throws the S3 client's error
 */
export async function readObject(
  s3: Reader,
  bucket: string,
  key: string,
): Promise<ObjectContent | undefined> {
  try {
    const { Body, ETag } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return { body: (await Body?.transformToByteArray()) ?? new Uint8Array(), etag: ETag };
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchKey') return undefined;
    throw error;
  }
}

/** Reads a batch's object. Never throws. */
export function readCsv(body: Uint8Array): ReadCsv {
  const text = utf8(body);
  if (text === undefined) return { ok: false, problem: 'it is not UTF-8' };
  if (!text.endsWith('\n')) return { ok: false, problem: 'it does not end with a line end: it was cut off' };
  // Told nothing, papaparse guesses the line end, and a CR in a field makes it guess wrong.
  const { data, errors } = parse<string[]>(text, { delimiter: ',', newline: '\n' });
  const [error] = errors;
  if (error) return { ok: false, problem: `record ${error.row ?? 0} is not CSV: ${error.message}` };
  // After the last line end papaparse sees one more record, an empty one.
  const [header = [], ...rows] = data.slice(0, -1);
  const problem = wrongHeader(header) ?? wrongRows(header, rows);
  return problem === undefined ? { ok: true, header, rows } : { ok: false, problem };
}

/** Column names have no space in them, so that a CR at the end of the line is found here. */
function wrongHeader(header: readonly string[]): string | undefined {
  const wrong = header.find((name, index) => !/^[^\s"']+$/.test(name) || header.indexOf(name) < index);
  return wrong === undefined ? undefined : `its header names no columns: ${JSON.stringify(wrong)}`;
}

function wrongRows(header: readonly string[], rows: readonly (readonly string[])[]): string | undefined {
  if (rows.length === 0) return 'it has no row';
  const at = rows.findIndex((row) => row.length !== header.length);
  if (at === -1) return undefined;
  return `row ${at + 1} has ${rows[at]?.length} fields, and the header ${header.length}`;
}

/** Reads an object that holds one event whole; undefined when it is not the JSON that it should be. Never throws. */
export function readKeptEvent(body: Uint8Array): KeptEvent | undefined {
  const value = json(utf8(body));
  if (typeof value !== 'object' || value === null) return undefined;
  const {
    reason = '',
    detail = '',
    source = '',
    id = '',
    time,
    text,
    record,
  } = value as Record<string, unknown>;
  const event = { reason, detail, source, id, time, text };
  if (!Object.values(event).every((field) => typeof field === 'string')) return undefined;
  if (Number.isNaN(Date.parse(String(time)))) return undefined;
  const isRecord = typeof record === 'object' && record !== null;
  return { ...(event as KeptEvent), ...(isRecord ? { record } : {}) };
}

function utf8(body: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return undefined;
  }
}

function json(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
