/** A row that waits for its batch. */
export interface WaitingRow {
  /** Digest of the event's key. */
  key: string;
  cells: readonly string[];
  /** Bytes of the cells as JSON. */
  bytes: number;
  /** Workflow time at which the row was admitted. */
  admittedAt: number;
}

export interface AssemblerLimits {
  rows: number;
  /** Milliseconds for which the oldest row waits for others. */
  flushAfterMs: number;
}

/** The most that one batch holds: it travels as one payload. */
export const BATCH_BYTES = 512 * 1024;

/** When rows become a batch. Every row leaves exactly once, in the order in which it came. Pure. */
export class Assembler {
  readonly #limits: AssemblerLimits;
  #rows: WaitingRow[];
  #bytes: number;

  constructor(limits: AssemblerLimits, rows: readonly WaitingRow[] = []) {
    this.#limits = limits;
    this.#rows = [...rows];
    this.#bytes = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get rows(): readonly WaitingRow[] {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(row: WaitingRow): void {
    this.#rows.push(row);
    this.#bytes += row.bytes;
  }

  /** The clock began anew, perhaps before the rows were admitted. @param now epoch milliseconds */
  beginAnew(now: number): void {
    this.#rows = this.#rows.map((row) => ({ ...row, admittedAt: Math.min(row.admittedAt, now) }));
  }

  /** When the oldest row has waited long enough; undefined while none waits. */
  get dueAt(): number | undefined {
    const [oldest] = this.#rows;
    return oldest && oldest.admittedAt + this.#limits.flushAfterMs;
  }

  /**
   * Takes the next batch, if there is one: full by rows or bytes, or due.
   *
   * @param flush whether what waits is a batch, however little it is
   */
  take(now: number, flush = false): WaitingRow[] | undefined {
    const count = this.#fitting();
    const isFull = count === this.#limits.rows || count < this.#rows.length;
    const isDue = this.dueAt !== undefined && this.dueAt <= now;
    if (count === 0 || !(isFull || isDue || flush)) return undefined;
    const batch = this.#rows.splice(0, count);
    this.#bytes -= batch.reduce((sum, { bytes }) => sum + bytes, 0);
    return batch;
  }

  /** How many of the oldest rows one batch takes. A row larger than a batch would go alone. */
  #fitting(): number {
    let bytes = 0;
    let count = 0;
    for (const row of this.#rows) {
      bytes += row.bytes;
      if (count === this.#limits.rows || (count > 0 && bytes > BATCH_BYTES)) break;
      count += 1;
    }
    return count;
  }
}
