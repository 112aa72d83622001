import { membersOf, valueAt } from '../event/json-path';
import type { Column } from '../pipeline/definition';
import { KEY_COLUMN } from '../pipeline/names';

export const DEFAULT_COLUMNS = [
  'event_id=meta.id,dt=meta.dt,uri=meta.uri',
  'id,type,namespace,title,comment,timestamp,user,bot,minor,patrolled,server_name,wiki',
  'length_old=length.old,length_new=length.new,revision_old=revision.old,revision_new=revision.new',
  'log_type,log_action',
  'topic=meta.topic,partition=meta.partition,offset=meta.offset',
].join(',');

/**
 * Reads `name=path` pairs joined by commas; `name` alone is short for `name=name`.
 *
 * @throws Error with the rule that `text` breaks
 */
export function parseColumns(text: string): Column[] {
  const columns = pairsOf(text).map(columnOf);
  const twice = columns.find(({ name }, index) => columns.findIndex((other) => other.name === name) < index);
  if (twice) throw new Error(`must name every column once, and names ${JSON.stringify(twice.name)} twice`);
  // Some readers, DuckDB among them, take names that differ in capitals for one.
  const key = columns.find(({ name }) => name.toLowerCase() === KEY_COLUMN);
  if (key)
    throw new Error(`must leave the name ${key.name} to the column that Sluice adds (SLUICE_KEY_COLUMN)`);
  return columns;
}

/** What {@link parseColumns} reads. */
export function printColumns(columns: readonly Column[]): string {
  return columns.map(({ name, path }) => (name === path ? name : `${name}=${path}`)).join(',');
}

/** Blanks, a sign, or a word between them. What may hold a sign without meaning it is to be a token of its own here. */
const TOKEN = /\s+|[,=]|[^\s,=]+/g;
const NAME = /^[^\s"'=]+$/;
const PATH = /^[^\s.=]+(\.[^\s.=]+)*$/;

function tokensOf(text: string): string[] {
  return text.match(TOKEN) ?? [];
}

/** What stands between the commas, as it was written. */
function pairsOf(text: string): string[] {
  const pairs: string[] = [];
  let pair = '';
  for (const token of tokensOf(text)) {
    if (token === ',') pairs.push(pair);
    pair = token === ',' ? '' : pair + token;
  }
  return [...pairs, pair];
}

function columnOf(pair: string): Column {
  const [name = '', equals, value = '', ...rest] = tokensOf(pair.trim());
  const path = equals === undefined ? name : value;
  const isPair = (equals ?? '=') === '=' && rest.length === 0;
  if (!isPair || !NAME.test(name) || !PATH.test(path)) {
    throw new Error(`must be name=path pairs joined by commas, which ${JSON.stringify(pair)} is not`);
  }
  return { name, path };
}

/**
 * How events become rows; made once for many, since it splits the paths.
 *
 * @returns what makes a row of an event: one text per column; see {@link cell}
 */
export function projectionOf(columns: readonly Pick<Column, 'path'>[]): (event: object) => string[] {
  const paths = columns.map(({ path }) => membersOf(path));
  return (event) => paths.map((members) => cell(valueAt(event, members)));
}

/**
 * What begins with one of these a spreadsheet may run: the signs, in full width too, and what some take away before they look.
 * (OWASP, "CSV Injection", its Web Security Testing Guide under the same title, and ASVS 5.0 1.2.10, which adds NUL.)
 */
const FORMULA_START = /^[=+\-@\uFF1D\uFF0B\uFF0D\uFF20\t\r\n\0]/;

const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/**
 * @param text a cell
 * @returns the same, with a `'` before it where a spreadsheet would run it. A text that is a number, such as `-5`, is no formula: marking those too
 *   is what makes such guards corrupt data
 */
export function withoutFormula(text: string): string {
  return FORMULA_START.test(text) && !NUMBER.test(text) ? `'${text}` : text;
}

/**
 * A value as it stands in a field: missing, null and empty text are the empty field; objects and arrays
 * are JSON; numbers and booleans are what JavaScript prints (so integers beyond 2^53 are rounded).
 */
function cell(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
