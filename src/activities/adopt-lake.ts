import { ApplicationFailure } from '@temporalio/common';
import { keepAdoption } from '../lake/adoption';
import { KeysUnreadable, readNewest } from '../lake/newest';
import { lakeAddress } from '../lake/owner';
import type { LakeStore } from '../lake/store';
import type { Adopted, AdoptInput } from '../lane/work';
import { awsFailure } from './failures';
import { BATCH_HEARTBEAT_MS, withHeartbeat } from './heartbeat';

/** The part of a lake's store that an adoption needs. */
type AdoptedStore = Pick<LakeStore, 'lake' | 'folders' | 'list' | 'read' | 'putIfAbsent'>;

/**
 * Reads what another lane wrote, and writes down that this one goes on from there. Nothing of the other lane may be under way. Safe to run
 * twice: the rows are read again, and what was written down first stays.
 *
 * @param input.run namespace and first run of the lane that goes on
 * @throws not retryable ApplicationFailure `KeysUnreadable` where it can't be known what the rows are; others for what S3 refuses
 */
export async function adoptLake(
  store: AdoptedStore,
  { pipeline, lake, life, keys: most, run }: AdoptInput & { run: string },
): Promise<Adopted> {
  return await withHeartbeat({ everyMs: BATCH_HEARTBEAT_MS }, async (signal) => {
    try {
      const { keys, lives, newestHour } = await readNewest(store, { lane: life.lane, most, signal });
      await keepAdoption(store, life, { pipeline, run, time: new Date().toISOString(), closed: lives });
      return { keys: keys.join(''), ...(newestHour === undefined ? {} : { newestHour }) };
    } catch (error) {
      if (error instanceof KeysUnreadable) throw ApplicationFailure.nonRetryable(error.message, error.name);
      throw awsFailure(error, `read ${lakeAddress(lake)}`);
    }
  });
}
