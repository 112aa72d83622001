import { sha256 } from '../event/key';
import { writeCsv } from '../rows/csv';
import { tableOf } from '../rows/table';
import type { PlaceColumns } from './place-columns';
import { bodyDigest, columnsText, metadataOf } from './stated';

/** Rows that make one object, and what there is to know of them. */
export interface RowsToWrite {
  /** Of the definition whose columns the rows have. */
  version: number;
  columns: readonly string[];
  /** Which of them hold the places of the rows. */
  place: PlaceColumns;
  rows: readonly (readonly string[])[];
  /** Digests of the rows' keys, for a last column. Default: there is none. */
  keys?: readonly string[];
}

/** An object of rows as it is written. */
export interface RowsObject {
  body: Uint8Array;
  metadata: Record<string, string>;
  /** Of header and rows. */
  digest: string;
}

/** Makes bytes and metadata of rows. The same for the same rows, as long as the CSV writer stays the same. */
export function rowsObject({ version, place, ...batch }: RowsToWrite): RowsObject {
  const { header, rows } = tableOf(batch);
  const body = writeCsv(header, rows);
  const digest = sha256(JSON.stringify([header, rows]));
  const facts = { rows: rows.length, columns: columnsText(header), version, place };
  return { body, digest, metadata: metadataOf({ digest, sha256: bodyDigest(body), ...facts }) };
}
