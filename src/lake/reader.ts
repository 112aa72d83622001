import { GetObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { parse } from 'papaparse';
import type { ListedObject } from './layout';

/** Reads the lake back: what there is, and what the objects hold. */

type Reader = Pick<S3Client, 'send'>;

const READS_AT_ONCE = 8;

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
