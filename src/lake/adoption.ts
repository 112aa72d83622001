import { readJson } from './json';
import { adoptionKey, type AdoptionObject, type LaneLife } from './layout';
import type { WrittenLife } from './newest';
import { readObjects } from './reader';
import type { LakeStore } from './store';

/** What a lane wrote down when it took a lake over. JSON: it is what an object under `_sluice/adoptions/` holds. */
export interface Adoption {
  pipeline: string;
  /** Namespace and first run of the lane that took over. */
  run: string;
  /** When, ISO 8601. */
  time: string;
  /** The lanes that wrote before it, as far as it read back, and which of their numbers will never be written. */
  closed: readonly WrittenLife[];
}

/**
 * Writes down that a lane took over. Safe to run twice: what was written first stays.
 *
 * @param life of the lane that took over
 * @throws the S3 client's error
 */
export async function keepAdoption(
  store: Pick<LakeStore, 'lake' | 'putIfAbsent'>,
  life: LaneLife,
  adoption: Adoption,
): Promise<void> {
  await store.putIfAbsent({
    key: adoptionKey(store.lake.prefix, life),
    body: `${JSON.stringify(adoption)}\n`,
    contentType: 'application/json',
  });
}

/**
 * Reads what lanes wrote down when they took over.
 *
 * @returns each object with what it holds; undefined where that is not what a lane writes
 * @throws the S3 client's error
 */
export async function readAdoptions(
  store: Pick<LakeStore, 'read'>,
  objects: Iterable<AdoptionObject>,
): Promise<{ object: AdoptionObject; adoption: Adoption | undefined }[]> {
  const read: { object: AdoptionObject; adoption: Adoption | undefined }[] = [];
  for await (const { object, content } of readObjects(store, objects)) {
    const value = content && readJson(content.body);
    read.push({ object, adoption: isAdoption(value) ? value : undefined });
  }
  return read;
}

function isAdoption(value: unknown): value is Adoption {
  if (typeof value !== 'object' || value === null) return false;
  if (!('pipeline' in value && 'run' in value && 'time' in value && 'closed' in value)) return false;
  const { pipeline, run, time, closed } = value;
  const areTexts = [pipeline, run, time].every((member) => typeof member === 'string');
  return areTexts && Array.isArray(closed) && closed.every(isWrittenLife);
}

function isWrittenLife(value: unknown): value is WrittenLife {
  if (typeof value !== 'object' || value === null) return false;
  if (!('lane' in value && 'incarnation' in value && 'last' in value && 'missing' in value)) return false;
  const { lane, incarnation, last, missing } = value;
  const areNumbers = Array.isArray(missing) && [lane, last, ...missing].every(Number.isSafeInteger);
  return areNumbers && typeof incarnation === 'string';
}
