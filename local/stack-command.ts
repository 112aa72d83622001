import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { startEndlessStream } from './endless-stream';
import { type Foreground, runInForeground } from './foreground';
import { wholeNumber } from './option';
import { packageRoot } from '../src/package-root';
import { requireFreePort } from './ports';
import type { SimulatedStream } from './simulated-stream';
import { requireAlive, type Stack, startStack } from './stack';
import { withStackFolder } from './stack-folder';

interface StackCommandOptions {
  temporalPort: number;
  uiPort: number;
  motoPort: number;
  codecPort: number;
  /** Of the simulated EventStreams. */
  streamPort: number;
  simulated?: true;
  reset?: true;
}

const LOOK_EVERY_MS = 200;

const RESTART = `\
Temporal keeps its state over a restart of this stack, moto begins empty. Pipelines then park until \`npx sluice provision\`
has made queue and bucket anew, and go on from their cursors: objects, and the events that waited in the queue, are
gone. \`npm run stack -- --reset\` makes Temporal begin empty, too.`;

/**
 * `npm run stack`: Temporal and moto in the foreground, on their usual ports, until Ctrl-C.
 *
 * @param folder keeps Temporal's state
 */
export async function stackCommand(folder: string): Promise<void> {
  await runInForeground(async (foreground) => {
    const options = readOptions(folder);
    await withStackFolder(folder, () => runStack(folder, options, foreground));
    return 0;
  });
}

function readOptions(folder: string): StackCommandOptions {
  return new Command('npm run stack --')
    .description(
      'Runs Temporal with its web UI, and moto in place of SQS and S3, until Ctrl-C. Temporal keeps its state in ' +
        `${shown(folder)}, moto keeps queue and bucket in memory.`,
    )
    .option('--temporal-port <port>', 'of Temporal', wholeNumber(1, 65_535), 7233)
    .option('--ui-port <port>', "of Temporal's web UI", wholeNumber(1, 65_535), 8233)
    .option('--moto-port <port>', 'of moto', wholeNumber(1, 65_535), 5000)
    .option(
      '--codec-port <port>',
      "of the codec server, for Temporal's web UI and CLI",
      wholeNumber(1, 65_535),
      8234,
    )
    .option('--simulated', 'also a simulated EventStreams of 20 events/s, for a machine without internet')
    .option('--stream-port <port>', 'of the simulated EventStreams', wholeNumber(1, 65_535), 8088)
    .option('--reset', 'delete what Temporal kept, and begin anew')
    .exitOverride()
    .parse()
    .opts();
}

async function runStack(
  folder: string,
  { reset, simulated, streamPort, ...ports }: StackCommandOptions,
  { interrupted }: Foreground,
): Promise<void> {
  if (reset) await rm(folder, { recursive: true, force: true });
  const databaseFile = path.join(folder, 'temporal.db');
  console.log('Starting Temporal and moto …');
  const stack = await startStack({ ...ports, databaseFile, log: console.log });
  let stream: SimulatedStream | undefined;
  try {
    if (simulated) {
      await requireFreePort(streamPort, 'The simulated EventStreams');
      stream = await startEndlessStream({ port: streamPort });
    }
    console.log(description(stack, databaseFile, stream));
    await Promise.race([interrupted, watch(stack)]);
  } finally {
    await stream?.close();
    await stack.stop();
  }
}

/** Rejects when a server ends by itself. */
async function watch(stack: Stack): Promise<never> {
  for (;;) {
    await delay(LOOK_EVERY_MS);
    requireAlive(stack);
  }
}

function description(
  { temporal, moto, codec, environment }: Stack,
  databaseFile: string,
  stream: SimulatedStream | undefined,
): string {
  const variables = { ...environment, ...(stream ? { SLUICE_SOURCE_URL: stream.url } : {}) };
  const exports = Object.entries(variables).map(([name, value]) => `export ${name}=${value}`);
  return `
Temporal   ${temporal.address}, its state in ${shown(databaseFile)}
web UI     ${temporal.webUrl}
moto       ${moto.url}, SQS and S3 in memory
codec      ${codec.url}, which the web UI asks for compressed payloads
${stream ? `stream     ${stream.url}, simulated\n` : ''}
${RESTART}

What points workers and \`sluice\` here, for a shell or for .env:

${exports.join('\n')}

Ctrl-C ends all.`;
}

/** As short as it can be seen from here. */
function shown(file: string): string {
  return path.relative(process.cwd(), file) || file;
}

if (require.main === module) void stackCommand(path.join(packageRoot, '.sluice', 'stack'));
