import { ApplicationFailure } from '@temporalio/workflow';
import type { PipelineDefinition } from '../pipeline/definition';
import { whyMalformed, whyUnchangeable } from '../settings/changes';

/**
 * Refuses what is no definition, and what no update can change, before anything changes.
 *
 * @param hasRead whether ingest has read something
 * @throws ApplicationFailure `UpdateRefused`
 */
export function refuseUnusable(
  wanted: PipelineDefinition,
  running: PipelineDefinition,
  { hasRead }: { hasRead: boolean },
): void {
  const why = whyMalformed(wanted) ?? whyUnchangeable(wanted, running, { hasRead });
  if (why !== undefined) throw refused(why);
}

/** Why an update can't be, told to whoever sent it. */
export function refused(why: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`Refused: ${why}`, 'UpdateRefused');
}
