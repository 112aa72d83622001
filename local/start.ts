import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { config } from 'dotenv';
import { type Context } from '../src/cli/context';
import { CommandError } from '../src/cli/errors';
import { readStatus } from '../src/cli/status';
import { stop } from '../src/cli/stop';
import { loadPipeline } from '../src/settings/pipeline';
import { loadWorkerSettings } from '../src/settings/worker';
import { type EmbeddedPipeline, progressLine, startEmbeddedPipeline } from './embedded-pipeline';
import { type Endings, type Foreground, INTERRUPTED, runInForeground } from './foreground';
import { freePort, HOST, requireFreePort } from './ports';
import { requireReachable } from './reachable';

/** What a person will have bookmarked. */
const USUAL_PORTS = { temporal: 7233, ui: 8233, moto: 5000, codec: 8234, metrics: 9464 };

const LOOK_EVERY_MS = 1_000;
const SHOW_EVERY_MS = 10_000;

/**
 * `npm start`: the pipeline on its source, Wikimedia's live stream unless settings say another, in one process with a
 * stack of its own.
 *
 * Temporal is kept in memory, as moto is: one that remembered beside one that forgot would tell of rows that are
 * nowhere. Servers get their usual ports where these are free, and others where they are not.
 */
async function run({ endings, interrupted }: Foreground): Promise<number> {
  readOptions();
  const pipeline = await Promise.race([begin(endings), interrupted]);
  if (pipeline === 'interrupted') return INTERRUPTED;
  await showProgress(pipeline, interrupted);
  console.log('Stopping: what is in the queue goes to the lake. Ctrl-C again ends at once.');
  await stop(pipeline.context, { wait: true });
  console.log(await lakeLine(pipeline.context));
  return 0;
}

function readOptions(): void {
  new Command('npm start')
    .description(
      'Runs the pipeline on the live stream until Ctrl-C, with Temporal, its web UI, and moto in place of SQS and S3. ' +
        'Everything is kept in memory. Settings are environment variables or lines of .env; the README lists them.',
    )
    .exitOverride()
    .parse();
}

async function begin(endings: Endings): Promise<EmbeddedPipeline> {
  config({ quiet: true });
  const definition = loadPipeline({
    // moto's counts don't lag, and nobody should wait long for the last poll.
    SLUICE_DRAIN_QUIET: '2s',
    SLUICE_VISIBILITY_TIMEOUT: '20s',
    ...process.env,
  });
  const worker = loadWorkerSettings({
    SLUICE_METRICS_ADDRESS: `${HOST}:${await usualOrFreePort(USUAL_PORTS.metrics)}`,
    SLUICE_LOG_LEVEL: 'ERROR',
    ...process.env,
  });
  await requireReachable(definition.source);

  console.log('Starting Temporal and moto …');
  const pipeline = await startEmbeddedPipeline({
    pipeline: definition,
    worker,
    stack: {
      temporalPort: await usualOrFreePort(USUAL_PORTS.temporal),
      uiPort: await usualOrFreePort(USUAL_PORTS.ui),
      motoPort: await usualOrFreePort(USUAL_PORTS.moto),
      codecPort: await usualOrFreePort(USUAL_PORTS.codec),
    },
    endings,
  });
  console.log(`source             ${definition.source.url}`);
  console.log(`Temporal's web UI  ${pipeline.stack.temporal.webUrl}`);
  console.log(`moto, SQS and S3   ${pipeline.stack.moto.url}`);
  console.log(`codec server       ${pipeline.stack.codec.url}`);
  if (worker.metricsAddress) console.log(`metrics            http://${worker.metricsAddress}/metrics`);
  console.log('Ctrl-C stops the pipeline and ends all.');
  return pipeline;
}

/** A port that people know, or a free one where it is in use. */
async function usualOrFreePort(usual: number): Promise<number> {
  try {
    await requireFreePort(usual, 'This');
    return usual;
  } catch {
    return freePort();
  }
}

/** Until Ctrl-C. */
async function showProgress(pipeline: EmbeddedPipeline, interrupted: Promise<'interrupted'>): Promise<void> {
  let shown = '';
  for (let looks = 1; ; looks += 1) {
    const woken = await Promise.race([delay(LOOK_EVERY_MS), interrupted]);
    if (woken === 'interrupted') return;
    pipeline.requireAlive();
    if (looks % (SHOW_EVERY_MS / LOOK_EVERY_MS) !== 0) continue;
    const line = await statusLine(pipeline.context);
    if (line !== shown) console.log(line);
    shown = line;
  }
}

async function statusLine(context: Context): Promise<string> {
  try {
    const status = await readStatus(context);
    const problems = [status.ingest.problem, status.batch.problem].filter((problem) => problem !== undefined);
    return [progressLine(status), ...problems].join('; ');
  } catch (error) {
    // Too busy to answer in time, it is asked again.
    if (error instanceof CommandError) return error.message;
    throw error;
  }
}

async function lakeLine(context: Context): Promise<string> {
  const { rows, batches } = (await readStatus(context)).batch.counts;
  return `${rows} rows in ${batches} objects were in s3://${context.pipeline.lake.bucket}: they end with moto, which keeps them in memory.`;
}

void runInForeground(run);
