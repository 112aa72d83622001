import { printable } from '../printable';
import { describeLeft, isNearRetention } from '../queue/retention';
import { describeHoles } from '../sources/completeness';
import { describeCursor } from '../sources/cursor';
import { describeGaps } from '../sources/gaps';
import { describeSourceKind } from '../sources/identity';
import { describeBehind, describeCounts } from '../sources/stint-counts';
import type { LaneStatus } from '../lane/status';
import type { IngestStatus } from './status';

/** What the web UI shows of a lane, in Markdown. */
export function laneDetails(status: LaneStatus): string {
  const { counts, rowsWaiting, batchesInFlight, lastObject, windowKeys, unsettled, adopting } = status;
  return page(status, [
    ...(adopting === undefined ? [] : [`takes the place of another lane: ${adopting}`]),
    `${counts.rows} rows in ${counts.batches} objects${lastObject === undefined ? '' : `, the last one ${code(lastObject)}`}`,
    `${rowsWaiting} rows waiting, ${batchesInFlight} batches in flight`,
    `${counts.events} events in ${counts.received} messages received, ${counts.redelivered} of them once more; ${counts.repeats} of their events were repeats`,
    `rejected: ${describeCounts(counts.rejected)}`,
    `window of ${windowKeys} keys, ${unsettled} messages unsettled`,
  ]);
}

/** What the web UI shows of ingest, in Markdown. */
export function ingestDetails(status: IngestStatus): string {
  const { counts, cursor, gaps, holes, queue } = status;
  return page(status, [
    ...(queue && isNearRetention(queue, queue.reached) ? [describeLeft(queue, queue.reached)] : []),
    `${counts.sent} events sent in ${counts.stints} finished stints; the heartbeat under Pending Activities has the running one`,
    `cursor at ${describeCursor(cursor)}`,
    `${counts.repeats} repeats recognised${describeBehind(counts, code)}, ${counts.canaries} canaries`,
    `an event is itself by ${describeSourceKind(status)}; ${describeGaps(gaps)}`,
    `rejected: ${describeCounts(counts.rejected)}`,
    `reconnects: ${describeCounts(counts.reconnects)}; ${counts.errors} errors told by the source`,
    describeHoles(holes, code),
  ]);
}

/** What the web UI shows of a workflow of which no more is known. */
export function problemDetails(status: { activity: string; problem: string }): string {
  return page(status, []);
}

function page(
  { activity, problem }: { activity: string; problem?: string },
  lines: readonly string[],
): string {
  // A problem is foreign text: outside of code the web UI would take parts of it for Markdown or HTML.
  const head = problem === undefined ? `**${activity}**` : `**${activity}**: ${code(problem)}`;
  return [head, '', ...lines.map((line) => `- ${line}`)].join('\n');
}

function code(text: string): string {
  return `\`${printable(text.replaceAll('`', "'").replaceAll('\n', ' '))}\``;
}
