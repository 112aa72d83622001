import { parse } from 'papaparse';
import type { KnownPlace } from '../event/place';
import { KEY_COLUMN } from '../pipeline/names';
import type { ListedObject } from './layout';
import { placeIn } from './place-columns';
import { bodyDigest, columnsText, type Stated, statedIn } from './stated';
import type { LakeStore, ObjectContent } from './store';

/** Reads the lake back: what its objects hold. */

const READS_AT_ONCE = 8;

/** A batch's object, or what is wrong with it. */
export type ReadCsv =
  | { ok: true; header: readonly string[]; rows: readonly (readonly string[])[] }
  | { ok: false; problem: string };

/**
 * Reads objects, eight at once, in the order given.
 *
 * @returns each object with its content; undefined where it is gone since it was listed
 * @throws the S3 client's error
 */
export async function* readObjects<T extends ListedObject>(
  store: Pick<LakeStore, 'read'>,
  objects: Iterable<T>,
): AsyncGenerator<{ object: T; content: ObjectContent | undefined }> {
  const ahead: Promise<{ object: T; content: ObjectContent | undefined }>[] = [];
  for (const object of objects) {
    const read = store.read(object.key).then((content) => ({ object, content }));
    // A failure is told when its turn comes; until then, and where nobody waits any more, it must not end the process.
    read.catch(() => {});
    ahead.push(read);
    if (ahead.length === READS_AT_ONCE) yield* ahead.splice(0, 1);
  }
  yield* ahead;
}

/** A row as it stands in the lake. */
export interface BatchRow {
  cells: readonly string[];
  /** The digest of what makes it itself; undefined in an object without such a column. */
  key: string | undefined;
  /** Undefined where it states none, or nothing says which columns would. */
  place: KnownPlace | undefined;
}

/** An object of rows, and what it states of itself, or what is wrong with it. */
export type ReadBatch =
  | {
      ok: true;
      header: readonly string[];
      rows: readonly BatchRow[];
      /** Whether there is a column of keys. */
      hasKeys: boolean;
      /** Undefined where it states nothing. */
      stated: Stated | undefined;
      /** In what it is not what was written, in words; undefined where nothing shows that it is not. */
      changed: string | undefined;
    }
  | { ok: false; problem: string };

/** Reads an object of rows, by its header and its metadata alone. Never throws. */
export function readBatch({ body, metadata }: Pick<ObjectContent, 'body' | 'metadata'>): ReadBatch {
  const csv = readCsv(body);
  if (!csv.ok) return csv;
  const { header } = csv;
  const stated = statedIn(metadata);
  const changed = stated && whatChanged(stated, { body, header, rows: csv.rows.length });
  const keyAt = header.indexOf(KEY_COLUMN);
  const hasKeys = keyAt !== -1;
  const rows = csv.rows.map((cells) => ({
    cells,
    key: hasKeys ? cells[keyAt] : undefined,
    place: stated?.place && placeIn(cells, stated.place),
  }));
  const without = hasKeys ? rows.findIndex(({ key }) => !isKeyDigest(key)) : -1;
  if (without !== -1) {
    return { ok: false, problem: changed ?? `row ${without + 1} has no key in ${KEY_COLUMN}` };
  }
  return { ok: true, header, rows, hasKeys, stated, changed };
}

const ANOTHER_BODY =
  'its body is not the one that was written: it has another SHA-256 than its metadata states';
const OTHER_COLUMNS = 'its columns are not those that its metadata states';

function whatChanged(
  stated: Stated,
  { body, header, rows }: { body: Uint8Array; header: readonly string[]; rows: number },
): string | undefined {
  if (bodyDigest(body) !== stated.sha256) return ANOTHER_BODY;
  if (rows !== stated.rows) return `it has ${rows} rows, and its metadata states ${stated.rows}`;
  return columnsText(header) === stated.columns ? undefined : OTHER_COLUMNS;
}

function isKeyDigest(field: string | undefined): boolean {
  return field !== undefined && /^[0-9a-f]{16}$/.test(field);
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

function utf8(body: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return undefined;
  }
}
