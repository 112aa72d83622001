import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Client } from '@temporalio/client';
import type { Context } from '../../src/cli/context';
import { pipelineHandles } from '../../src/cli/workflows';
import { provide } from '../../src/cli/provision';
import { start } from '../../src/cli/start';
import { LakeStore } from '../../src/lake/store';
import { Queue } from '../../src/queue/queue';
import { loadPipeline } from '../../src/settings/pipeline';
import { packageRoot } from '../../src/package-root';
import { startTemporalServer } from '../../local/temporal-server';
import { type BenchProcess, startProcess } from '../processes';
import { clientsOf, environmentOf } from '../servers/servers';
import type { Job, Running } from './peer';
import { connectTo, recordOf } from './temporal-record';

const ROLES = { ingest: ['ingest'], process: ['batch'], both: [] };

/** The built product with its defaults: a Temporal dev server on disk, and worker processes. */
export async function startSluice(job: Job): Promise<Running> {
  const endings: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (let end = endings.pop(); end; end = endings.pop()) await end();
  };
  try {
    const temporal = await startTemporalServer({ databaseFile: path.join(job.folder, 'temporal.db') });
    endings.push(() => temporal.stop());
    const connection = await connectTo(temporal.address);
    endings.push(() => connection.close());
    const context = contextOf(job, new Client({ connection }));
    await provide(context);
    await start(context);
    const { batch } = await pipelineHandles(context);
    const built = await builtWith(job.inFlight);
    const starting = Array.from({ length: job.workers }, (_, index) =>
      startProcess({
        command: [
          process.execPath,
          ...job.nodeOptions,
          path.join(built, 'src/cli/main.js'),
          'worker',
          ...ROLES[job.part],
        ],
        env: {
          ...environmentOf(job.endpoints),
          TEMPORAL_ADDRESS: temporal.address,
          SLUICE_LOG_LEVEL: 'WARN',
          ...job.workerEnvironment,
        },
        cwd: job.folder,
        log: path.join(job.folder, `worker-${index}.log`),
      }),
    );
    const workers = await Promise.all(starting);
    endings.push(() => Promise.all(workers.map((worker) => worker.stop())));
    // Node writes a profile when it ends by itself, which the poll under way delays.
    if (job.nodeOptions.length > 0) endings.push(() => Promise.all(workers.map(endInItsOwnTime)));
    const named = workers.map(
      (worker, index) => [index === 0 ? 'worker' : `worker ${index + 1}`, worker] as const,
    );
    return {
      processes: { ...Object.fromEntries(named), 'Temporal dev server': temporal },
      requireAlive: () => workers.forEach((worker) => worker.requireAlive()),
      record: (rows) => recordOf(context.temporal, batch.workflowId, rows),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function endInItsOwnTime({ pid, gone }: BenchProcess): Promise<void> {
  process.kill(pid, 'SIGTERM');
  await gone;
}

function contextOf(job: Job, temporal: Client): Context {
  const pipeline = loadPipeline({
    SLUICE_PIPELINE: job.queue,
    SLUICE_SOURCE_URL: job.sourceUrl,
    // The source has published before the pipeline starts.
    SLUICE_SOURCE_SINCE: '2020-01-01T00:00:00Z',
    SLUICE_QUEUE: job.queue,
    SLUICE_BUCKET: job.bucket,
    SLUICE_BATCH_ROWS: String(job.batchRows),
    SLUICE_COLUMNS: job.columns,
  });
  const { sqs, s3 } = clientsOf(job.endpoints);
  const store = new LakeStore(s3, pipeline.lake);
  return { pipeline, temporal, queue: new Queue(sqs, job.queue), store, say: () => {}, write: () => {} };
}

/**
 * How many batches are in flight is no setting. To show what another number would do, a copy of the build gets it.
 *
 * @returns the folder of the build to run
 */
export async function builtWith(inFlight: number | undefined): Promise<string> {
  const built = path.join(packageRoot, 'dist');
  if (inFlight === undefined) return built;
  // Inside the package, so that its modules are found.
  const copy = path.join(packageRoot, '.sluice', 'bench', `in-flight-${inFlight}`, 'dist');
  await rm(copy, { recursive: true, force: true });
  await cp(built, copy, { recursive: true });
  const bundle = path.join(copy, 'src', 'workflow-bundle.js');
  const code = await readFile(bundle, 'utf8');
  const changed = code.replace(/(exports\.UPLOADS_AT_ONCE = )\d+;/, `$1${inFlight};`);
  if (changed === code && !code.includes(`exports.UPLOADS_AT_ONCE = ${inFlight};`)) {
    throw new Error('The bundle has no UPLOADS_AT_ONCE any more: see src/lake/layout.ts');
  }
  await writeFile(bundle, changed);
  return copy;
}
