import { continueAsNew, sleep } from '@temporalio/workflow';
import type { CarriedLane } from '../../src/lane/carried';
import type { PipelineDefinition } from '../../src/pipeline/definition';
import { type Asked, parkUntilNewer, whyUnreadable } from '../../src/workflows/newer-state';

/** Stands for the lane of a version to come, which can read schema 2. */
export async function batch(
  definition: PipelineDefinition,
  carried?: CarriedLane,
  settledKeys?: Uint8Array,
  asked: Asked = [],
): Promise<void> {
  const problem = whyUnreadable(carried?.schema, 2);
  if (problem !== undefined) {
    const all = await parkUntilNewer('batch', problem, { definition }, asked);
    return await continueAsNew<typeof batch>(definition, carried, settledKeys, all);
  }
  await sleep('1 hour');
}
