import { once } from 'node:events';
import { createServer } from 'node:net';
import { DefaultLogger, type Logger, Runtime, type TelemetryOptions } from '@temporalio/worker';
import { WORKER_SETTINGS, type WorkerSettings } from '../settings/worker';
import { listenAt } from './listen';
import { logLine } from './log-line';

/**
 * Sets up what this process tells of itself: logs on stderr, the Rust core's warnings among them, and metrics where an
 * address for them is set. Once per process, before the first connection.
 *
 * @param shutdownSignals at which Workers shut down by themselves
 * @returns a logger for the process's own words, which outlives the Runtime: that goes with its last connection
 * @throws SettingsError when nothing can listen at the address of the metrics
 */
export async function installRuntime(
  { logFormat, logLevel, metricsAddress }: WorkerSettings,
  shutdownSignals: NodeJS.Signals[],
): Promise<Logger> {
  const format = logFormat === 'auto' ? (process.stderr.isTTY ? 'text' : 'json') : logFormat;
  const logger = new DefaultLogger(logLevel, (entry) => process.stderr.write(logLine(format, entry)));
  Runtime.install({
    logger,
    shutdownSignals,
    telemetryOptions: {
      logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} },
      ...(metricsAddress === undefined ? {} : { metrics: await prometheus(metricsAddress) }),
    },
  });
  return logger;
}

async function prometheus(address: string): Promise<NonNullable<TelemetryOptions['metrics']>> {
  return {
    // It would put `service_name="temporal-core-sdk"` on the SDK's series, and on no other.
    attachServiceName: false,
    prometheus: {
      bindAddress: await freeAddress(address),
      countersTotalSuffix: true,
      unitSuffix: true,
      useSecondsForDurations: true,
    },
  };
}

/**
 * The Runtime takes no host names, and its error for an address in use doesn't say which setting is meant.
 *
 * @returns the address, its host as an IP address
 */
async function freeAddress(hostAndPort: string): Promise<string> {
  const server = createServer();
  const { address, family, port } = await listenAt(server, hostAndPort, WORKER_SETTINGS.metricsAddress.name);
  server.close();
  await once(server, 'close');
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}
