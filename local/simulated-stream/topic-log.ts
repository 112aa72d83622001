/** One event in a partition of the log. */
export interface LogEntry {
  offset: number;
  /** Milliseconds since 1970; not monotonic, as in Kafka with the producer's timestamps. */
  timestamp: number;
  /** What is sent. Undefined for a withheld event, which uses up its offset and is not sent. */
  text: string | undefined;
}

/**
 * The log of one topic partition, as Kafka keeps it: offsets without holes, and a search by timestamp.
 * Holds at least the last `retained` entries and forgets older ones.
 */
export class TopicLog {
  readonly partition = 0;
  readonly #entries: LogEntry[] = [];
  #firstOffset: number;

  constructor(
    readonly topic: string,
    firstOffset: number,
    private readonly retained: number,
  ) {
    this.#firstOffset = firstOffset;
  }

  /** The offset that the next event will have. */
  get end(): number {
    return this.#firstOffset + this.#entries.length;
  }

  append(timestamp: number, text: string | undefined): void {
    this.#entries.push({ offset: this.end, timestamp, text });
    // Forgetting one at a time would move the whole array for each event.
    if (this.#entries.length < 2 * this.retained) return;
    this.#firstOffset += this.#entries.splice(0, this.#entries.length - this.retained).length;
  }

  /**
   * Gives an entry its text. Of the readers, only those that begin before it get it.
   *
   * @throws RangeError when the entry is forgotten
   */
  fill(offset: number, text: string): void {
    const entry = this.at(offset);
    if (entry?.offset !== offset)
      throw new RangeError(`The log of ${this.topic} does not hold offset ${offset}.`);
    entry.text = text;
  }

  /** The entry at this offset, or the oldest that is kept when that one is forgotten. */
  at(offset: number): LogEntry | undefined {
    return this.#entries[Math.max(0, offset - this.#firstOffset)];
  }

  /**
   * The first offset whose event is at least this young, going by offset: what Kafka's offsetsForTimes
   * answers. Events behind it may be older.
   */
  offsetForTime(timestamp: number): number | undefined {
    return this.#entries.find((entry) => entry.timestamp >= timestamp)?.offset;
  }
}
