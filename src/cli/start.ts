import { isDeepStrictEqual } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import { type PipelineDefinition, SETTINGS } from '../config';
import { QUERIES, SIGNALS, TASK_QUEUES, WORKFLOWS } from '../names';
import type { batch } from '../workflows/batch';
import type { ingest } from '../workflows/ingest';
import type { IngestStatus } from '../workflows/status';
import { type Context, isNotFound, pipelineHandles, query } from './context';

/**
 * `sluice start`: starts the pipeline, or wakes it where it stopped. A pipeline that runs keeps the settings it has; others
 * are shown and not applied.
 */
export async function start(context: Context): Promise<void> {
  const { pipeline, temporal, say } = context;
  const handles = await pipelineHandles(context);
  const isRunning = await exists(handles.ingest);
  await temporal.workflow.start<typeof batch>(WORKFLOWS.batch, {
    workflowId: handles.batch.workflowId,
    taskQueue: TASK_QUEUES.batch,
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `${pipeline.queue.name} to s3://${pipeline.lake.bucket}/${pipeline.lake.prefix}`,
    args: [pipeline],
  });
  // Ingest wakes its lane, so that stops and starts reach it in their order.
  await temporal.workflow.signalWithStart<typeof ingest>(WORKFLOWS.ingest, {
    workflowId: handles.ingest.workflowId,
    taskQueue: TASK_QUEUES.ingest,
    staticSummary: `${pipeline.source.url} to ${pipeline.queue.name}`,
    signal: SIGNALS.start,
    args: [{ definition: pipeline, lane: handles.batch.workflowId }],
  });
  say(isRunning ? `pipeline ${pipeline.name}: woken` : `pipeline ${pipeline.name}: started`);
  if (isRunning) await sayDifferences(context, handles.ingest);
}

async function exists(handle: WorkflowHandle): Promise<boolean> {
  try {
    const { status } = await handle.describe();
    return status.name === 'RUNNING';
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

async function sayDifferences({ pipeline, say }: Context, handle: WorkflowHandle): Promise<void> {
  const running = await query<IngestStatus>(handle, QUERIES.status).catch(() => undefined);
  if (!running) return say('no worker answers yet: run `npm run worker`');
  for (const [name, wanted, has] of differences(pipeline, running.definition)) {
    say(
      `not applied: ${name} is ${JSON.stringify(has)} in the running pipeline, and ${JSON.stringify(wanted)} in your settings`,
    );
  }
}

/** @returns setting, value wanted, value that the running pipeline has */
function differences(wanted: PipelineDefinition, running: PipelineDefinition): [string, unknown, unknown][] {
  const pairs: [string, unknown, unknown][] = [
    [SETTINGS.sourceUrl.name, wanted.source.url, running.source.url],
    [SETTINGS.sourceSince.name, wanted.source.since, running.source.since],
    [SETTINGS.contact.name, wanted.source.contact, running.source.contact],
    [SETTINGS.queue.name, wanted.queue.name, running.queue.name],
    [
      SETTINGS.visibilityTimeout.name,
      wanted.queue.visibilityTimeoutSeconds,
      running.queue.visibilityTimeoutSeconds,
    ],
    [SETTINGS.bucket.name, wanted.lake.bucket, running.lake.bucket],
    [SETTINGS.prefix.name, wanted.lake.prefix, running.lake.prefix],
    [SETTINGS.columns.name, wanted.lake.columns, running.lake.columns],
    [SETTINGS.batchRows.name, wanted.batch.rows, running.batch.rows],
    [SETTINGS.flushAfter.name, wanted.batch.flushAfterSeconds, running.batch.flushAfterSeconds],
    [SETTINGS.window.name, wanted.windowKeys, running.windowKeys],
    [SETTINGS.drainQuiet.name, wanted.drainQuietSeconds, running.drainQuietSeconds],
  ];
  return pairs.filter(([, one, other]) => !isDeepStrictEqual(one, other));
}
