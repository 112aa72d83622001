import { config } from 'dotenv';
import { loadWorkerSettings, WORKER_SETTINGS } from '../settings/worker';
import { type Health, HEALTH_PATH } from './health';

/** Longer than the worker's own question to Temporal may take. */
const ANSWER_MS = 8_000;

/**
 * `node dist/workers/health-check.js`: asks the worker beside it how it is, for Docker, ECS (`CMD`) or Kubernetes (`exec`).
 * Exit code 0 when its Workers poll, else 1 with the reasons.
 */
async function main(): Promise<void> {
  config({ quiet: true });
  process.exitCode = 1;
  const { healthAddress } = loadWorkerSettings(process.env);
  if (healthAddress === undefined) {
    console.log(
      `${WORKER_SETTINGS.healthAddress.name} is not set: set it to the same address as the worker's`,
    );
    return;
  }
  const { healthy, problems } = await ask(healthAddress);
  console.log(healthy ? 'The Workers poll' : problems.join('\n'));
  if (healthy) process.exitCode = 0;
}

async function ask(address: string): Promise<Health> {
  const response = await fetch(`http://${address}${HEALTH_PATH}`, { signal: AbortSignal.timeout(ANSWER_MS) });
  return (await response.json()) as Health;
}

main().catch((error: unknown) => {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  console.log(cause instanceof Error ? `No worker answers: ${cause.message}` : message);
  process.exitCode = 1;
});
