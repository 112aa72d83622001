import { QUERIES } from '../names';
import { timestampsOf } from '../sources/cursor';
import type { BatchStatus, IngestStatus } from '../workflows/status';
import { type Context, pipelineHandles, query } from './context';

export interface PipelineStatus {
  pipeline: string;
  ingest: IngestStatus;
  batch: BatchStatus;
}

export async function readStatus(context: Context): Promise<PipelineStatus> {
  const handles = await pipelineHandles(context);
  const [ingest, batch] = await Promise.all([
    query<IngestStatus>(handles.ingest, QUERIES.status),
    query<BatchStatus>(handles.batch, QUERIES.status),
  ]);
  return { pipeline: context.pipeline.name, ingest, batch };
}

/** `sluice status`: what the pipeline is doing, for people or as JSON. */
export async function status(context: Context, { json = false }: { json?: boolean } = {}): Promise<void> {
  const { pipeline, ingest, batch } = await readStatus(context);
  if (json) return context.say(JSON.stringify({ pipeline, ingest, batch }, undefined, 2));
  context.say(`pipeline  ${pipeline}`);
  context.say(
    `ingest    ${activity(ingest)}; ${ingest.counts.sent} events sent, ${ingest.counts.rejected} rejected`,
  );
  context.say(`cursor    ${cursorTime(ingest)}, as of the last finished stint`);
  context.say(`batch     ${activity(batch)}; ${batch.counts.rows} rows in ${batch.counts.batches} objects`);
  context.say(`          ${batch.rowsWaiting} rows waiting, ${batch.batchesInFlight} batches in flight`);
  context.say(`repeats   ${batch.counts.repeats} recognised, ${batch.counts.redelivered} redeliveries`);
  context.say(`rejected  ${batch.counts.rejected} by the lane, ${ingest.counts.rejected} by ingest`);
  context.say(`unsettled ${batch.unsettled}`);
  context.say(`last      ${batch.lastObject ?? 'no object yet'}`);
}

function activity({ activity: name, problem }: { activity: string; problem?: string }): string {
  return problem === undefined ? name : `${name}: ${problem}`;
}

function cursorTime({ cursor }: IngestStatus): string {
  return new Date(Math.max(cursor.since, ...timestampsOf(cursor.positions))).toISOString();
}
