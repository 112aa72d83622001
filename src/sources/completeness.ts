/**
 * Whether the source has sent everything. Wikimedia's offsets, like Kafka's, have no holes within one topic partition of one
 * cluster, so a hole that stays is an event that the source never sent. It is only reported: an offset never decides
 * whether an event is new, since another cluster counts differently.
 */

/** What was passed of one topic partition. JSON: it travels in heartbeats and in workflow state. */
export interface PassedOffsets {
  /** The offset after the highest one. */
  next: number;
  /** Offsets below `next` that did not come: from, and the one after the last; in their order, and bounded. */
  holes: readonly (readonly [from: number, end: number])[];
  /** Offsets in holes that were given up, since there were too many to keep. */
  lost: number;
  /** Rejected events of this partition whose offset can't be read: each explains one missing offset. */
  unreadable: number;
}

/** By partition. */
export type Completeness = Readonly<Record<string, PassedOffsets>>;

/** Of one partition; beyond it the oldest are counted and no longer kept, so that a late event can't fill them. */
const MOST_HOLES = 100;

/**
 * @param partition the event's own
 * @param offset of the event, undefined where it can't be read
 */
export function passOffset(
  passed: Completeness,
  partition: string,
  offset: number | undefined,
): Completeness {
  const known = passed[partition];
  if (offset === undefined) {
    return known === undefined
      ? passed
      : { ...passed, [partition]: { ...known, unreadable: known.unreadable + 1 } };
  }
  const begun = known ?? { next: offset, holes: [], lost: 0, unreadable: 0 };
  const moved = offset < begun.next ? filled(begun, offset) : reached(begun, offset);
  return moved === known ? passed : { ...passed, [partition]: moved };
}

/** @returns how many offsets are missing that no rejected event explains, over all partitions */
export function countHoles(passed: Completeness): number {
  return Object.values(passed).reduce((sum, { holes, lost, unreadable }) => {
    const missing = holes.reduce((count, [from, end]) => count + end - from, lost);
    return sum + Math.max(0, missing - unreadable);
  }, 0);
}

function reached(known: PassedOffsets, offset: number): PassedOffsets {
  if (offset === known.next) return { ...known, next: offset + 1 };
  return bounded({ ...known, next: offset + 1, holes: [...known.holes, [known.next, offset]] });
}

/** An event that came later than its successors, or once more. */
function filled(known: PassedOffsets, offset: number): PassedOffsets {
  const hole = known.holes.find(([from, end]) => from <= offset && offset < end);
  if (!hole) return known;
  const [from, end] = hole;
  const left = [[from, offset] as const, [offset + 1, end] as const].filter(
    ([first, after]) => first < after,
  );
  const holes = known.holes.flatMap((other) => (other === hole ? left : [other]));
  return bounded({ ...known, holes });
}

function bounded(known: PassedOffsets): PassedOffsets {
  const [oldest, ...holes] = known.holes;
  if (!oldest || known.holes.length <= MOST_HOLES) return known;
  return { ...known, holes, lost: known.lost + oldest[1] - oldest[0] };
}
