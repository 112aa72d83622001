import { setTimeout as delay } from 'node:timers/promises';
import {
  type Logger,
  NativeConnection,
  type NativeConnectionOptions,
  Runtime,
  type Worker,
} from '@temporalio/worker';
import { activityClients, createBatchActivities, createIngestActivities } from '../activities';
import { describeError } from '../clients/aws-errors';
import { loadWorkerSettings } from '../settings/worker';
import { kafkaSettings } from '../sources/kafka/security';
import type { SourceAccess } from '../sources/open-source';
import { countRequests } from '../clients/aws-requests';
import { awsClients } from '../clients/aws';
import { type Look, lookAtWorkers, serveHealth } from './health';
import { installRuntime } from './telemetry';
import { temporalConnectConfig } from '../clients/temporal';
import { watchSlots } from './slots';
import { createWorker, type Role, type WorkerEnvironment } from './workers';

const SHUTDOWN_SIGNALS: NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];

/** Milliseconds between tries to reach a Temporal that does not answer. */
const CONNECT_EVERY_MS = 2_000;

/** The SDK's own; named here so that it can be told. */
const DEFAULT_ADDRESS = 'localhost:7233';

/**
 * Runs Workers until SIGTERM or SIGINT. A Worker that fails ends the process, with exit code 1.
 *
 * @throws SettingsError for settings that can't be used, and other errors that are in the way of a start
 */
export async function runWorkerProcess(roles: readonly Role[]): Promise<void> {
  const settings = loadWorkerSettings(process.env);
  const { connectionOptions, namespace = 'default' } = temporalConnectConfig(process.env);
  const { address = DEFAULT_ADDRESS } = connectionOptions;
  // The Workers shut down by themselves at the first signal, each in its own time.
  const logger = await installRuntime(settings, SHUTDOWN_SIGNALS);
  logger.info('Worker process starts', {
    roles: roles.join(','),
    temporalAddress: address,
    temporalNamespace: namespace,
    metricsAddress: settings.metricsAddress,
    healthAddress: settings.healthAddress,
  });
  let look: Look = () => Promise.resolve([`there is no connection to Temporal at ${address} yet`]);
  const health =
    settings.healthAddress === undefined
      ? undefined
      : await serveHealth(settings.healthAddress, () => look());
  try {
    const sources = { kafka: kafkaSettings(settings.kafka) };
    const connection = await connect({ ...connectionOptions, address }, logger);
    const environment = { connection, namespace, deployment: settings.deployment };
    await runWorkers(roles, environment, sources, (workers) => {
      look = () => lookAtWorkers(workers, connection);
      watchSlots(workers, logger);
    });
    logger.info('Worker process ends');
  } catch (error) {
    logger.error('Worker process failed', { error });
    // At once: a Worker that was made, or is being made, beside one that failed would keep the process, which then does nothing.
    process.exit(1);
  } finally {
    health?.close();
    health?.closeAllConnections();
  }
}

async function runWorkers(
  roles: readonly Role[],
  environment: Omit<WorkerEnvironment, 'activities'>,
  sources: SourceAccess,
  created: (workers: Worker[]) => void,
): Promise<void> {
  try {
    const aws = awsClients();
    countRequests(aws, Runtime.instance().metricMeter);
    const clients = activityClients(aws);
    const activities = {
      ingest: createIngestActivities(clients, sources),
      batch: createBatchActivities(clients),
    };
    const workers = await Promise.all(
      roles.map((role) => createWorker(role, { ...environment, activities: activities[role] })),
    );
    created(workers);
    await runTogether(workers);
  } finally {
    await environment.connection.close();
  }
}

/** A worker may be started before its Temporal, or while that is away. */
async function connect(
  options: NativeConnectionOptions & { address: string },
  logger: Logger,
): Promise<NativeConnection> {
  const leave = () => process.exit(0);
  for (const signal of SHUTDOWN_SIGNALS) process.once(signal, leave);
  try {
    for (;;) {
      try {
        return await NativeConnection.connect(options);
      } catch (error) {
        logger.warn('Temporal does not answer (TEMPORAL_ADDRESS); trying again', {
          temporalAddress: options.address,
          error: describeError(error),
        });
        await delay(CONNECT_EVERY_MS);
      }
    }
  } finally {
    for (const signal of SHUTDOWN_SIGNALS) process.off(signal, leave);
  }
}

/** When one Worker fails, the others shut down too: the supervisor starts the whole process again. */
async function runTogether(workers: Worker[]): Promise<void> {
  const runs = workers.map(async (worker) => {
    try {
      await worker.run();
    } finally {
      for (const other of workers) if (other.getState() === 'RUNNING') other.shutdown();
    }
  });
  const outcomes = await Promise.allSettled(runs);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
