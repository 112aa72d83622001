import type { Column } from '../../src/pipeline/definition';

/** Events are numbers, in the order in which the source publishes them. */
export function keyOf(event: number): string {
  return event.toString(16).padStart(16, '0');
}

export function eventOf(key: string): number {
  return Number.parseInt(key, 16);
}

/** Whether an event can't become a row: scattered over all of them, and the same in every run. @param share of all events */
export function isRejected(event: number, share: number): boolean {
  return (Math.imul(event + 1, 2_654_435_761) >>> 0) / 2 ** 32 < share;
}

export const KEY_COLUMN: Column = { name: 'key', path: 'key' };
const FILLER: Column = { name: 'filler', path: 'filler' };
const KIND: Column = { name: 'kind', path: 'kind' };

/** Columns between which people change: rows of two of them in one object are told apart. */
export const COLUMNS: readonly (readonly Column[])[] = [
  [KEY_COLUMN, FILLER],
  [FILLER, KIND, KEY_COLUMN],
];

/** Whether rows of these columns have their keys beside them (`SLUICE_KEY_COLUMN`). */
export function isKeyed(columns: readonly string[]): boolean {
  return columns[0] === KEY_COLUMN.name;
}

/** @param paths of the columns @param filler what makes a row as large as it is */
export function cellsOf(event: number, paths: readonly string[], filler: string): string[] {
  return paths.map((path) => {
    if (path === KEY_COLUMN.path) return keyOf(event);
    return path === FILLER.path ? filler : 'edit';
  });
}

/** Of such cells as JSON. */
export function bytesOf(cells: readonly string[]): number {
  return cells.reduce((sum, { length }) => sum + length + '"",'.length, 1);
}
