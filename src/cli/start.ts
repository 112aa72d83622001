import { readCursor } from '../lake/kept-cursor';
import { differences } from '../settings/changes';
import { QUERIES, TASK_QUEUES } from '../pipeline/names';
import { whyShortRetention } from '../queue/retention';
import type { IngestStatus } from '../workflows/status';
import { adopt, type AdoptOptions } from './adopt';
import type { Context } from './context';
import { describeRunning, hasWorker, pipelineHandles, type PipelineHandles, query } from './workflows';
import { CommandError, UsageError } from './errors';
import { explainingQueue } from './explain';
import { runOf, runsHere, whyNotOurs } from './lake-owner';
import { refuseOtherNames, requireBucket, type Running, startIngest, startLane } from './starting';

export interface StartOptions extends AdoptOptions {
  /** Whether to go on where the lake ends, of a pipeline that is gone: see {@link adopt}. */
  adopt?: boolean;
}

/**
 * `sluice start`: starts the pipeline, or wakes it where it stopped. A pipeline that runs keeps the settings it has; others
 * are shown and not applied.
 *
 * @throws CommandError when queue or prefix belong to another pipeline, queue or bucket are not there, or ingest is gone and its lane is not
 */
export async function start(
  context: Context,
  { adopt: isAdoption = false, ...options }: StartOptions = {},
): Promise<void> {
  if (isAdoption) return await adopt(context, options);
  const { json = false, since, yes } = options;
  if (since !== undefined || yes !== undefined) throw new UsageError('--since and --yes are for --adopt');
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
  await refuseToForget(context, running);
  const warning = whyShortRetention(await context.queue.depth());
  await startLane(context, handles);
  await startIngest(context, handles);
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

/** Two pipelines on one queue would take each other's messages. */
async function refuseOthersQueue(
  { pipeline, temporal, queue: own }: Context,
  running: Running,
): Promise<void> {
  const { name: queue } = pipeline.queue;
  refuseOtherNames(pipeline, running);
  const owner = await own.owner();
  if (owner !== undefined && owner !== runOf(temporal, running.batch)) {
    throw new CommandError(
      `The queue ${queue} belongs to another lane, ${owner} (namespace and first run): give this pipeline one of its own ` +
        `(SLUICE_QUEUE) or, if that lane is gone for good, take its place: \`sluice start --adopt\``,
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

/** Ingest that is gone beside its lane would begin anew, and leave out what was published meanwhile. Whoever starts a pipeline need not be allowed to look. */
async function refuseToForget({ pipeline, store }: Context, { ingest, batch }: Running): Promise<void> {
  if (ingest || !batch) return;
  const kept = await readCursor(store).catch(() => undefined);
  if (kept?.pipeline !== pipeline.name) return;
  throw new CommandError(
    `Ingest of ${pipeline.name} is gone, and its lane is not: \`sluice start --adopt\` goes on from the cursor that the lake keeps (${kept.time})`,
  );
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
