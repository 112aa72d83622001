import { parse } from 'papaparse';
import type { ListedObject } from './layout';
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
