import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Runtime } from '@temporalio/worker';
import { config } from 'dotenv';
import { awsClients } from './clients';
import { createWorker, type Role } from './workers';

/** `npm run worker [-- ingest | -- batch]`: runs Workers until SIGTERM or SIGINT. */
async function main(names: string[]): Promise<void> {
  config({ quiet: true });
  const roles = rolesOf(names);
  // Ingest and batch shut down by themselves at the first signal, each in its own time.
  Runtime.install({ shutdownSignals: ['SIGINT', 'SIGTERM'] });
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const connection = await NativeConnection.connect(connectionOptions);
  try {
    const clients = awsClients();
    const workers = await Promise.all(
      roles.map((role) => createWorker(role, { connection, namespace, clients })),
    );
    await Promise.all(workers.map((worker) => worker.run()));
  } finally {
    await connection.close();
  }
}

function rolesOf(names: string[]): Role[] {
  if (names.length === 0) return ['ingest', 'batch'];
  return names.map((name) => {
    if (name === 'ingest' || name === 'batch') return name;
    throw new Error(
      `There is no worker called ${JSON.stringify(name)}: use ingest, batch, or nothing for both`,
    );
  });
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
