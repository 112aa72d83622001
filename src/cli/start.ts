import type { WorkflowExecutionDescription } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { differences } from '../settings/changes';
import {
  OWNER_TAG,
  type PipelineMemo,
  QUERIES,
  SEARCH_ATTRIBUTES,
  SIGNALS,
  TASK_QUEUES,
  WORKFLOWS,
} from '../pipeline/names';
import { whyShortRetention } from '../queue/retention';
import type { batch } from '../workflows/batch';
import type { ingest } from '../workflows/ingest';
import type { IngestStatus } from '../workflows/status';
import type { Context } from './context';
import { describeRunning, hasWorker, pipelineHandles, type PipelineHandles, query } from './workflows';
import { CommandError } from './errors';
import { explainingQueue, noBucket } from './explain';
import { runOf, runsHere, whyNotOurs } from './lake-owner';
import { hasSearchAttributes } from './search-attributes';

interface Running {
  ingest: WorkflowExecutionDescription | undefined;
  batch: WorkflowExecutionDescription | undefined;
}

/**
 * `sluice start`: starts the pipeline, or wakes it where it stopped. A pipeline that runs keeps the settings it has; others
 * are shown and not applied.
 *
 * @throws CommandError when queue or prefix belong to another pipeline, or queue or bucket are not there
 */
export async function start(context: Context, { json = false }: { json?: boolean } = {}): Promise<void> {
  const { pipeline, say } = context;
  await explainingQueue(context.queue, () => context.queue.arn());
  const handles = await pipelineHandles(context);
  const running = {
    ingest: await describeRunning(handles.ingest),
    batch: await describeRunning(handles.batch),
  };
  await refuseOthersQueue(context, running);
  await requireBucket(context);
  await refuseOthersLake(context, running);
  const warning = whyShortRetention(await context.queue.depth());
  await startBoth(context, handles);
  const outcome = running.ingest ? 'woken' : 'started';
  const found = running.ingest ? await differencesTo(context, handles) : [];
  if (json) {
    const told = {
      pipeline: pipeline.name,
      outcome,
      notApplied: found ?? null,
      ...(warning ? { warning } : {}),
    };
    return say(JSON.stringify(told, undefined, 2));
  }
  say(`pipeline ${pipeline.name}: ${outcome}`);
  if (warning !== undefined) say(`warning: ${warning}`);
  if (!found) return say('no worker answers yet: run `sluice worker`');
  for (const { setting, wanted, running: has } of found)
    say(`not applied: ${setting}=${wanted}; the pipeline runs with ${has}`);
  if (found.length > 0) say('`sluice update` applies them');
}

async function startBoth({ pipeline, temporal }: Context, handles: PipelineHandles): Promise<void> {
  const memo: PipelineMemo = {
    pipeline: pipeline.name,
    queue: pipeline.queue.name,
    lane: handles.batch.workflowId,
  };
  const common = { memo: { ...memo }, ...(await searchAttributes({ pipeline, temporal })) };
  await temporal.workflow.start<typeof batch>(WORKFLOWS.batch, {
    ...common,
    workflowId: handles.batch.workflowId,
    taskQueue: TASK_QUEUES.batch,
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `${pipeline.queue.name} to s3://${pipeline.lake.bucket}/${pipeline.lake.prefix}`,
    staticDetails: staticDetails(
      `The lane of the pipeline \`${pipeline.name}\`: the only reader of its queue.`,
    ),
    args: [pipeline],
  });
  // Ingest wakes its lane, so that stops and starts reach it in their order.
  await temporal.workflow.signalWithStart<typeof ingest>(WORKFLOWS.ingest, {
    ...common,
    workflowId: handles.ingest.workflowId,
    taskQueue: TASK_QUEUES.ingest,
    staticSummary: `${pipeline.source.url} to ${pipeline.queue.name}`,
    staticDetails: staticDetails(
      `Ingest of the pipeline \`${pipeline.name}\`: reads its source, one stint after the other.`,
    ),
    signal: SIGNALS.start,
    args: [{ definition: pipeline, lane: handles.batch.workflowId }],
  });
}

/** Beside the current details in the web UI, and there without a worker, too. */
function staticDetails(what: string): string {
  return [
    what,
    '',
    '- Current details empty? No worker answers: run `sluice worker`',
    '- Parked? Mend what it says, then `sluice resume`',
    '- `sluice pause`, `sluice flush`, `sluice stop`, `sluice update`; cancelling stops it, too',
    '- Never terminate or reset it: it would forget what was read and written',
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

/** Two pipelines on one queue would take each other's messages. */
async function refuseOthersQueue(
  { pipeline, temporal, queue: own }: Context,
  running: Running,
): Promise<void> {
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
  const owner = await own.owner();
  if (owner !== undefined && owner !== runOf(temporal, running.batch)) {
    throw new CommandError(
      `The queue ${queue} belongs to another lane, ${owner} (namespace and first run): give this pipeline one of its own ` +
        `(SLUICE_QUEUE) or, if that lane is gone for good, remove the queue's tag ${OWNER_TAG}`,
    );
  }
}

/**
 * Two pipelines under one prefix would number their objects alike. A lane that runs has claimed its lake, or parks at that; what
 * the settings say now may be another one, and is not applied.
 */
async function refuseOthersLake({ temporal, store }: Context, { batch }: Running): Promise<void> {
  if (batch) return;
  const why = await whyNotOurs(store, undefined, (owner) => runsHere(temporal, owner));
  if (why !== undefined) throw new CommandError(why);
}

function memoOf(
  description: WorkflowExecutionDescription | undefined,
): Pick<PipelineMemo, 'pipeline' | 'queue'> | undefined {
  const { pipeline, queue } = description?.memo ?? {};
  return typeof pipeline === 'string' && typeof queue === 'string' ? { pipeline, queue } : undefined;
}

async function requireBucket({ store }: Context): Promise<void> {
  // Whoever starts a pipeline need not be allowed to look.
  const isThere = await store.bucketExists().catch(() => true);
  if (!isThere) throw noBucket(store.lake.bucket);
}

/** @returns undefined when no worker answers */
async function differencesTo(
  { pipeline, temporal }: Context,
  { ingest }: PipelineHandles,
): Promise<ReturnType<typeof differences> | undefined> {
  if (!(await hasWorker(temporal, TASK_QUEUES.ingest))) return undefined;
  const status = await query<IngestStatus>(ingest, QUERIES.status).catch(() => undefined);
  return status && differences(pipeline, status.definition);
}
