import type { WorkflowExecutionDescription } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import type { CarriedLane } from '../lane/carried';
import type { KeptProgress } from '../lake/kept-cursor';
import type { PipelineDefinition } from '../pipeline/definition';
import { type PipelineMemo, SEARCH_ATTRIBUTES, SIGNALS, TASK_QUEUES, WORKFLOWS } from '../pipeline/names';
import type { batch } from '../workflows/batch';
import type { ingest } from '../workflows/ingest';
import type { Context } from './context';
import { CommandError } from './errors';
import { noBucket } from './explain';
import { hasSearchAttributes } from './search-attributes';
import type { PipelineHandles } from './workflows';

/** What there is of a pipeline; undefined where it does not run. */
export interface Running {
  ingest: WorkflowExecutionDescription | undefined;
  batch: WorkflowExecutionDescription | undefined;
}

/**
 * Starts the lane, unless it runs.
 *
 * @param carried what it begins with. Default: nothing
 */
export async function startLane(
  { pipeline, temporal }: Context,
  handles: PipelineHandles,
  carried?: CarriedLane,
): Promise<void> {
  await temporal.workflow.start<typeof batch>(WORKFLOWS.batch, {
    ...(await common({ pipeline, temporal }, handles)),
    workflowId: handles.batch.workflowId,
    taskQueue: TASK_QUEUES.batch,
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `${pipeline.queue.name} to s3://${pipeline.lake.bucket}/${pipeline.lake.prefix}`,
    staticDetails: staticDetails(
      `The lane of the pipeline \`${pipeline.name}\`: the only reader of its queue.`,
    ),
    args: carried ? [pipeline, carried] : [pipeline],
  });
}

/**
 * Starts ingest, or wakes it where it stopped. It wakes its lane, so that stops and starts reach it in their order.
 *
 * @param adopts where it begins, if it does not run. Default: where the settings say
 */
export async function startIngest(
  { pipeline, temporal }: Context,
  handles: PipelineHandles,
  adopts?: KeptProgress,
): Promise<void> {
  await temporal.workflow.signalWithStart<typeof ingest>(WORKFLOWS.ingest, {
    ...(await common({ pipeline, temporal }, handles)),
    workflowId: handles.ingest.workflowId,
    taskQueue: TASK_QUEUES.ingest,
    staticSummary: `${pipeline.source.url} to ${pipeline.queue.name}`,
    staticDetails: staticDetails(
      `Ingest of the pipeline \`${pipeline.name}\`: reads its source, one stint after the other.`,
    ),
    signal: SIGNALS.start,
    args: [{ definition: pipeline, lane: handles.batch.workflowId, ...(adopts ? { adopts } : {}) }],
  });
}

async function common(
  { pipeline, temporal }: Pick<Context, 'pipeline' | 'temporal'>,
  { batch: lane }: PipelineHandles,
) {
  const memo: PipelineMemo = { pipeline: pipeline.name, queue: pipeline.queue.name, lane: lane.workflowId };
  return { memo: { ...memo }, ...(await searchAttributes({ pipeline, temporal })) };
}

/** Beside the current details in the web UI, and there without a worker, too. */
function staticDetails(what: string): string {
  return [
    what,
    '',
    '- Current details empty? No worker answers: run `sluice worker`',
    '- Parked? Mend what it says, then `sluice resume`',
    '- `sluice pause`, `sluice flush`, `sluice stop`, `sluice update`; cancelling stops it, too',
    '- Never terminate or reset it: it would forget what was read and written. `sluice start --adopt` mends the first',
  ].join('\n');
}

async function searchAttributes({
  pipeline,
  temporal,
}: Pick<Context, 'pipeline' | 'temporal'>): Promise<{ typedSearchAttributes?: TypedSearchAttributes }> {
  if (!(await hasSearchAttributes(temporal))) return {};
  return {
    typedSearchAttributes: new TypedSearchAttributes([
      { key: SEARCH_ATTRIBUTES.pipeline, value: pipeline.name },
      { key: SEARCH_ATTRIBUTES.activity, value: 'running' },
    ]),
  };
}

/** @throws CommandError where the queue is another pipeline's, or the pipeline has another queue */
export function refuseOtherNames(pipeline: PipelineDefinition, running: Running): void {
  const { name: queue } = pipeline.queue;
  const lane = memoOf(running.batch);
  if (lane !== undefined && lane.pipeline !== pipeline.name) {
    throw new CommandError(
      `The queue ${queue} belongs to the pipeline ${lane.pipeline}: give ${pipeline.name} one of its own (SLUICE_QUEUE)`,
    );
  }
  const reads = memoOf(running.ingest);
  if (reads !== undefined && reads.queue !== queue) {
    throw new CommandError(
      `The pipeline ${pipeline.name} runs with the queue ${reads.queue}, for good: for ${queue} start one of another name (SLUICE_PIPELINE)`,
    );
  }
}

function memoOf(
  description: WorkflowExecutionDescription | undefined,
): Pick<PipelineMemo, 'pipeline' | 'queue'> | undefined {
  const { pipeline, queue } = description?.memo ?? {};
  return typeof pipeline === 'string' && typeof queue === 'string' ? { pipeline, queue } : undefined;
}

/** @throws CommandError where the bucket is not there */
export async function requireBucket({ store }: Context): Promise<void> {
  // Whoever starts a pipeline need not be allowed to look.
  const isThere = await store.bucketExists().catch(() => true);
  if (!isThere) throw noBucket(store.lake.bucket);
}
