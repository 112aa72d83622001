import path from 'node:path';
import { freePort, HOST, requireFreePort } from './ports';
import { ensurePythonEnvironment } from './python';
import { packageRoot } from '../src/package-root';
import { startServerProcess } from './server-process';

// tsc copies no .py file, so the compiled code too runs the one in src.
const MOTO = path.join(packageRoot, 'local', 'moto.py');

/** A moto server: SQS and S3 in memory, empty at every start. */
export interface MotoServer {
  /** What AWS_ENDPOINT_URL is to be. */
  url: string;
  port: number;
  /** The server's process. */
  pid: number;
  /** Ends the server; resolves when it is gone. */
  stop(): Promise<void>;
  /** Ends the server with SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

export interface MotoServerOptions {
  /** Default: a free port. */
  port?: number | undefined;
  /** Told when something slow begins. Default: nothing is told. */
  log?: ((line: string) => void) | undefined;
}

/**
 * Starts moto on 127.0.0.1 and waits until it answers.
 *
 * @throws StackError when a named port is in use, the Python environment can't be made, or moto does not start
 */
export async function startMotoServer(options: MotoServerOptions = {}): Promise<MotoServer> {
  const { port = await freePort(), log } = options;
  await requireFreePort(port, 'moto');
  const { python } = await ensurePythonEnvironment({ log });

  const url = `http://${HOST}:${port}`;
  const server = await startServerProcess({
    name: 'moto',
    python,
    command: [python, '-I', MOTO, '-H', HOST, '-p', String(port)],
    probe: () => requireOk(`${url}/moto-api/`),
  });
  return { url, port, ...server };
}

async function requireOk(url: string): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.timeout(1000) });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
}
