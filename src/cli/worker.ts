import { SettingsError } from '../settings/setting';
import { runWorkerProcess } from '../workers/process';
import type { Role } from '../workers/workers';
import { CommandError } from './errors';

/**
 * `sluice worker`: runs Workers until SIGTERM or SIGINT.
 *
 * @param roles none: both
 * @throws CommandError and SettingsError when they can't be started
 */
export async function worker(roles: readonly Role[]): Promise<void> {
  try {
    await runWorkerProcess(roles.length === 0 ? ['ingest', 'batch'] : roles);
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    throw new CommandError(error instanceof Error ? error.message : String(error));
  }
}
