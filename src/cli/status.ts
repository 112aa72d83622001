import { setTimeout as delay } from 'node:timers/promises';
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow';
import type { StintProgress } from '../activities/consume-stream';
import { QUERIES } from '../pipeline/names';
import { describeLeft, isNearRetention } from '../queue/retention';
import { describeHoles, findHoles } from '../sources/completeness';
import { cursorTime, describeCursor } from '../sources/cursor';
import { describeGaps } from '../sources/gaps';
import { describeSourceKind, sourceKindOf } from '../sources/identity';
import { addCounts, describeBehind, describeCounts } from '../sources/stint-counts';
import type { LaneStatus } from '../lane/status';
import type { IngestStatus } from '../workflows/status';
import type { Context } from './context';
import { describeRunning, neverStarted, pipelineHandles, query } from './workflows';
import { printable, printableLines } from '../printable';

export interface PipelineStatus {
  pipeline: string;
  /** With what the running stint has told since it began. */
  ingest: IngestStatus;
  /** Seconds from the cursor's time until now, where it has one. */
  lagSeconds?: number;
  batch: LaneStatus;
}

export async function readStatus(context: Context): Promise<PipelineStatus> {
  const handles = await pipelineHandles(context);
  const [told, batch] = await Promise.all([
    query<IngestStatus>(handles.ingest, QUERIES.status),
    query<LaneStatus>(handles.batch, QUERIES.status),
  ]);
  const description = await describeRunning(handles.ingest);
  // A query answers for a workflow that was removed, too.
  if (!description) throw neverStarted();
  const ingest = withProgress(told, await stintProgress(context.temporal, description));
  return { pipeline: context.pipeline.name, ingest, ...lagOf(ingest), batch };
}

function lagOf({ cursorTime: time }: IngestStatus): Pick<PipelineStatus, 'lagSeconds'> {
  return time === undefined ? {} : { lagSeconds: Math.max(0, (Date.now() - Date.parse(time)) / 1_000) };
}

export interface StatusOptions {
  json?: boolean;
  /** Shows it again every two seconds, in place, until interrupted. */
  watch?: boolean;
}

const WATCH_MS = 2_000;

/** `sluice status`: what the pipeline is doing, for people or as JSON. */
export async function status(
  context: Context,
  { json = false, watch = false }: StatusOptions = {},
): Promise<void> {
  const show = async () => {
    const found = await readStatus(context);
    return json ? JSON.stringify(found, undefined, watch ? undefined : 2) : lines(found).join('\n');
  };
  if (!watch) return context.say(await show());
  const inPlace = process.stdout.isTTY && !json;
  for (;;) {
    const text = await show();
    // Home, the text with the rest of each line cleared, and what stood below it.
    if (!inPlace) context.say(text);
    else context.write(`\x1b[H${printableLines(text).replaceAll('\n', '\x1b[K\n')}\x1b[K\n\x1b[J`);
    await delay(WATCH_MS);
  }
}

function lines({ pipeline, ingest, lagSeconds, batch }: PipelineStatus): string[] {
  const { counts } = batch;
  return [
    `pipeline    ${pipeline}, version ${batch.version} of its settings`,
    `ingest      ${activity(ingest)}`,
    `cursor      ${describeCursor(ingest.cursor)}${lagSeconds === undefined ? '' : `, ${Math.round(lagSeconds)} s ago`}`,
    `events      ${ingest.counts.sent} sent, ${ingest.counts.repeats} repeats${describeBehind(ingest.counts, printable)}, ${ingest.counts.canaries} canaries`,
    `identity    ${describeSourceKind(ingest)}`,
    `source      ${describeHoles(ingest.holes, printable)}; reconnects: ${describeCounts(ingest.counts.reconnects)}; ${ingest.counts.errors} errors told`,
    ...(ingest.canResume === false || ingest.gaps.count > 0
      ? [`gaps        ${describeGaps(ingest.gaps)}`]
      : []),
    `lane        ${activity(batch)}${describeAdopting(batch)}`,
    ...noteOf(ingest),
    `lake        ${counts.rows} rows in ${counts.batches} objects, ${counts.bytes} bytes`,
    `last object ${batch.lastObject ?? 'none yet'}`,
    `waiting     ${batch.rowsWaiting} rows, ${batch.batchesInFlight} batches in flight`,
    `repeats     ${counts.repeats} events recognised, ${counts.redelivered} messages redelivered, window of ${batch.windowKeys} keys`,
    `rejected    by ingest: ${describeCounts(ingest.counts.rejected)}; by the lane: ${describeCounts(counts.rejected)}`,
    `unsettled   ${batch.unsettled} messages, ${counts.lostReceives} receives lost, ${counts.refusedReceives} refused`,
  ];
}

/** Ingest looks some eight times before it parks. */
function noteOf({ queue }: IngestStatus): string[] {
  if (!queue || !isNearRetention(queue, queue.reached)) return [];
  return [`note        ${describeLeft(queue, queue.reached)}, which would be a loss: ingest parks before`];
}

function describeAdopting({ adopting }: LaneStatus): string {
  if (adopting === undefined) return '';
  return adopting === 'waiting'
    ? ', takes the place of another: waits until nothing of that one is under way'
    : ', takes the place of another: reads the lake';
}

function activity({ activity: name, problem }: { activity: string; problem?: string }): string {
  return problem === undefined ? name : `${name}: ${problem}`;
}

/** What the running stint told in its last heartbeat; the workflow hears of it only when the stint ends. */
async function stintProgress(
  temporal: Client,
  { raw }: WorkflowExecutionDescription,
): Promise<StintProgress | undefined> {
  const stint = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'consumeStream');
  const payloads = stint?.heartbeatDetails?.payloads;
  const [progress] = await decodeArrayFromPayloads(temporal.options.loadedDataConverter, payloads);
  return progress as StintProgress | undefined;
}

function withProgress(told: IngestStatus, progress: StintProgress | undefined): IngestStatus {
  if (!progress) return told;
  const { cursor, completeness, counts, gaps } = progress;
  const time = cursorTime(cursor);
  return {
    ...told,
    ...sourceKindOf(told.definition.source, cursor),
    gaps: { count: gaps.count, dropped: gaps.dropped, recent: gaps.recent },
    cursor,
    ...(time === undefined ? {} : { cursorTime: time }),
    holes: findHoles(completeness),
    counts: { ...addCounts(told.counts, counts), stints: told.counts.stints },
  };
}
