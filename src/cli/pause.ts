import { SIGNALS } from '../pipeline/names';
import type { Context } from './context';
import { pipelineHandles, signal } from './workflows';

/** The parts of a pipeline. */
export type Part = 'ingest' | 'lane' | 'both';

/** `sluice pause`: ingest reads no more, or the lane receives no more, until resumed. */
export async function pause(context: Context, part: Part = 'both'): Promise<void> {
  await tell(context, part, SIGNALS.pause);
  context.say(`${part}: paused`);
}

/** `sluice resume`: goes on where it paused, and tries again what is parked. */
export async function resume(context: Context, part: Part = 'both'): Promise<void> {
  await tell(context, part, SIGNALS.resume);
  context.say(`${part}: resumed`);
}

/** `sluice flush`: the lane writes its partial batch now, also during an open poll. */
export async function flush(context: Context): Promise<void> {
  await tell(context, 'lane', SIGNALS.flush);
  context.say('what waits is being written');
}

async function tell(context: Context, part: Part, name: string): Promise<void> {
  const { ingest, batch } = await pipelineHandles(context);
  if (part !== 'lane') await signal(ingest, name);
  if (part !== 'ingest') await signal(batch, name);
}
