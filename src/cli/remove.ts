import { createInterface } from 'node:readline/promises';
import { lakeAddress } from '../lake/owner';
import { UPDATES } from '../pipeline/names';
import type { Context } from './context';
import { describeRunning, outcomeOf, pipelineHandles } from './workflows';
import { CommandError } from './errors';

export interface RemoveOptions {
  /** Whether to ask nothing. */
  yes?: boolean;
}

/**
 * `sluice remove`: ends a stopped pipeline for good. Cursor, window and sequence are forgotten; queue, bucket and lake stay.
 * The queue may be another pipeline's then; the prefix stays this one's, since another would number its objects from 1 again. One that was interrupted can be run again.
 *
 * @throws CommandError when the pipeline is not stopped, or was not meant
 */
export async function remove(context: Context, { yes = false }: RemoveOptions = {}): Promise<void> {
  const { pipeline, queue, say } = context;
  const { ingest, batch } = await pipelineHandles(context);
  const running = [];
  for (const handle of [ingest, batch]) if (await describeRunning(handle)) running.push(handle);
  if (running.length > 0 && !yes) await ask(pipeline.name);
  for (const handle of running) await outcomeOf(handle, handle.executeUpdate(UPDATES.remove));
  await queue.unclaim();
  say(
    `pipeline ${pipeline.name}: removed. What it wrote stays, and so does its claim to ${lakeAddress(pipeline.lake)}: give a new ` +
      'one a prefix of its own (SLUICE_PREFIX)',
  );
}

async function ask(name: string): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines
    .question(
      `This ends the pipeline ${name} for good: its cursor, window and sequence are forgotten. Type its name: `,
    )
    .finally(() => lines.close());
  if (answer.trim() !== name) throw new CommandError('Nothing was removed');
}
