import { isCount, partitionName } from '../event/place';

/** How far one topic partition was read. Wikimedia's ids hold one or the other, never both. */
export type Position = { timestamp: number } | OffsetPosition;

/** The offset of what is to be read next, and what a source that reads a log itself remembers beside it. */
export interface OffsetPosition {
  offset: number;
  /** Where no event came last: from here up to `offset` there is none. It goes into the place of the next event. */
  from?: number;
  /** Of Kafka: the epochs in which the newest of what was read was written, and where each begins, as far as was read. The oldest first. */
  epochs?: readonly EpochStart[];
  /** Of Kafka: how often the log lost its end before here. What comes after that is further, though its offset may be lower. */
  cuts?: number;
}

/** Kafka counts an epoch for each leader of a partition. With the offset it makes a record itself. */
export type EpochStart = readonly [epoch: number, offset: number];

/** Positions by {@link partitionName}, which holds topic and partition. */
export type Positions = Readonly<Record<string, Position>>;

/**
 * Where to resume a source: the furthest position, per partition, of the contiguous prefix of events that
 * SQS has confirmed. JSON, since it travels in heartbeats and in workflow state.
 */
export interface Cursor {
  /**
   * Epoch milliseconds: where a partition without a position begins. A little before the first event that was read, where the
   * pipeline's beginning is later: then it is ahead of the source's clock, and what comes until then is wanted.
   */
  since: number;
  positions: Positions;
  /**
   * What the ids of an SSE stream are: Wikimedia's, which state positions, or its own. The first event with one decides, for good.
   * Without it the stream has given none so far, or is none of SSE.
   */
  ids?: 'wikimedia' | 'own';
  /** Of a stream with ids of its own: the last one as it came. */
  lastEventId?: string;
  /**
   * Of a stream that gave one id to several events: the id before the last one, empty where there was none. The last one's events may
   * not all have come, and a server resumes behind all of them.
   */
  sharedAfter?: string;
  /** Whether an event was read: of a stream without ids nothing else says so. */
  began?: true;
  /**
   * Digests (16 hexadecimal digits each, joined) of the confirmed events that a resumed source sends once more,
   * by partition. Resuming must go back a little (see {@link REWIND_MS}), and a partition that has fallen
   * silent would be sent its last two seconds again at every reconnect, long after the window forgot them.
   */
  recent: Readonly<Record<string, string>>;
  /**
   * Epoch milliseconds of the newest event that it covers, of a source whose positions state no times. For people and metrics:
   * it decides nothing.
   */
  time?: number;
}

/**
 * How far before its cursor a stream is resumed. Events of one millisecond share an id and ids step back by
 * some milliseconds, so that resuming from the last id itself would skip a twin or a late neighbour
 * (37 and 16 of 1,685 events in one capture of recentchange). Applied to the request, never stored.
 */
export const REWIND_MS = 2_000;

/** The least of it, for a source whose connections end before they get past what is sent again. */
export const LEAST_REWIND_MS = 125;

/** Characters of all positions of a stream as JSON: some are sent back in a header, and few servers take a larger one. */
export const LARGEST_POSITIONS = 16 * 1024;

/** The same of a log, whose positions only travel in heartbeats and in workflow state. */
export const LARGEST_LOG_POSITIONS = 48 * 1024;

/** What KafkaSSE calls the end of a partition. */
const LATEST = -1;

/**
 * Reads the `id` of an EventStreams message: a JSON array with one entry per topic partition.
 *
 * @returns undefined when it is not such an id
 */
export function parsePositions(id: string): Positions | undefined {
  let entries: unknown;
  try {
    entries = JSON.parse(id);
  } catch {
    return undefined;
  }
  if (!Array.isArray(entries) || entries.length === 0) return undefined;
  const positions: Record<string, Position> = {};
  for (const entry of entries as unknown[]) {
    if (typeof entry !== 'object' || entry === null) return undefined;
    const { topic, partition, timestamp, offset } = entry as Record<string, unknown>;
    if (typeof topic !== 'string' || !isCount(partition)) return undefined;
    const name = partitionName(topic, partition);
    if (isCount(timestamp)) positions[name] = { timestamp };
    else if (isCount(offset) || offset === LATEST) positions[name] = { offset };
    else return undefined;
  }
  return positions;
}

/** The times up to which partitions were read, of those that state one. */
export function timestampsOf(positions: Positions): number[] {
  return Object.values(positions).flatMap((position) =>
    'timestamp' in position ? [position.timestamp] : [],
  );
}

/** Whether anything was read up to this cursor. */
export function hasRead({ positions, lastEventId, began }: Cursor): boolean {
  return Object.keys(positions).length > 0 || lastEventId !== undefined || began === true;
}

/** The newest time that a partition was read up to, in epoch milliseconds; undefined where nothing tells. */
export function newestTime({ positions, time }: Pick<Cursor, 'positions' | 'time'>): number | undefined {
  const times = [...timestampsOf(positions), ...(time === undefined ? [] : [time])];
  return times.length === 0 ? undefined : Math.max(...times);
}

/** How far a cursor is, as ISO 8601; undefined for one that begins at the earliest event and has not read any. */
export function cursorTime(cursor: Cursor): string | undefined {
  const time = Math.max(cursor.since, newestTime(cursor) ?? 0);
  return time === 0 ? undefined : new Date(time).toISOString();
}

/** The same in words for people. */
export function describeCursor(cursor: Cursor): string {
  return cursorTime(cursor) ?? 'the beginning';
}

/** The partition an event belongs to, as far as its id tells: the furthest one. */
export function newestPartition(positions: Positions): string | undefined {
  let newest: string | undefined;
  let latest = -1;
  for (const [name, position] of Object.entries(positions)) {
    const at = 'timestamp' in position ? position.timestamp : 0;
    if (at > latest) [newest, latest] = [name, at];
  }
  return newest;
}

/**
 * Moves positions over one event: a per-partition maximum, so none goes back.
 *
 * Only the event's own partition may move by offset. For the others EventStreams names the offset at which it began
 * to read, or -1 for "latest"; kept, they would skip what is published meanwhile, or point into another cluster's
 * count. Such a partition begins at `since`. Partitions beyond `most` characters are left out: no request could name them.
 *
 * @param own name of the event's partition
 */
export function furthest(
  known: Positions,
  seen: Positions,
  { own, since, most = LARGEST_POSITIONS }: { own: string; since: number; most?: number },
): Positions {
  const moved = Object.entries(seen).flatMap(([name, position]) => {
    const before = known[name];
    const isHearsay = 'offset' in position && (name !== own || position.offset === LATEST);
    if (isHearsay) return before === undefined ? [[name, { timestamp: since }] as const] : [];
    return before === undefined || isFurther(position, before) ? [[name, position] as const] : [];
  });
  if (moved.length === 0) return known;
  const next = { ...known, ...Object.fromEntries(moved) };
  const ofKnown = moved.filter(([name]) => known[name] !== undefined);
  if (ofKnown.length === moved.length || JSON.stringify(next).length <= most) return next;
  return { ...known, ...Object.fromEntries(ofKnown) };
}

/** What the clocks of a worker and of a source may differ by. */
const CLOCKS_MS = 15 * 60_000;

/**
 * Positions of which none is far ahead of the clock. An id that states a time to come would have the next request skip all that
 * is published until then; asking early only brings repeats.
 *
 * @param now epoch milliseconds
 */
export function notAhead(positions: Positions, now: number): Positions {
  if (timestampsOf(positions).every((timestamp) => timeNotAhead(timestamp, now) === timestamp)) {
    return positions;
  }
  return Object.fromEntries(
    Object.entries(positions).map(([name, position]) => [
      name,
      'timestamp' in position ? { timestamp: timeNotAhead(position.timestamp, now) } : position,
    ]),
  );
}

/** A time that is not far ahead of the clock. Both in epoch milliseconds. */
export function timeNotAhead(time: number, now: number): number {
  return time > now + CLOCKS_MS ? now : time;
}

function isFurther(position: Position, before: Position): boolean {
  if ('timestamp' in position && 'timestamp' in before) return position.timestamp > before.timestamp;
  if ('offset' in position && 'offset' in before) {
    const cuts = (position.cuts ?? 0) - (before.cuts ?? 0);
    return cuts === 0 ? position.offset > before.offset : cuts > 0;
  }
  // An event of this partition states its position in another way than the one before.
  return true;
}

/**
 * What to ask a source for, so that nothing after the cursor is missed; `fromNow` where nothing could be asked for: a stream without ids
 * that was read before. Asked for a time, it might send everything again.
 */
export type ResumeRequest = { lastEventId: string } | { since: number } | { fromNow: true };

/** Positions by timestamp are asked for so much early, but not before the cursor's `since`. */
export function resumeRequest(cursor: Cursor, rewindMs = REWIND_MS): ResumeRequest {
  const entries = Object.entries(cursor.positions);
  if (entries.length > 0) {
    return {
      lastEventId: JSON.stringify(
        entries.map(([name, position]) => resumeEntry(name, position, cursor.since, rewindMs)),
      ),
    };
  }
  const { lastEventId, sharedAfter, began, ids } = cursor;
  if (lastEventId !== undefined) return { lastEventId: sharedAfter || lastEventId };
  return began && ids !== 'wikimedia' ? { fromNow: true } : { since: cursor.since };
}

function resumeEntry(name: string, position: Position, since: number, rewindMs: number): object {
  const slash = name.lastIndexOf('/');
  const topicPartition = { topic: name.slice(0, slash), partition: Number(name.slice(slash + 1)) };
  return 'offset' in position
    ? { ...topicPartition, offset: position.offset }
    : { ...topicPartition, timestamp: rewound(position.timestamp, since, rewindMs) };
}

/** Where a partition is resumed that was read up to `timestamp`: never after it, or events would be skipped. */
export function rewound(timestamp: number, since: number, rewindMs = REWIND_MS): number {
  return Math.min(timestamp, Math.max(since, timestamp - rewindMs));
}
