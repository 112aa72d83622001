import { KEY_COLUMN } from '../pipeline/names';
import {
  type BatchObject,
  classify,
  HOUR_MS,
  type LaneLife,
  livesOf,
  underPrefix,
  UPLOADS_AT_ONCE,
} from './layout';
import { readBatch, readObjects } from './reader';
import type { LakeStore, ObjectContent } from './store';

/** What the newest objects of a lake tell whoever goes on where they end. */
export interface NewestRows {
  /** Digests of rows' keys, the newest last, each once. */
  keys: string[];
  /** Those who wrote them. */
  lives: WrittenLife[];
  /** Epoch milliseconds: the beginning of the newest hour in which there are objects; undefined where there are none. */
  newestHour?: number;
}

/** The numbers of one lane's objects. */
export interface WrittenLife extends LaneLife {
  /** The highest. */
  last: number;
  /**
   * Numbers below it that have no object: they were on their way when the lane died, and never came. A lane has four uploads under way at
   * most: where more are missing, these are the newest, and what is missing below them was lost otherwise.
   */
  missing: number[];
}

/** An object whose rows can't be known. Its message says what to do. */
export class KeysUnreadable extends Error {
  override readonly name = 'KeysUnreadable';
}

/**
 * Reads what lanes of one number wrote backwards, hour by hour, until it has so many keys or has read all. Nothing may be writing there.
 *
 * @param most keys wanted
 * @param signal gives it up
 * @throws KeysUnreadable, or the S3 client's error
 */
export async function readNewest(
  store: Pick<LakeStore, 'lake' | 'folders' | 'list' | 'read'>,
  { lane, most, signal }: { lane: number; most: number; signal: AbortSignal },
): Promise<NewestRows> {
  const keys = new Set<string>();
  const listed: BatchObject[] = [];
  for await (const hour of hoursBackwards(store)) {
    signal.throwIfAborted();
    const batches = await batchesIn(store, hour, lane);
    listed.push(...batches);
    for await (const { object, content } of readObjects(store, batches.sort(newestFirst))) {
      signal.throwIfAborted();
      for (const key of keysOf(object, content, store.lake).toReversed()) keys.add(key);
      if (keys.size >= most) break;
    }
    if (keys.size >= most) break;
  }
  const newest = listed.reduce((hour, batch) => Math.max(hour, batch.hour), -1);
  return {
    keys: [...keys].slice(0, most).toReversed(),
    lives: writtenLives(listed),
    ...(newest === -1 ? {} : { newestHour: newest * HOUR_MS }),
  };
}

/** The beginnings of keys of an hour's objects, the newest hour first. A lane's hours never go back. */
async function* hoursBackwards(store: Pick<LakeStore, 'lake' | 'folders'>): AsyncGenerator<string> {
  const days = await store.folders(underPrefix(store.lake.prefix, 'date='));
  for (const day of days.toReversed()) {
    const hours = await store.folders(`${day}hour=`);
    yield* hours.toReversed();
  }
}

async function batchesIn(
  store: Pick<LakeStore, 'lake' | 'list'>,
  hour: string,
  lane: number,
): Promise<BatchObject[]> {
  const batches: BatchObject[] = [];
  for await (const listed of store.list({ prefix: hour })) {
    const object = classify(store.lake.prefix, listed);
    if (object.kind === 'batch' && object.lane === lane) batches.push(object);
  }
  return batches;
}

/** By when they were written, of one second by their numbers. */
function newestFirst(one: BatchObject, other: BatchObject): number {
  return other.modifiedAt - one.modifiedAt || other.sequence - one.sequence;
}

/** In the order of the rows. */
function keysOf(
  { key }: BatchObject,
  content: ObjectContent | undefined,
  { bucket }: Pick<LakeStore['lake'], 'bucket'>,
): string[] {
  const address = `s3://${bucket}/${key}`;
  if (!content)
    throw new KeysUnreadable(
      `${address} was deleted while the lake was read: let nobody do that, then resume`,
    );
  const batch = readBatch(content);
  const problem = batch.ok ? batch.changed : batch.problem;
  if (problem !== undefined || !batch.ok) {
    throw new KeysUnreadable(
      `${address} can't be relied on: ${problem}. Put back what was written, or move it away, then resume`,
    );
  }
  const keys = batch.rows.flatMap(({ key }) => key ?? []);
  if (keys.length === batch.rows.length) return keys;
  throw new KeysUnreadable(
    `${address} does not say what its rows are (column ${KEY_COLUMN}, which SLUICE_KEY_COLUMN=off leaves out), so that what comes ` +
      'again would be written twice: start the pipeline with a queue and a prefix of its own (SLUICE_QUEUE, SLUICE_PREFIX)',
  );
}

/** The numbers of those who wrote these objects. */
export function writtenLives(batches: readonly (LaneLife & { sequence: number })[]): WrittenLife[] {
  return livesOf(batches).map(({ life, batches: own }) => ({
    ...life,
    ...endOf(new Set(own.map(({ sequence }) => sequence))),
  }));
}

function endOf(numbers: ReadonlySet<number>): Pick<WrittenLife, 'last' | 'missing'> {
  let [last, first] = [0, Infinity];
  for (const number of numbers) [last, first] = [Math.max(last, number), Math.min(first, number)];
  // The first ones may be on their way, too.
  const lowest = first <= UPLOADS_AT_ONCE + 1 ? 0 : first;
  const missing: number[] = [];
  for (let number = last - 1; number > lowest && missing.length < UPLOADS_AT_ONCE; number -= 1) {
    if (!numbers.has(number)) missing.push(number);
  }
  return { last, missing: missing.toReversed() };
}
