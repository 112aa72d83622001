import { printableLines } from '../printable';
import { loadWorkerSettings, WORKER_SETTINGS } from '../settings/worker';
import { type Health, HEALTH_PATH } from '../workers/health';

/** Longer than the worker's own question to Temporal may take. */
const ANSWER_MS = 8_000;

/**
 * `sluice health`: asks the worker beside it how it is, for Docker, ECS (`CMD`) or Kubernetes (`exec`). What it finds goes to stdout,
 * where an orchestrator keeps it.
 *
 * @returns whether its Workers poll
 */
export async function health(): Promise<boolean> {
  try {
    const { healthAddress } = loadWorkerSettings(process.env);
    if (healthAddress === undefined) {
      console.log(
        `${WORKER_SETTINGS.healthAddress.name} is not set: set it to the same address as the worker's`,
      );
      return false;
    }
    const { healthy, problems } = await ask(healthAddress);
    console.log(healthy ? 'The Workers poll' : printableLines(problems.join('\n')));
    return healthy;
  } catch (error) {
    const { message, cause } = error instanceof Error ? error : new Error(String(error));
    console.log(printableLines(cause instanceof Error ? `No worker answers: ${cause.message}` : message));
    return false;
  }
}

async function ask(address: string): Promise<Health> {
  const response = await fetch(`http://${address}${HEALTH_PATH}`, { signal: AbortSignal.timeout(ANSWER_MS) });
  return (await response.json()) as Health;
}
