import type { PipelineDefinition } from '../pipeline/definition';
import { differences, whyUnchangeable } from '../settings/changes';
import { QUERIES, UPDATES } from '../pipeline/names';
import { hasRead } from '../sources/cursor';
import type { LaneStatus } from '../lane/status';
import type { IngestStatus } from '../workflows/status';
import type { Context } from './context';
import { describeRunning, outcomeOf, pipelineHandles, type PipelineHandles, query } from './workflows';
import { CommandError } from './errors';
import { runOf, runsHere, whyNotOurs } from './lake-owner';

/**
 * `sluice update`: gives the running pipeline the present settings. Rows that wait are written with the old ones.
 *
 * @throws CommandError for what can't be changed; then nothing is
 */
export async function update(context: Context, { json = false }: { json?: boolean } = {}): Promise<void> {
  const { pipeline, say } = context;
  const { ingest, batch } = await pipelineHandles(context);
  const [source, lane] = await Promise.all([
    query<IngestStatus>(ingest, QUERIES.status),
    query<LaneStatus>(batch, QUERIES.status),
  ]);
  const why = whyUnchangeable(pipeline, source.definition, { hasRead: hasRead(source.cursor) });
  if (why !== undefined) throw new CommandError(`Nothing was changed: ${why}`);
  const run = runOf(context.temporal, await describeRunning(batch));
  const others = await whyNotOurs(context.store, run, (owner) => runsHere(context.temporal, owner));
  if (others !== undefined) throw new CommandError(`Nothing was changed: ${others}`);
  const changed = differences(pipeline, source.definition);
  let version = 0;
  for (const [handle, definition] of stepsOf(pipeline, lane.definition, { ingest, batch })) {
    const changing = handle.executeUpdate<number, [PipelineDefinition]>(UPDATES.update, {
      args: [definition],
    });
    version = await outcomeOf(handle, changing);
  }
  if (json) return say(JSON.stringify({ pipeline: pipeline.name, version, changed }, undefined, 2));
  for (const { setting, wanted, running } of changed) say(`${setting}=${wanted}; it was ${running}`);
  say(
    changed.length === 0
      ? `pipeline ${pipeline.name}: nothing to change`
      : `pipeline ${pipeline.name}: version ${version} of its settings holds`,
  );
}

/**
 * Who is told what, one after the other. The lane comes first, since it claims the lake before ingest keeps anything there. Where
 * the window shrinks, stints must shrink before it, and ingest answers when none is larger; so the lane is told of the lake before and of
 * the window after.
 */
function stepsOf(
  wanted: PipelineDefinition,
  { windowKeys, lake }: PipelineDefinition,
  { ingest, batch }: PipelineHandles,
): (readonly [PipelineHandles['batch'], PipelineDefinition])[] {
  if (wanted.windowKeys >= windowKeys) {
    return [
      [batch, wanted],
      [ingest, wanted],
    ];
  }
  const isElsewhere = wanted.lake.bucket !== lake.bucket || wanted.lake.prefix !== lake.prefix;
  return [
    ...(isElsewhere ? [[batch, { ...wanted, windowKeys }] as const] : []),
    [ingest, wanted],
    [batch, wanted],
  ];
}
