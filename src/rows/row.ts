import { readPayload, type RejectReason } from '../event/event';
import { membersOf, valueAt } from '../event/json-path';
import { ADDED_MEMBERS } from '../pipeline/names';
import { projectionOf, withoutFormula } from './columns';

/** An event as a row, or why it can't be one. */
export type ReadRow =
  | {
      ok: true;
      cells: string[];
      /** Bytes of the cells as JSON. */
      bytes: number;
    }
  | {
      ok: false;
      reason: RejectReason;
      /** In words. */
      detail: string;
    };

export interface RowOptions {
  /** Where the cells stand in an event, such as `meta.id`. */
  paths: readonly string[];
  /** Whether texts that a spreadsheet would run get a `'` before them. */
  escapeFormulas: boolean;
  /** Members that Sluice has added to the events: columns of them say nothing of what was published. */
  addedMembers: readonly string[];
}

/** A row larger than this is rejected: state and history carry rows. */
export const LARGEST_ROW_BYTES = 64 * 1024;

/** Members of an event that are named to a person, and characters of each. */
const NAMED_MEMBERS = 10;
const LONGEST_NAME = 40;

/** Makes rows of events. Made once for many, since it splits the paths. Never throws. */
export class RowReader {
  readonly #project: (event: object) => string[];
  readonly #addedMembers: readonly string[];
  /** Columns of which one at least must be in an event. */
  readonly #published: readonly (readonly string[])[];
  readonly #wantsKey: boolean;
  readonly #escapesFormulas: boolean;

  constructor({ paths, escapeFormulas, addedMembers }: RowOptions) {
    const members = paths.map(membersOf);
    this.#addedMembers = addedMembers;
    this.#published = members.filter(([first = '']) => !addedMembers.includes(first));
    this.#wantsKey = members.some(([first]) => first === ADDED_MEMBERS.sluice);
    this.#escapesFormulas = escapeFormulas;
    this.#project = projectionOf(paths.map((path) => ({ path })));
  }

  /**
   * @param text the event's JSON
   * @param key what makes the event itself
   */
  read(text: string, key: string): ReadRow {
    const read = readPayload(text);
    if (!read.ok) return { ok: false, reason: read.reason, detail: read.detail };
    const { value } = read;
    if (!this.#hasColumn(value)) return { ok: false, reason: 'no-columns', detail: this.#whatItHas(value) };
    let cells: string[];
    try {
      cells = this.#project(this.#wantsKey ? { ...value, [ADDED_MEMBERS.sluice]: { key } } : value);
    } catch (error) {
      // JSON.parse takes what JSON.stringify then overflows the stack with: some thousand levels.
      return { ok: false, reason: 'nested-too-deep', detail: String(error) };
    }
    const row = measured(cells);
    // Nothing looks into a text before its size is known.
    return row.ok && this.#escapesFormulas ? measured(row.cells.map(withoutFormula)) : row;
  }

  /** A row of empty fields would be all that is left of an event of another kind. A tombstone has no payload by nature. */
  #hasColumn(event: object): boolean {
    if (this.#published.length === 0) return true;
    if (this.#published.some((members) => valueAt(event, members) !== undefined)) return true;
    const { kafka } = ADDED_MEMBERS;
    return this.#addedMembers.includes(kafka) && valueAt(event, [kafka, 'tombstone']) === true;
  }

  #whatItHas(event: object): string {
    const names = Object.keys(event).filter((name) => !this.#addedMembers.includes(name));
    const some = names.slice(0, NAMED_MEMBERS).map((name) => name.slice(0, LONGEST_NAME));
    const others = names.length > some.length ? ', …' : '';
    const members = names.length === 0 ? 'it has no members' : `its members are ${some.join(', ')}${others}`;
    return `none of the columns is in it (SLUICE_COLUMNS), and ${members}`;
  }
}

function measured(cells: string[]): ReadRow {
  const bytes = Buffer.byteLength(JSON.stringify(cells));
  if (bytes <= LARGEST_ROW_BYTES) return { ok: true, cells, bytes };
  const detail = `${bytes} bytes, and a row may have ${LARGEST_ROW_BYTES}`;
  return { ok: false, reason: 'row-too-large', detail };
}
