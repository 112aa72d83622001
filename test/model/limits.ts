import { type LaneLimits, LIMITS } from '../../src/lane/limits';

/** Rows do not become smaller with the scale. So bytes, and how much is done at once, shrink less than what the window holds. */
const MOST_FOR_WORK = 10;

/** Limits at which 1,200 events do to a lane what 60,000 do at the real ones. */
export function limitsAt(scale: number): LaneLimits {
  const work = Math.min(scale, MOST_FOR_WORK);
  return {
    ...LIMITS,
    backlogRows: divided(LIMITS.backlogRows, work),
    deletions: divided(LIMITS.deletions, work),
    stateBytes: divided(LIMITS.stateBytes, work),
    mostStateBytes: divided(LIMITS.mostStateBytes, work),
    receiveBytes: divided(LIMITS.receiveBytes, work),
    trickleBytes: divided(LIMITS.trickleBytes, work),
    mostKeys: divided(LIMITS.mostKeys, scale),
    mostKeysHeld: divided(LIMITS.mostKeysHeld, scale),
    mostUnsettled: divided(LIMITS.mostUnsettled, scale),
    adoptedKeys: divided(LIMITS.adoptedKeys, scale),
    mostUndeleted: divided(LIMITS.mostUndeleted, scale),
    deleteAt: divided(LIMITS.deleteAt, Math.min(scale, 3)),
    trickleRows: divided(LIMITS.trickleRows, work),
    // Visibility timeouts of the scenarios are some times shorter than the one of before.
    heldVisibilityMs: scale === 1 ? LIMITS.heldVisibilityMs : 6_000,
    trickleMessages: divided(LIMITS.trickleMessages, scale),
  };
}

/** Bytes of what continue-as-new carries, at most. Temporal takes 2 MiB at scale 1. */
export function mostCarriedBytes(scale: number): number {
  return divided(1_900_000, Math.min(scale, MOST_FOR_WORK));
}

function divided(limit: number, by: number): number {
  return Math.max(1, Math.round(limit / by));
}
