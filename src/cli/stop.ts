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
 */
export async function stop(context: Context, { wait = false }: { wait?: boolean } = {}): Promise<void> {
  const { pipeline, say } = context;
  const handles = await pipelineHandles(context);
  await signal(handles.ingest, SIGNALS.stop);
  if (wait) await untilDrained(context, handles);
  say(
    wait ? `pipeline ${pipeline.name}: stopped, all is in the lake` : `pipeline ${pipeline.name}: stopping`,
  );
}

async function untilDrained({ say }: Context, handles: PipelineHandles): Promise<void> {
  let said: string | undefined;
  for (;;) {
    const hindrance = await whatHinders(handles);
    if (hindrance === undefined) return;
    if (hindrance !== '' && hindrance !== said) say(`waiting: ${hindrance}`);
    said = hindrance;
    await delay(LOOK_EVERY_MS);
  }
}

/** @returns undefined when the pipeline has stopped; why it has not where that is known, else an empty text */
async function whatHinders({ ingest, batch }: PipelineHandles): Promise<string | undefined> {
  try {
    const [source, lane] = await Promise.all([
      query<IngestStatus>(ingest, QUERIES.status),
      query<LaneStatus>(batch, QUERIES.status),
    ]);
    if (source.activity === 'stopped' && lane.activity === 'stopped') return undefined;
    return lane.problem ?? '';
  } catch (error) {
    if (error instanceof CommandError) return error.message;
    throw error;
  }
}
