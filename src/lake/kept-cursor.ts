import { readJson } from './json';
import { cursorKey } from './layout';
import type { LakeStore, RequestOptions } from './store';
import type { Completeness } from '../sources/completeness';
import type { Cursor } from '../sources/cursor';
import type { Gaps } from '../sources/gaps';

/** How far a source was read: all that ingest needs to go on. */
export interface KeptProgress {
  cursor: Cursor;
  completeness: Completeness;
  gaps: Gaps;
}

/**
 * The same as the lake keeps it, for who takes the pipeline over when Temporal has forgotten it. JSON. All before the cursor is in this queue,
 * or was.
 */
export interface KeptCursor extends KeptProgress {
  pipeline: string;
  source: {
    url: string;
    /** See `PipelineDefinition`. */
    key?: string;
  };
  queue: {
    name: string;
    /** Epoch milliseconds. A queue that was made again is another, and empty. Undefined where SQS does not say. */
    createdAt?: number;
  };
  /** When it was written, ISO 8601. */
  time: string;
}

/**
 * Writes it, whatever was there: the lake's one object that changes all the time.
 *
 * @throws the S3 client's error
 */
export async function keepCursor(
  store: Pick<LakeStore, 'lake' | 'replace'>,
  kept: KeptCursor,
  options: RequestOptions = {},
): Promise<void> {
  const object = {
    key: cursorKey(store.lake.prefix),
    body: `${JSON.stringify(kept)}\n`,
    contentType: 'application/json',
  };
  await store.replace(object, options);
}

/**
 * @returns undefined where there is none, or what is there is not what a stint writes
 * @throws the S3 client's error
 */
export async function readCursor(store: Pick<LakeStore, 'lake' | 'read'>): Promise<KeptCursor | undefined> {
  const content = await store.read(cursorKey(store.lake.prefix));
  const value = content && readJson(content.body);
  return isKeptCursor(value) ? value : undefined;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

function isKeptCursor(value: unknown): value is KeptCursor {
  if (!isObject(value)) return false;
  if (!('pipeline' in value && 'source' in value && 'queue' in value && 'time' in value)) return false;
  if (!('cursor' in value && 'completeness' in value && 'gaps' in value)) return false;
  const { pipeline, source, queue, time, cursor, completeness, gaps } = value;
  if (typeof pipeline !== 'string' || typeof time !== 'string') return false;
  if (!isObject(source) || !('url' in source) || typeof source.url !== 'string') return false;
  if (!isObject(queue) || !('name' in queue) || typeof queue.name !== 'string') return false;
  if (!isObject(cursor) || !('since' in cursor && 'positions' in cursor && 'recent' in cursor)) return false;
  if (!isObject(gaps) || !('recent' in gaps && 'unkept' in gaps && 'unjudged' in gaps)) return false;
  return isObject(completeness) && isObject(cursor.positions) && isObject(cursor.recent);
}
