import type { BatchObject } from '../../src/lake/layout';
import { checkSequence, ClosedNumbers } from '../../src/verify/verification';
import type { Host } from './host';
import type { Lake } from './lake';
import { isRejected } from './events';
import { mostCarriedBytes } from './limits';
import type { World } from './world';

/** Temporal ends a workflow whose history has 51,200 events. */
const MOST_HISTORY_EVENTS = 50_000;

/** What came of a run. All are counts of what must not be; `isStopped` must. */
export interface Verdict {
  isStopped: boolean;
  /** Events in no row. */
  lost: number[];
  /** Events in several rows. */
  repeated: number[];
  /** Events that can't become rows, and did or were not kept. */
  wrong: number[];
  /** Sequence numbers without an object. */
  holes: number;
  /** Objects that were to be written again with another content. */
  differing: number;
  /** Rows that do not fit the columns of their object. */
  misfits: number;
  /** Objects with an earlier date than one before them in the sequence. */
  backdated: number;
  /** Events whose last message was deleted before they were in the lake. */
  unsafe: number[];
  /** Messages that a stopped lane left in its queue. */
  left: number;
  /** Receives from a queue that the lane had not claimed. */
  trespasses: number;
  /** Runs that handed over what is no JSON. */
  notJson: number;
  /** Bytes of the largest state that was handed over, where it is too large. */
  tooLarge: number;
  /** Events of the longest history, where it is too long. */
  tooLong: number;
}

/** Holds what stands in the lake against what was sent. Where the lane has not stopped, nothing is lost yet. */
export function judge(
  { ingest, lake, queue, claim, scenario, scale }: World,
  host: Pick<Host, 'notJson' | 'carriedBytes' | 'longestHistory'>,
  isStopped: boolean,
): Verdict {
  const objects = [...lake.objects.values()];
  const times = new Map<number | undefined, number>();
  for (const { events } of objects) for (const event of events) times.set(event, (times.get(event) ?? 0) + 1);
  const rows = (event: number) => times.get(event) ?? 0;
  const sent = Array.from({ length: ingest.sent }, (_, event) => event);
  const good = sent.filter((event) => !isRejected(event, scenario.rejects));
  const bad = sent.filter((event) => isRejected(event, scenario.rejects));
  const closed = new ClosedNumbers();
  for (const life of lake.closed) closed.add(life);
  const rules = { hours: { since: -Infinity, until: Infinity }, graceMs: 0, now: 0 };
  const { missing, repeated } = checkSequence(lake.batches, rules, closed);
  const most = mostCarriedBytes(scale);
  return {
    isStopped,
    lost: isStopped ? good.filter((event) => rows(event) === 0) : [],
    repeated: good.filter((event) => rows(event) > 1),
    wrong: bad.filter((event) => rows(event) > 0 || (isStopped && !lake.rejected.has(event))),
    holes: missing.count + repeated.count,
    differing: lake.differing.size,
    misfits: times.get(undefined) ?? 0,
    backdated: backdatedOf(lake),
    unsafe: [...lake.tooLate],
    left: isStopped ? queue.size : 0,
    trespasses: claim.trespasses,
    notJson: host.notJson,
    tooLarge: host.carriedBytes > most ? host.carriedBytes : 0,
    tooLong: host.longestHistory > MOST_HISTORY_EVENTS ? host.longestHistory : 0,
  };
}

function backdatedOf({ batches }: Lake): number {
  // Whoever takes the place of another has the next incarnation.
  const life = ({ incarnation }: BatchObject) => Number.parseInt(incarnation, 16);
  const inOrder = batches.toSorted((a, b) => life(a) - life(b) || a.sequence - b.sequence);
  const hours = inOrder.map(({ hour }) => hour);
  return hours.filter((hour, index) => hour < (hours[index - 1] ?? 0)).length;
}

/** @returns what is wrong, for people; empty where nothing is */
export function problemsOf(verdict: Verdict): string[] {
  const {
    isStopped,
    lost,
    repeated,
    wrong,
    holes,
    differing,
    misfits,
    backdated,
    unsafe,
    left,
    trespasses,
    notJson,
    tooLarge,
    tooLong,
  } = verdict;
  const problems: [count: number, words: string][] = [
    [isStopped ? 0 : 1, 'never stopped'],
    [lost.length, `${lost.length} lost (${some(lost)})`],
    [repeated.length, `${repeated.length} repeated (${some(repeated)})`],
    [wrong.length, `${wrong.length} rejected events written or not kept (${some(wrong)})`],
    [holes, `${holes} holes in the sequence, or numbers that stand twice`],
    [differing, `${differing} objects tried with another content`],
    [misfits, `${misfits} rows that do not fit their columns`],
    [backdated, `${backdated} objects dated before an earlier one`],
    [unsafe.length, `${unsafe.length} deleted before they were in the lake (${some(unsafe)})`],
    [left, `${left} messages left in the queue`],
    [trespasses, `${trespasses} receives from a queue that was not claimed`],
    [notJson, `${notJson} states that are no JSON`],
    [tooLarge, `a state of ${tooLarge} bytes`],
    [tooLong, `a history of ${tooLong} events`],
  ];
  return problems.flatMap(([count, words]) => (count > 0 ? [words] : []));
}

function some(events: readonly number[]): string {
  const first = events.slice(0, 5).join(', ');
  return events.length > 5 ? `${first}, …` : first;
}
