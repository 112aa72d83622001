/** Where an event stands in its source. */
export interface Place {
  /** Name of the event's topic partition; empty where nothing says. */
  partition: string;
  /** Within the partition; undefined where nothing says. */
  offset: number | undefined;
  /**
   * Of a source that reads the log itself: there is nothing from here up to the event. Compaction, aborted
   * transactions and their markers leave offsets without an event, and none of them is missing.
   */
  from?: number;
}

/** Of an event whose partition and offset are known. */
export interface KnownPlace extends Place {
  offset: number;
}

/** Of an event of which nothing says where it stands. */
export const NOWHERE: Place = { partition: '', offset: undefined };

export function partitionName(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

/** Whether a value is a number that a partition or an offset may be. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** Offsets further apart than this are not of one count: half an hour of Wikimedia's recentchange. */
export const JUMP = 100_000;
