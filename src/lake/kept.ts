import type { RejectReason } from '../event/event';
import { keyOf, sha256 } from '../event/key';
import { classify, type KeptKind, keptFolder, keptKey, type KeptObject, resentKey } from './layout';
import { readJson } from './json';
import { readObjects } from './reader';
import type { LakeStore, ObjectContent, RequestOptions } from './store';

/** An event or message that is kept whole: a rejected one, a canary, or one that was sent again. Canaries have no reason. */
export interface KeptEvent {
  /** Why it is no row: see {@link RejectReason}. */
  reason: string;
  /** What is wrong with it, in words. */
  detail: string;
  /** The stream's URL, or the queue's name for a message that another program may have put there. */
  source: string;
  /** The source's id of the event, or the SQS MessageId. */
  id: string;
  /** What makes the event itself. */
  key: string;
  /** When it was kept, ISO 8601. */
  time: string;
  text: string;
  /** What the source knew of it beside its payload, where it was one that knows something. */
  record?: object | undefined;
}

export type Rejected = Omit<KeptEvent, 'time'> & { reason: RejectReason };

/** An object that holds one event whole, as it was read. */
export interface Kept {
  object: KeptObject;
  content: ObjectContent;
  /** Undefined where the object is not the JSON that it should be. */
  event: KeptEvent | undefined;
}

/** One that could be read. */
type Readable = Kept & { event: KeptEvent };

/** The parts of a lake's store that keeping, reading and moving need. */
type KeepingStore = Pick<LakeStore, 'lake' | 'putIfAbsent'>;
type ReadingStore = Pick<LakeStore, 'lake' | 'list' | 'read'>;
type MovingStore = Pick<LakeStore, 'lake' | 'putIfAbsent' | 'delete'>;

/**
 * Keeps a rejected event under `rejected/`, named by the SHA-256 of its key: however often it comes, there is one object for
 * it, and the first one stays. A hundred events with the same text are a hundred objects.
 *
 * @throws the S3 client's error when the object could not be written
 */
export async function keepRejected(
  store: KeepingStore,
  { reason, detail, source, id, key, record, text }: Rejected,
  options: RequestOptions = {},
): Promise<void> {
  await keep(store, 'rejected', { reason, detail, source, id, key, record, text }, options);
}

/**
 * Keeps a canary event under `canaries/`: it is no row, but it uses up an offset, and whoever looks for holes in the lake
 * must be able to tell it from a loss. A few come an hour.
 *
 * @throws the S3 client's error when the object could not be written
 */
export async function keepCanary(
  store: KeepingStore,
  { source, id, key, text }: Pick<KeptEvent, 'source' | 'id' | 'key' | 'text'>,
  options: RequestOptions = {},
): Promise<void> {
  await keep(store, 'canary', { source, id, key, text }, options);
}

async function keep(
  store: KeepingStore,
  kind: 'rejected' | 'canary',
  { text, ...facts }: Partial<KeptEvent> & Pick<KeptEvent, 'key' | 'text'>,
  options: RequestOptions,
): Promise<void> {
  const digest = sha256(facts.key);
  const body = JSON.stringify({ ...facts, time: new Date().toISOString(), text });
  await putJson(store, keptKey(store.lake.prefix, kind, digest), body, options);
}

/** Reads what an object holds; undefined when it is not the JSON that it should be. Never throws. */
export function readKeptEvent(body: Uint8Array): KeptEvent | undefined {
  const value = readJson(body);
  if (typeof value !== 'object' || value === null) return undefined;
  const {
    reason = '',
    detail = '',
    source = '',
    id = '',
    key = '',
    time,
    text,
    record,
  } = value as Record<string, unknown>;
  const event = { reason, detail, source, id, key, time, text };
  if (!areTexts(event) || Number.isNaN(Date.parse(event.time))) return undefined;
  return { ...event, ...(typeof record === 'object' && record !== null ? { record } : {}) };
}

function areTexts<Name extends string>(members: Record<Name, unknown>): members is Record<Name, string> {
  return Object.values(members).every((member) => typeof member === 'string');
}

/**
 * Lists events that are kept whole, in the order of their keys.
 *
 * @param digits with which digests begin. Default: any
 * @throws the S3 client's error
 */
export async function listKept(
  store: Pick<LakeStore, 'lake' | 'list'>,
  kind: KeptKind,
  digits = '',
): Promise<KeptObject[]> {
  const { prefix } = store.lake;
  const objects: KeptObject[] = [];
  for await (const listed of store.list({ prefix: `${keptFolder(prefix, kind)}${digits}` })) {
    const object = classify(prefix, listed);
    if (object.kind === kind) objects.push(object);
  }
  return objects;
}

/**
 * Reads events that are kept whole, in the order given. Those that are gone since they were listed are left out.
 *
 * @throws the S3 client's error
 */
export async function* readKept(
  store: Pick<LakeStore, 'read'>,
  objects: Iterable<KeptObject>,
): AsyncGenerator<Kept> {
  for await (const { object, content } of readObjects(store, objects)) {
    if (content) yield { object, content, event: readKeptEvent(content.body) };
  }
}

/**
 * Finds the one event whose digest begins so: under `rejected/`, else, newest first, among those sent again.
 *
 * @returns undefined when there is none; the digests when there is more than one
 * @throws the S3 client's error
 */
export async function findKept(store: ReadingStore, digits: string): Promise<Kept | string[] | undefined> {
  for (const kind of ['rejected', 'resent'] as const) {
    const objects = await listKept(store, kind, digits);
    const digests = [...new Set(objects.map(({ digest }) => digest))];
    if (digests.length > 1) return digests;
    // Keys end in the time of rejection, so the last one is the newest.
    for await (const kept of readKept(store, objects.slice(-1))) return kept;
  }
  return undefined;
}

/**
 * The key of the message that brings a rejected event again. Not the event's own: the lane remembers that one, and would
 * take the message for a repeat. The same for one rejection however often it is sent, so that the lane recognises a second
 * try.
 */
export function keyOfResent({ digest, time }: { digest: string; time: string }): string {
  return keyOf('resent', sha256(`${digest}\n${time}`));
}

/**
 * Moves a rejected event from `rejected/` to `resent/`, to be sent afterwards. In this order, since a lane that rejects it
 * again must find its place free; after a crash the copy is there. Safe to run twice, also at the same time.
 *
 * @returns false when the event was rejected anew since it was read: then it stays
 * @throws the S3 client's error
 */
export async function setAside(store: MovingStore, kept: Readable): Promise<boolean> {
  const { rejected, resent } = placesOf(store, kept);
  await putJson(store, resent, kept.content.body);
  return await store.delete(rejected, { etag: kept.content.etag });
}

/**
 * Undoes {@link setAside} for an event that the queue refused.
 *
 * @throws the S3 client's error
 */
export async function putBack(store: MovingStore, kept: Readable): Promise<void> {
  const { rejected, resent } = placesOf(store, kept);
  await putJson(store, rejected, kept.content.body);
  await store.delete(resent);
}

function placesOf({ lake: { prefix } }: Pick<LakeStore, 'lake'>, { object, event }: Readable) {
  const { digest } = object;
  return {
    rejected: keptKey(prefix, 'rejected', digest),
    resent: resentKey(prefix, { digest, time: event.time }),
  };
}

async function putJson(
  store: KeepingStore,
  key: string,
  body: string | Uint8Array,
  options: RequestOptions = {},
): Promise<void> {
  await store.putIfAbsent({ key, body, contentType: 'application/json' }, options);
}
