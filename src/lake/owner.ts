import { readJson } from './json';
import { ownerKey } from './layout';
import type { LakeStore } from './store';
import type { Lake } from '../pipeline/definition';

/** The lane that alone writes under a prefix. JSON: it is what the object under `_sluice/` holds. */
export interface LakeOwner {
  pipeline: string;
  /** The lane's workflow id. */
  lane: string;
  /** Namespace and first run of that lane, such as `default/0198…`: what the tag of its queue holds, too. */
  run: string;
}

/** The object does not say whose the lake is. Its message says what to do. */
export class OwnerUnreadable extends Error {
  override readonly name = 'OwnerUnreadable';
}

/** The address of the object that names the owner, for people. */
export function ownerAddress({ bucket, prefix }: Pick<Lake, 'bucket' | 'prefix'>): string {
  return `s3://${bucket}/${ownerKey(prefix)}`;
}

/** `s3://bucket/prefix`, for people. */
export function lakeAddress({ bucket, prefix }: Pick<Lake, 'bucket' | 'prefix'>): string {
  return `s3://${bucket}/${prefix}`;
}

/**
 * Claims a lake, unless somebody did. Safe to run twice, also at the same time.
 *
 * Nobody gives it back, not even a pipeline that is removed: another one would number its objects from 1 again, beside those that
 * lie there.
 *
 * @returns whose the lake is now
 * @throws OwnerUnreadable, or the S3 client's error
 */
export async function claimLake(
  store: Pick<LakeStore, 'lake' | 'putIfAbsent' | 'read'>,
  owner: LakeOwner,
): Promise<LakeOwner> {
  const isNew = await store.putIfAbsent({
    key: ownerKey(store.lake.prefix),
    body: `${JSON.stringify(owner)}\n`,
    contentType: 'application/json',
  });
  if (isNew) return owner;
  // Read only where it is there: who may not list is answered 403, not 404, for what is not. Gone by now, it is claimed anew.
  return (await readOwner(store)) ?? (await claimLake(store, owner));
}

/**
 * Claims a lake that another lane had, which is gone for good. Safe to run twice, also beside another who wants it.
 *
 * @param run of the lane that had it
 * @returns whose the lake is now
 * @throws OwnerUnreadable, or the S3 client's error
 */
export async function takeOverLake(
  store: Pick<LakeStore, 'lake' | 'putIfAbsent' | 'read' | 'replace'>,
  owner: LakeOwner,
  run: string,
): Promise<LakeOwner> {
  const key = ownerKey(store.lake.prefix);
  const content = await store.read(key);
  const found = content && ownerIn(content.body);
  if (!content || !found || found.run !== run) return await claimLake(store, owner);
  const object = { key, body: `${JSON.stringify(owner)}\n`, contentType: 'application/json' };
  const isOurs = await store.replace(object, { etag: content.etag });
  return isOurs ? owner : await claimLake(store, owner);
}

/**
 * @returns whose the lake is; undefined where nobody claimed it
 * @throws OwnerUnreadable, or the S3 client's error
 */
export async function readOwner(store: Pick<LakeStore, 'lake' | 'read'>): Promise<LakeOwner | undefined> {
  const { lake } = store;
  const content = await store.read(ownerKey(lake.prefix));
  if (!content) return undefined;
  const owner = ownerIn(content.body);
  if (owner) return owner;
  throw new OwnerUnreadable(
    `${ownerAddress(lake)} does not say who writes there: put back what a lane wrote or, if nothing lies under ` +
      `${lakeAddress(lake)}, delete it`,
  );
}

/**
 * What to tell those who want a lake that is another's.
 *
 * @param isRunning whether its owner runs where the question was asked. Default: nobody knows
 */
export function notYours(
  lake: Pick<Lake, 'bucket' | 'prefix'>,
  { pipeline, lane, run }: LakeOwner,
  { isRunning }: { isRunning?: boolean } = {},
): string {
  const owner = `the pipeline ${pipeline} (lane ${lane}, ${run}: namespace and first run)`;
  const gone =
    isRunning === false
      ? ", which does not run here: it was removed or terminated, or is another Temporal's"
      : '';
  const instead = isRunning
    ? ''
    : ` or, if that lane is gone for good, go on where it ended with \`sluice start --adopt\``;
  return (
    `${lakeAddress(lake)} belongs to ${owner}${gone}. A second one would number its objects from 1, too, and readers would find ` +
    `each number twice: give this pipeline a prefix of its own (SLUICE_PREFIX)${instead}`
  );
}

function ownerIn(body: Uint8Array): LakeOwner | undefined {
  const value = readJson(body);
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('pipeline' in value && 'lane' in value && 'run' in value)) return undefined;
  const { pipeline, lane, run } = value;
  const isOwner = typeof pipeline === 'string' && typeof lane === 'string' && typeof run === 'string';
  return isOwner ? { pipeline, lane, run } : undefined;
}
