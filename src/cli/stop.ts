import { setTimeout as delay } from 'node:timers/promises';
import { QUERIES, SIGNALS } from '../pipeline/names';
import type { Context } from './context';
import { type PipelineHandles, pipelineHandles, query, signal } from './workflows';
import { CommandError } from './errors';
import type { LaneStatus } from '../lane/status';
import type { IngestStatus } from '../workflows/status';

const LOOK_EVERY_MS = 1_000;

/**
 * `sluice stop`: ends the stint, drains the queue into the lake and idles, with cursor, window and sequence kept.
 *
 * @param wait whether to return only when all is in the lake
 * @throws CommandError with `wait`, where the lane stopped without having read its queue, which it could never claim
 */
export async function stop(context: Context, { wait = false }: { wait?: boolean } = {}): Promise<void> {
  const { pipeline, say } = context;
  const handles = await pipelineHandles(context);
  await signal(handles.ingest, SIGNALS.stop);
  if (!wait) return say(`pipeline ${pipeline.name}: stopping`);
  const { claim, problem = '' } = await untilStopped(context, handles);
  if (claim === 'never') {
    throw new CommandError(
      `pipeline ${pipeline.name}: stopped, and its lane has read nothing of the queue, which it could never claim: ${problem}`,
    );
  }
  say(`pipeline ${pipeline.name}: stopped, all is in the lake`);
}

async function untilStopped({ say }: Context, handles: PipelineHandles): Promise<LaneStatus> {
  let said: string | undefined;
  for (;;) {
    const found = await laneOnceStopped(handles);
    if (typeof found !== 'string') return found;
    if (found !== '' && found !== said) say(`waiting: ${found}`);
    said = found;
    await delay(LOOK_EVERY_MS);
  }
}

/** @returns why the pipeline has not stopped: an empty text where that is not known */
async function laneOnceStopped({ ingest, batch }: PipelineHandles): Promise<LaneStatus | string> {
  try {
    const [source, lane] = await Promise.all([
      query<IngestStatus>(ingest, QUERIES.status),
      query<LaneStatus>(batch, QUERIES.status),
    ]);
    if (source.activity === 'stopped' && lane.activity === 'stopped') return lane;
    if (lane.activity === 'paused') return 'the lane is paused; `sluice resume lane`';
    return lane.problem ?? '';
  } catch (error) {
    if (error instanceof CommandError) return error.message;
    throw error;
  }
}
