import { KEY_COLUMN } from '../pipeline/names';

/** What stands in one CSV object. */
export interface Table {
  /** Column names. */
  header: readonly string[];
  /** One text per column. */
  rows: readonly (readonly string[])[];
}

/**
 * Puts the key of each row into a last column.
 *
 * @param keys digests, one for each row. Default: no such column
 * @throws Error where there is not one for each
 */
export function tableOf({
  columns,
  rows,
  keys,
}: {
  columns: readonly string[];
  rows: Table['rows'];
  keys?: readonly string[] | undefined;
}): Table {
  if (!keys) return { header: columns, rows };
  if (keys.length !== rows.length)
    throw new Error(`${keys.length} keys are not those of ${rows.length} rows`);
  return {
    header: [...columns, KEY_COLUMN],
    rows: rows.map((cells, index) => [...cells, keys[index] ?? '']),
  };
}
