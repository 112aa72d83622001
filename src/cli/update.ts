import type { PipelineDefinition } from '../config';
import { differences, whyUnchangeable } from '../definition';
import { QUERIES, UPDATES } from '../names';
import { hasRead } from '../sources/cursor';
import type { BatchStatus, IngestStatus } from '../workflows/status';
import { CommandError, type Context, outcomeOf, pipelineHandles, query } from './context';

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
    query<BatchStatus>(batch, QUERIES.status),
  ]);
  const why = whyUnchangeable(pipeline, source.definition, { hasRead: hasRead(source.cursor) });
  if (why !== undefined) throw new CommandError(`Nothing was changed: ${why}`);
  const changed = differences(pipeline, source.definition);
  // Where the window shrinks, stints must shrink before it; where it grows, after it.
  const shrinks = pipeline.windowKeys < lane.definition.windowKeys;
  let version = 0;
  for (const handle of shrinks ? [ingest, batch] : [batch, ingest]) {
    const changing = handle.executeUpdate<number, [PipelineDefinition]>(UPDATES.update, { args: [pipeline] });
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
