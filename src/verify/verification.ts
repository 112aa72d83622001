import { Intervals, type Span } from '../event/intervals';
import { JUMP, type KnownPlace } from '../event/place';
import { Findings, type Found } from './findings';
import type { WrittenLife } from '../lake/newest';
import {
  type BatchObject,
  HOUR_MS,
  type KeptObject,
  type LaneLife,
  lifeName,
  livesOf,
  UPLOADS_AT_ONCE,
} from '../lake/layout';

/** Judges numbers that should have no holes: the sequence of objects, the offsets of rows. Pure. */

/** What the judgement depends on besides the lake. */
export interface Rules {
  /** Hours since 1970 that are judged; `until` is the first one after them. Unbounded: -Infinity, Infinity. */
  hours: { since: number; until: number };
  /** Milliseconds for which what is missing before a new object may still be on its way; 0: none. */
  graceMs: number;
  /** Epoch milliseconds. */
  now: number;
}

/** Missing numbers, and the object that holds the number after them. */
export type MissingSpan = Span & { before: string };

export interface SequenceReport {
  /** The lowest and the highest number of the objects judged, of each lane and incarnation. Empty when there is none. */
  extents: (Span & LaneLife)[];
  /** Counts sequence numbers. */
  missing: Found<MissingSpan & LaneLife>;
  /** Missing sequence numbers that are not judged yet. */
  onTheWay: number;
  /** Sequence numbers that will never be written: the lane died before, and another one took over. Its rows are in that one's objects. */
  closed: Found<LaneLife & { sequence: number }>;
  repeated: Found<RepeatedNumber>;
}

/** Numbers of lanes that others took over from, which had no object then. */
export class ClosedNumbers {
  readonly #numbers = new Map<string, Set<number>>();

  add({ missing, ...life }: WrittenLife): void {
    const known = this.#numbers.get(lifeName(life)) ?? new Set<number>();
    for (const number of missing) known.add(number);
    this.#numbers.set(lifeName(life), known);
  }

  /** Of one lane. */
  of(life: LaneLife): ReadonlySet<number> {
    return this.#numbers.get(lifeName(life)) ?? new Set();
  }
}

/** A sequence number that more than one object of one lane has. */
export interface RepeatedNumber extends LaneLife {
  sequence: number;
  objects: string[];
}

/**
 * Judges the sequence numbers of objects, those of each lane and incarnation by themselves: from 1, or from the first one of the
 * hours asked for. A missing one may be on its way while the object after it is young, and only among the newest few, since a lane
 * has no more uploads under way at once. One that is being tried again while others pass it is missing until it is there.
 */
export function checkSequence(
  batches: readonly BatchObject[],
  rules: Rules,
  closed = new ClosedNumbers(),
): SequenceReport {
  const report = {
    extents: new Array<Span & LaneLife>(),
    missing: new Findings<MissingSpan & LaneLife>(),
    onTheWay: 0,
    closed: new Findings<LaneLife & { sequence: number }>(),
    repeated: new Findings<RepeatedNumber>(),
  };
  for (const { life, batches: own } of livesOf(batches)) {
    const judged = extentOf(own.filter((batch) => isJudged(batch, rules)));
    if (judged) report.extents.push({ ...life, ...judged });
    for (const [sequence, objects] of repeatedNumbers(own))
      report.repeated.add({ ...life, sequence, objects });
    const numbers = numbersOf(own);
    const settled = (numbers.extent?.to ?? 0) - UPLOADS_AT_ONCE;
    for (const sequence of closed.of(life))
      if (isMissing(numbers, sequence, rules)) report.closed.add({ ...life, sequence });
    for (const { from, to, next } of openHolesOf(numbers, rules, closed.of(life))) {
      const end = isYoung(next, rules) ? Math.min(to, settled) : to;
      report.onTheWay += to - Math.max(from - 1, end);
      if (from <= end) report.missing.add({ ...life, from, to: end, before: next.key }, end - from + 1);
    }
  }
  return report;
}

/** Whether a sequence number is missing that may still come, whatever it counts for now. */
export function mayComeYet(
  batches: readonly BatchObject[],
  rules: Rules,
  closed = new ClosedNumbers(),
): boolean {
  return livesOf(batches).some(({ life, batches: own }) =>
    openHolesOf(numbersOf(own), rules, closed.of(life)).some(({ next }) => isYoung(next, rules)),
  );
}

function numbersOf(batches: readonly BatchObject[]): Intervals<BatchObject> {
  const numbers = new Intervals<BatchObject>();
  for (const batch of batches) numbers.add(batch.sequence, batch);
  return numbers;
}

/** Keys of the objects that share a number, by the number. */
function repeatedNumbers(batches: readonly BatchObject[]): Map<number, string[]> {
  const numbers = new Intervals<BatchObject>();
  const twice = new Map<number, string[]>();
  for (const batch of batches) if (!numbers.add(batch.sequence, batch)) twice.set(batch.sequence, []);
  for (const { sequence, key } of batches) twice.get(sequence)?.push(key);
  return twice;
}

function holesOf(numbers: Intervals<BatchObject>, rules: Rules) {
  const since = rules.hours.since === -Infinity ? 1 : undefined;
  return numbers.holes(since).filter(({ next }) => isJudged(next, rules));
}

/** Holes without the numbers that will never be written. */
function openHolesOf(numbers: Intervals<BatchObject>, rules: Rules, closed: ReadonlySet<number>) {
  const never = new Intervals<true>();
  for (const number of closed) never.add(number, true);
  return holesOf(numbers, rules).flatMap((hole) =>
    never.missing(hole).map((open) => ({ ...open, next: hole.next })),
  );
}

function isMissing(numbers: Intervals<BatchObject>, sequence: number, rules: Rules): boolean {
  return holesOf(numbers, rules).some(({ from, to }) => from <= sequence && sequence <= to);
}

function extentOf(batches: readonly BatchObject[]): Span | undefined {
  const [first] = batches;
  if (!first) return undefined;
  const one = { from: first.sequence, to: first.sequence };
  return batches.reduce(
    ({ from, to }, { sequence }) => ({ from: Math.min(from, sequence), to: Math.max(to, sequence) }),
    one,
  );
}

export interface OffsetReport {
  /** What was read of each: the lowest and the highest offset. */
  partitions: (Span & { partition: string })[];
  /** Counts offsets. Empty when rejected events whose offset can't be read may account for all of them. */
  missing: Found<MissingSpan & { partition: string }>;
  /** Offsets so far apart that they are of two counts, as ingest takes them, too; each counts once, and is no finding. */
  jumps: Found<MissingSpan & { partition: string }>;
  /** Missing offsets that are not judged yet. */
  onTheWay: number;
  /** Missing offsets that no canary, rejected or new object explains, findings or not. */
  unexplained: number;
  /** Rejected events whose offset can't be read: each may account for one that is not explained. */
  unreadable: number;
  /** Events that were sent to the queue again, and of which no row came. */
  lostAgain: Found<KnownPlace & { digest: string }>;
}

/** Judges offsets: without a hole within each topic partition, but for events that are no rows. */
export class OffsetCheck {
  readonly #rules: Rules;
  readonly #rows = new Map<string, Intervals<BatchObject>>();
  /** Of canary and rejected events, of those sent again, and where the source has no event. */
  readonly #explained = new Map<string, Intervals<BatchObject | KeptObject>>();
  readonly #resent: { object: KeptObject; place: KnownPlace }[] = [];
  /** Partitions that can't have another count later on. */
  readonly #ofOneCount = new Set<string>();
  #unreadable = 0;

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  /** @param mayJump whether its partition may have another count later on, as of another cluster. Default: it may */
  addRow(object: BatchObject, place: KnownPlace, { mayJump = true }: { mayJump?: boolean } = {}): void {
    if (!mayJump) this.#ofOneCount.add(place.partition);
    intervalsOf(this.#rows, place.partition).add(place.offset, object);
    this.#addGap(object, place);
  }

  #addGap(object: BatchObject | KeptObject, { partition, offset, from = offset }: KnownPlace): void {
    if (from < offset) intervalsOf(this.#explained, partition).addSpan({ from, to: offset - 1 }, object);
  }

  /**
   * Takes an event that is no row. It explains why its offset is missing, and is no sign that the offsets before it should
   * be there: it was kept when it was met, and others may wait in the queue for days.
   *
   * @param place undefined where it can't be read
   */
  addKept(object: KeptObject, place: KnownPlace | undefined): void {
    if (place === undefined) return this.#addUnreadable(object);
    this.#addGap(object, place);
    if (object.kind === 'resent') this.#resent.push({ object, place });
    else intervalsOf(this.#explained, place.partition).add(place.offset, object);
  }

  #addUnreadable({ kind, modifiedAt }: KeptObject): void {
    // Years of them would hide any loss of an hour.
    const { since, until } = this.#rules.hours;
    const hour = modifiedAt / HOUR_MS;
    if (kind === 'rejected' && since - 1 <= hour && hour < until + 1) this.#unreadable += 1;
  }

  /** Whether anything is missing that events sent again could explain. */
  hasHoles(): boolean {
    return [...this.#rows.keys()].some((partition) => this.#holes(partition).length > 0);
  }

  /** Whether an offset is missing that may still come. */
  mayComeYet(): boolean {
    return this.#judgeHoles().onTheWay > 0;
  }

  /** Judges what was taken, once. */
  report(): OffsetReport {
    const again = this.#judgeResent();
    const { missing, jumps, onTheWay } = this.#judgeHoles();
    const unreadable = this.#unreadable;
    return {
      partitions: [...this.#rows].flatMap(([partition, { extent }]) =>
        extent ? [{ partition, ...extent }] : [],
      ),
      missing: missing.count > unreadable ? missing : new Findings(),
      jumps,
      onTheWay: onTheWay + again.onTheWay,
      unexplained: missing.count,
      unreadable,
      lostAgain: again.lost,
    };
  }

  /** An event that was sent again and is neither a row nor rejected anew. */
  #judgeResent() {
    const lost = new Findings<KnownPlace & { digest: string }>();
    let onTheWay = 0;
    // Newest first: of an event that was sent more than once, the last time counts.
    for (const { object, place } of this.#resent.sort((a, b) => b.object.modifiedAt - a.object.modifiedAt)) {
      const isMissing = this.#holes(place.partition).some(
        ({ from, to }) => from <= place.offset && place.offset <= to,
      );
      if (!isMissing || !intervalsOf(this.#explained, place.partition).add(place.offset, object)) continue;
      if (isYoung(object, this.#rules)) onTheWay += 1;
      else lost.add({ ...place, digest: object.digest });
    }
    return { lost, onTheWay };
  }

  #judgeHoles() {
    const missing = new Findings<MissingSpan & { partition: string }>();
    const jumps = new Findings<MissingSpan & { partition: string }>();
    let onTheWay = 0;
    for (const partition of this.#rows.keys()) {
      for (const hole of this.#holes(partition)) {
        const before = hole.next.key;
        for (const { from, to } of intervalsOf(this.#explained, partition).missing(hole)) {
          if (to - from >= JUMP && !this.#ofOneCount.has(partition))
            jumps.add({ partition, from, to, before });
          else if (isYoung(hole.next, this.#rules)) onTheWay += to - from + 1;
          else missing.add({ partition, from, to, before }, to - from + 1);
        }
      }
    }
    return { missing, jumps, onTheWay };
  }

  #holes(partition: string) {
    return intervalsOf(this.#rows, partition)
      .holes()
      .filter(({ next }) => isJudged(next, this.#rules));
  }
}

function intervalsOf<Owner>(all: Map<string, Intervals<Owner>>, partition: string): Intervals<Owner> {
  const known = all.get(partition) ?? new Intervals<Owner>();
  all.set(partition, known);
  return known;
}

/** Whether what is missing before an object counts. Hours around the range are read to see what came late, not judged. */
export function isJudged({ hour, isLate }: BatchObject, { hours }: Rules): boolean {
  return !isLate && hours.since <= hour && hour < hours.until;
}

function isYoung({ modifiedAt }: BatchObject | KeptObject, { graceMs, now }: Rules): boolean {
  // Without a grace nothing is young, also where S3's clock is ahead.
  return graceMs > 0 && now - modifiedAt < graceMs;
}
