import type { WorkflowHandle } from '@temporalio/client';
import { QUERIES, SIGNALS, TASK_QUEUES } from '../pipeline/names';
import type { Activity } from '../lane/standing';
import type { Context } from './context';
import { hasWorker, pipelineHandles, query, signal } from './workflows';
import { CommandError } from './errors';

/** The parts of a pipeline. */
export type Part = OnePart | 'both';
type OnePart = 'ingest' | 'lane';

/** `sluice pause`: ingest reads no more, or the lane receives no more, until resumed. @throws CommandError when it is stopped */
export async function pause(context: Context, part: Part = 'both'): Promise<void> {
  context.say(`${await tell(context, part, SIGNALS.pause)}: paused`);
}

/** `sluice resume`: goes on where it paused, and tries again what is parked. @throws CommandError when it is stopped */
export async function resume(context: Context, part: Part = 'both'): Promise<void> {
  context.say(`${await tell(context, part, SIGNALS.resume)}: resumed`);
}

/** `sluice flush`: the lane writes its partial batch now, also during an open poll. @throws CommandError when it is stopped */
export async function flush(context: Context): Promise<void> {
  await tell(context, 'lane', SIGNALS.flush);
  context.say('what waits is being written');
}

/** A part that is stopped would take the signal, and do nothing. @returns who was told */
async function tell(context: Context, part: Part, name: string): Promise<Part> {
  const { ingest, batch } = await pipelineHandles(context);
  const handles = { ingest, lane: batch };
  const asked: OnePart[] = part === 'both' ? ['ingest', 'lane'] : [part];
  const areStopped = await Promise.all(asked.map((one) => isStopped(context, one, handles[one])));
  const [first, second] = asked.filter((_, place) => areStopped[place] !== true);
  if (!first) throw new CommandError(`${part}: stopped. \`sluice start\` wakes the pipeline`);
  for (const one of [first, second]) if (one) await signal(handles[one], name);
  for (const one of asked)
    if (one !== first && one !== second) context.say(`${one}: stopped. \`sluice start\` wakes the pipeline`);
  return second ? 'both' : first;
}

/** @returns false where no worker answers: then nobody knows */
async function isStopped({ temporal }: Context, part: OnePart, handle: WorkflowHandle): Promise<boolean> {
  if (!(await hasWorker(temporal, TASK_QUEUES[part === 'lane' ? 'batch' : 'ingest']))) return false;
  const status = await query<{ activity: Activity }>(handle, QUERIES.status).catch(() => undefined);
  return status?.activity === 'stopped';
}
