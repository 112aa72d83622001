import { type LakeOwner, notYours, OwnerUnreadable, readOwner } from '../lake/owner';
import type { LakeStore } from '../lake/store';
import type { Context } from './context';
import { describeRunning } from './workflows';
import { CommandError } from './errors';
import { printable } from '../printable';

/**
 * Why a pipeline may not write under a prefix: because another one does or did. Whoever asks need not be allowed to look: the lane
 * claims the prefix before it writes, and parks where it is another's.
 *
 * @param run namespace and first run of the pipeline's own lane, as `default/0198…`; undefined where it has none yet
 * @param isRunning whether the lane that owns it runs; undefined where that can't be told
 * @returns undefined where nothing stands in the way
 * @throws CommandError when nobody can say whose it is
 */
export async function whyNotOurs(
  store: Pick<LakeStore, 'lake' | 'read'>,
  run: string | undefined,
  isRunning: (owner: LakeOwner) => Promise<boolean | undefined>,
): Promise<string | undefined> {
  const owner = await readOwner(store).catch((error: unknown) => {
    if (error instanceof OwnerUnreadable) throw new CommandError(error.message);
  });
  if (!owner || owner.run === run) return undefined;
  const runs = await isRunning(owner);
  return printable(notYours(store.lake, owner, runs === undefined ? {} : { isRunning: runs }));
}

/** Whether a lane runs here; undefined for one of another namespace. */
export async function runsHere(
  temporal: Context['temporal'],
  { lane, run }: LakeOwner,
): Promise<boolean | undefined> {
  const { namespace } = temporal.options;
  if (!run.startsWith(`${namespace}/`)) return undefined;
  const description = await describeRunning(temporal.workflow.getHandle(lane));
  return run === runOf(temporal, description);
}

/** Namespace and first run of a lane, as the tag of its queue and the object in its lake have it; undefined without a lane. */
export function runOf(
  { options: { namespace } }: Context['temporal'],
  lane: Awaited<ReturnType<typeof describeRunning>>,
): string | undefined {
  return lane && `${namespace}/${lane.raw.workflowExecutionInfo?.firstRunId ?? ''}`;
}
