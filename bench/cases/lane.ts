import path from 'node:path';
import { Client } from '@temporalio/client';
import { loadPipeline } from '../../src/settings/pipeline';
import { startTemporalServer } from '../../local/temporal-server';
import { TASK_QUEUES, WORKFLOWS } from '../../src/pipeline/names';
import type { batch } from '../../src/workflows/batch';
import { builtWith } from '../peers/sluice';
import { connectTo, recordOf } from '../peers/temporal-record';
import type { Measurement } from '../plan';
import { startProgram, usageOf } from '../processes';
import { watchProgress } from '../progress';
import type { Figures } from '../results';
import { type BenchContext, withEndings } from './context';
import { ofProgress } from './throughput';

const WORKER = path.join(__dirname, '../lane-worker.ts');
const EVERY_MS = 50;

/** Rows/s of one lane, its Worker and Temporal, with an SQS and an S3 that answer at once. */
export async function measureLane(
  { folder, nodeOptions }: BenchContext,
  measurement: Measurement,
): Promise<Figures> {
  const { events, batchRows, inFlight, limitSeconds } = measurement;
  return await withEndings(async (ending) => {
    const temporal = await startTemporalServer({ databaseFile: path.join(folder, 'temporal.db') });
    ending(() => temporal.stop());
    const connection = await connectTo(temporal.address);
    ending(() => connection.close());
    const client = new Client({ connection });
    const workflowId = 'bench-lane';
    await client.workflow.start<typeof batch>(WORKFLOWS.batch, {
      workflowId,
      taskQueue: TASK_QUEUES.batch,
      // Its stub hands out plain messages.
      args: [loadPipeline({ SLUICE_PACK: '1', SLUICE_BATCH_ROWS: String(batchRows) })],
    });
    const worker = await startProgram(
      WORKER,
      [`--built=${await builtWith(inFlight)}`, `--temporal=${temporal.address}`, `--events=${events}`],
      nodeOptions,
    );
    ending(() => worker.stop());
    let deleted = 0;
    worker.lines((line) => (deleted = Number(line)));
    const progress = await watchProgress({
      count: async () => deleted,
      target: events,
      everyMs: EVERY_MS,
      limitMs: limitSeconds * 1_000,
      pids: { worker: worker.pid, 'Temporal dev server': temporal.pid },
      requireAlive: () => worker.requireAlive(),
    });
    return {
      ...ofProgress(progress),
      'peakRssMb: worker': usageOf(worker.pid).peakRssMb,
      'peakRssMb: Temporal dev server': usageOf(temporal.pid).peakRssMb,
      ...(await recordOf(client, workflowId, deleted)),
    };
  });
}
