import { createHash } from 'node:crypto';
import { GetObjectCommand, paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3';
import { parse } from 'papaparse';

import type { BrokenEvent, PublishedEvent } from './simulated-stream';

/** What to audit: the objects under a prefix, against what was published. */
export interface AuditRequest {
  s3: S3Client;
  bucket: string;
  /** As the pipeline has it, with or without a slash at its end; empty for the whole bucket. */
  prefix: string;
  ledger: { readonly published: readonly PublishedEvent[]; readonly broken: readonly BrokenEvent[] };
}

/** A field whose value is not the event's. */
export interface ChangedField {
  key: string;
  column: string;
  expected: string;
  actual: string;
}

/** What the lake holds, compared with what was published. */
export interface Audit {
  /** Events published, the broken ones among them. */
  published: number;
  rows: number;
  /** CSV objects. */
  objects: number;
  /** Objects with a rejected event. */
  rejected: number;
  /** Keys of events without a row, and the beginning of the text of broken events that are not under `rejected/`. */
  missing: string[];
  /** Once for each time too many. */
  repeated: string[];
  /** What is in the lake and was not published: keys, beginnings of rejected texts, or names of objects. */
  unknown: string[];
  changed: ChangedField[];
}

/** What Sluice adds to the columns, unless `SLUICE_KEY_COLUMN` is off. */
const keyColumn = '_key';

/** Default columns whose name is not the path of their value. */
const pathOfColumn: ReadonlyMap<string, string> = new Map([
  ['event_id', 'meta.id'],
  ['dt', 'meta.dt'],
  ['uri', 'meta.uri'],
  ['length_old', 'length.old'],
  ['length_new', 'length.new'],
  ['revision_old', 'revision.old'],
  ['revision_new', 'revision.new'],
  ['topic', 'meta.topic'],
  ['partition', 'meta.partition'],
  ['offset', 'meta.offset'],
]);

/** What a pipeline writes down of itself, below its prefix. */
const OWN_OBJECT = /^_sluice\/(?:owner|cursor|adoptions\/[0-9a-f]{8})\.json$/;

/**
 * Reads every object of a pipeline and compares it with what was published: each event has one row with the
 * event's values, or, if it is broken, one object under `rejected/`. Shares no code with the pipeline on
 * purpose, the CSV parser included: a mistake made twice would not be seen. Where the ledger has no payloads,
 * values are not compared.
 *
 * @throws Error when an object is not the CSV or JSON that it should be
 */
export async function auditLake({ s3, bucket, prefix, ledger }: AuditRequest): Promise<Audit> {
  const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
  const rows = new Tally(ledger.published.map(({ key }) => key));
  const rejects = new Tally(ledger.broken.map(({ text }) => text));
  const eventOfKey = new Map(ledger.published.map((event) => [event.key, event]));
  const strangers: string[] = [];
  const changed: ChangedField[] = [];
  let objects = 0;

  for await (const name of objectNames(s3, bucket, folder)) {
    if (name.startsWith(`${folder}rejected/`)) {
      rejects.add(rejectedText(name, await readText(s3, bucket, name)));
    } else if (name.startsWith(`${folder}canaries/`)) {
      // Kept for whoever looks for holes in offsets; the ledger does not list them.
      continue;
    } else if (OWN_OBJECT.test(name.slice(folder.length))) {
      // It tells of the pipeline, and holds no event.
      continue;
    } else if (name.endsWith('.csv')) {
      objects += 1;
      for (const row of parseRows(name, await readText(s3, bucket, name))) {
        const key = row.get('event_id') ?? '';
        rows.add(key);
        changed.push(...changedFields(row, eventOfKey.get(key)));
      }
    } else {
      strangers.push(name);
    }
  }

  return {
    published: ledger.published.length + ledger.broken.length,
    rows: rows.count,
    objects,
    rejected: rejects.count,
    missing: [...rows.missing(), ...rejects.missing().map(beginning)],
    repeated: [...rows.repeated, ...rejects.repeated.map(beginning)],
    unknown: [...rows.unknown, ...rejects.unknown.map(beginning), ...strangers],
    changed,
  };
}

/** One line for people; what should never be is added only where there is some. */
export function formatAudit(audit: Audit): string {
  const { published, rows, objects, rejected, missing, repeated, unknown, changed } = audit;
  const found = `${rows} rows in ${objects} objects, ${rejected} rejected`;
  const parts = [found, `${missing.length} missing`, `${repeated.length} repeated`];
  if (unknown.length > 0) parts.push(`${unknown.length} unknown`);
  if (changed.length > 0) parts.push(`${changed.length} changed`);
  return `${published} events published: ${parts.join(', ')}`;
}

/** Counts what was found of what was expected. */
class Tally {
  count = 0;
  readonly repeated: string[] = [];
  readonly unknown: string[] = [];
  readonly #expected: ReadonlySet<string>;
  readonly #found = new Set<string>();

  constructor(expected: readonly string[]) {
    this.#expected = new Set(expected);
  }

  add(item: string): void {
    this.count += 1;
    if (!this.#expected.has(item)) this.unknown.push(item);
    else if (this.#found.has(item)) this.repeated.push(item);
    this.#found.add(item);
  }

  missing(): string[] {
    return [...this.#expected].filter((item) => !this.#found.has(item));
  }
}

async function* objectNames(s3: S3Client, bucket: string, folder: string): AsyncGenerator<string> {
  for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: bucket, Prefix: folder })) {
    for (const { Key } of page.Contents ?? []) if (Key !== undefined) yield Key;
  }
}

async function readText(s3: S3Client, bucket: string, name: string): Promise<string> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: name }));
  return (await Body?.transformToString('utf-8')) ?? '';
}

/** The rows of a CSV object, each by the names in the header. */
function parseRows(name: string, text: string): ReadonlyMap<string, string>[] {
  // Told nothing, papaparse guesses the line end, and a CR in a field makes it guess wrong.
  const { data, errors } = parse<string[]>(text, { delimiter: ',', newline: '\n' });
  const [error] = errors;
  if (error) throw new Error(`${name} is not CSV: ${error.message} in record ${error.row}.`);
  const [header, ...records] = text.endsWith('\n') ? data.slice(0, -1) : data;
  if (!header?.includes('event_id')) throw new Error(`${name} has no column event_id: it can't be audited.`);
  return records.map((record, index) => {
    if (record.length !== header.length) {
      throw new Error(
        `${name} has ${record.length} fields in record ${index + 1}, and ${header.length} columns.`,
      );
    }
    return new Map(header.map((column, position) => [column, record[position] ?? '']));
  });
}

function changedFields(row: ReadonlyMap<string, string>, event: PublishedEvent | undefined): ChangedField[] {
  if (!event) return [];
  const { key, text } = event;
  const value: unknown = text === '' ? undefined : JSON.parse(text);
  return [...row]
    .filter(([column]) => text !== '' || column === keyColumn)
    .map(([column, actual]) => {
      const expected = column === keyColumn ? digestOf(`payload:${key}`) : expectedField(value, column);
      return { key, column, expected, actual };
    })
    .filter(({ expected, actual }) => expected !== actual);
}

/** The first 64 bits of the SHA-256, in hexadecimal. */
function digestOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 16);
}

function expectedField(event: unknown, column: string): string {
  const value = valueAt(event, pathOfColumn.get(column) ?? column);
  if (value === undefined || value === null) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  // A lone surrogate has no UTF-8: in any file it is U+FFFD.
  return Buffer.from(text).toString();
}

function valueAt(event: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => (isRecord(value) ? value[name] : undefined), event);
}

function rejectedText(name: string, json: string): string {
  const rejected: unknown = JSON.parse(json);
  if (isRecord(rejected) && typeof rejected['text'] === 'string') return rejected['text'];
  throw new Error(`${name} has no text: a rejected event must be kept whole.`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** Enough of a broken event to recognise it: the whole may be a megabyte. */
function beginning(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
