/** Where an event stands in its source. */
export interface Place {
  /** Name of the event's topic partition; empty where nothing says. */
  partition: string;
  /** Within the partition, where something says. */
  offset: number | undefined;
  /** Of a source that knows: the first offset from which on there is nothing up to the event. See {@link passOffset}. */
  from?: number;
}

export function partitionName(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

/** Offsets further apart than this are not of one count: half an hour of Wikimedia's recentchange. */
export const JUMP = 100_000;
