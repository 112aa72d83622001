import { type CodecServer, startCodecServer } from '../src/cli/codec-server';
import { isAlive } from './alive';
import { startMotoServer, type MotoServer } from './moto-server';
import { freePort, HOST, requireFreePort } from './ports';
import { ensurePythonEnvironment } from './python';
import { StackError } from './stack-error';
import { startTemporalServer, type TemporalServer } from './temporal-server';

/** Temporal and moto, running on this machine, and in this process what lets the web UI read compressed payloads. */
export interface Stack {
  temporal: TemporalServer;
  moto: MotoServer;
  codec: CodecServer;
  /** Environment variables that point Temporal's and AWS's clients at the two. */
  environment: Record<string, string>;
  /** Ends them; resolves when they are gone. */
  stop(): Promise<void>;
}

export interface StackOptions {
  /** Default: a free port. */
  temporalPort?: number | undefined;
  /** The port of Temporal's web UI. Default: a free port. */
  uiPort?: number | undefined;
  /** Default: a free port. */
  motoPort?: number | undefined;
  /** The codec server's. Default: a free port. */
  codecPort?: number | undefined;
  /** The SQLite file that holds all workflows. Default: they are kept in memory. */
  databaseFile?: string | undefined;
  /** Told when something slow begins. Default: nothing is told. */
  log?: ((line: string) => void) | undefined;
}

/**
 * Starts Temporal and moto, and makes their Python environment first if need be (some 15 s, once).
 *
 * @throws StackError when the environment can't be made or one of the two does not start; then neither is left running
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { temporalPort, uiPort = await freePort(), motoPort, databaseFile, log } = options;
  await ensurePythonEnvironment({ log });
  const codec = await startCodec(options.codecPort, uiPort);
  const [temporal, moto] = await Promise.allSettled([
    startTemporalServer({ port: temporalPort, uiPort, uiCodecEndpoint: codec.url, databaseFile }),
    startMotoServer({ port: motoPort }),
  ]);
  if (temporal.status === 'rejected' || moto.status === 'rejected') {
    await codec.close();
    if (temporal.status === 'fulfilled') await temporal.value.stop();
    if (moto.status === 'fulfilled') await moto.value.stop();
  }
  if (temporal.status === 'rejected') throw temporal.reason;
  if (moto.status === 'rejected') throw moto.reason;
  return {
    temporal: temporal.value,
    moto: moto.value,
    codec,
    environment: {
      TEMPORAL_ADDRESS: temporal.value.address,
      AWS_ENDPOINT_URL: moto.value.url,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    stop: async () => {
      await Promise.all([temporal.value.stop(), moto.value.stop(), codec.close()]);
    },
  };
}

/** Answers the pages of the web UI on `uiPort`, by whichever name they were opened. */
async function startCodec(port: number | undefined, uiPort: number): Promise<CodecServer> {
  if (port !== undefined) await requireFreePort(port, 'The codec server');
  const corsOrigin = [HOST, 'localhost'].map((name) => `http://${name}:${uiPort}`);
  return await startCodecServer({ address: HOST, port: port ?? 0, corsOrigin });
}

/** @throws StackError when Temporal or moto ended by itself */
export function requireAlive({ temporal, moto }: Stack): void {
  for (const [name, { pid }] of Object.entries({ Temporal: temporal, moto })) {
    if (!isAlive(pid)) throw new StackError(`${name} (process ${pid}) ended by itself: start again.`);
  }
}
