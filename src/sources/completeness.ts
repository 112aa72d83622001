import { JUMP, type Place } from '../event/place';

/**
 * Whether the source has sent everything. Wikimedia's offsets, like Kafka's, have no holes within one topic partition of one
 * cluster, so a hole that stays is an event that the source never sent. It is only reported: an offset never decides
 * whether an event is new, since another cluster counts differently.
 */

/** Offsets that did not come: from, the one after the last, and since when they are missed (epoch milliseconds). */
type Hole = readonly [from: number, end: number, since: number];

/** What was passed of one topic partition. JSON: it travels in heartbeats and in workflow state. */
export interface PassedOffsets {
  /** The offset after the highest one. */
  next: number;
  /** In the order of their offsets, and bounded. */
  holes: readonly Hole[];
  /** Offsets in holes that were given up, since there were too many to keep. */
  lost: number;
  /** Rejected events of this partition whose offset can't be read: each explains one missing offset. */
  unreadable: number;
  /** How often counting began anew, far from where it was: another cluster counts, or the source's memory was passed. */
  jumps: number;
}

/** By partition. */
export type Completeness = Readonly<Record<string, PassedOffsets>>;

/** What is missing of one topic partition. */
export interface PartitionHoles {
  /** Topic and partition, as in `eqiad.mediawiki.recentchange/0`. */
  partition: string;
  /** Offsets that nothing explains. */
  offsets: number;
  /** ISO 8601: since when the oldest of them that is still kept is missed. */
  since?: string;
  jumps: number;
}

/** What is missing, over all partitions. */
export interface Holes extends Omit<PartitionHoles, 'partition'> {
  /** Every partition of which book is kept, those without a hole too. */
  partitions: PartitionHoles[];
}

/** Of one partition; beyond it the oldest are counted and no longer kept, so that a late event can't fill them. */
const MOST_HOLES = 100;

/** The book travels in heartbeats: it is kept of no more partitions. A stream of Wikimedia's has one or two. */
const MOST_PARTITIONS = 50;

/** Partitions that are named for people. */
const MOST_SHOWN = 5;

/** Of a topic in Kafka, with its partition. */
const LONGEST_NAME = 260;

/** @param now epoch milliseconds */
export function passOffset(passed: Completeness, place: Place, now: number): Completeness {
  const { partition, offset, from } = place;
  const known = passed[partition];
  if (!known && Object.keys(passed).length >= MOST_PARTITIONS) return passed;
  const moved =
    offset === undefined
      ? explained(known)
      : from === undefined
        ? counted(known, offset, now)
        : covered(known, { from, end: offset + 1 }, now);
  return moved === undefined || moved === known ? passed : { ...passed, [partition]: moved };
}

export function findHoles(passed: Completeness): Holes {
  const partitions = Object.entries(passed).map(([partition, { holes, lost, unreadable, jumps }]) => {
    const missing = holes.reduce((sum, [from, end]) => sum + end - from, lost);
    const offsets = Math.max(0, missing - unreadable);
    const [oldest] = offsets === 0 ? [] : holes.map(([, , since]) => since).sort((a, b) => a - b);
    return {
      partition,
      offsets,
      ...(oldest === undefined ? {} : { since: new Date(oldest).toISOString() }),
      jumps,
    };
  });
  // ISO 8601 in UTC sorts as time does.
  const [oldest] = partitions.flatMap(({ since }) => since ?? []).sort();
  return {
    offsets: partitions.reduce((sum, { offsets }) => sum + offsets, 0),
    ...(oldest === undefined ? {} : { since: oldest }),
    jumps: partitions.reduce((sum, { jumps }) => sum + jumps, 0),
    partitions,
  };
}

/**
 * For people: `3 offsets missing, since 2026-11-22T14:00:00.000Z`, then each partition that has some.
 *
 * @param shown how a partition's name is made harmless where it is shown: a source may choose any
 */
export function describeHoles(holes: Holes, shown: (partition: string) => string): string {
  const some = holes.partitions.filter(({ offsets, jumps }) => offsets + jumps > 0);
  const named = some
    .slice(0, MOST_SHOWN)
    .map((of) => `${shown(of.partition.slice(0, LONGEST_NAME))}: ${describeMissing(of)}`);
  if (some.length > MOST_SHOWN) named.push(`${some.length - MOST_SHOWN} partitions more`);
  return [describeMissing(holes), ...named].join('; ');
}

function describeMissing({ offsets, since, jumps }: Omit<PartitionHoles, 'partition'>): string {
  const parts = [`${offsets} offsets missing`];
  if (since !== undefined) parts.push(`since ${since}`);
  if (jumps > 0) parts.push(`${jumps} jumps to another count`);
  return parts.join(', ');
}

/** Before the first offset of a partition is known, there is nothing to explain. */
function explained(known: PassedOffsets | undefined): PassedOffsets | undefined {
  return known && { ...known, unreadable: known.unreadable + 1 };
}

function counted(known: PassedOffsets | undefined, offset: number, now: number): PassedOffsets {
  if (!known) return { next: offset + 1, holes: [], lost: 0, unreadable: 0, jumps: 0 };
  if (Math.abs(offset - known.next) > JUMP) return jumped(known, offset);
  if (offset < known.next) return filled(known, offset);
  if (offset === known.next) return { ...known, next: offset + 1 };
  return bounded({ ...known, next: offset + 1, holes: [...known.holes, [known.next, offset, now]] });
}

/** Of a source that has one count: however far ahead it goes on, the offsets that it leaves out are missing. */
function covered(
  known: PassedOffsets | undefined,
  { from, end }: { from: number; end: number },
  now: number,
): PassedOffsets {
  if (!known) return { next: end, holes: [], lost: 0, unreadable: 0, jumps: 0 };
  if (end <= known.next) return known;
  if (from <= known.next) return { ...known, next: end };
  return bounded({ ...known, next: end, holes: [...known.holes, [known.next, from, now]] });
}

/** Offsets that were missing before stay counted: no event that comes now can fill them. */
function jumped(known: PassedOffsets, offset: number): PassedOffsets {
  const lost = known.holes.reduce((sum, [from, end]) => sum + end - from, known.lost);
  return { ...known, next: offset + 1, holes: [], lost, jumps: known.jumps + 1 };
}

/** An event that came later than its successors, or once more. */
function filled(known: PassedOffsets, offset: number): PassedOffsets {
  const hole = known.holes.find(([from, end]) => from <= offset && offset < end);
  if (!hole) return known;
  const [from, end, since] = hole;
  const left = [[from, offset, since] as const, [offset + 1, end, since] as const];
  const holes = known.holes.flatMap((other) =>
    other === hole ? left.filter(([first, after]) => first < after) : [other],
  );
  return bounded({ ...known, holes });
}

function bounded(known: PassedOffsets): PassedOffsets {
  const [oldest, ...holes] = known.holes;
  if (!oldest || known.holes.length <= MOST_HOLES) return known;
  return { ...known, holes, lost: known.lost + oldest[1] - oldest[0] };
}
