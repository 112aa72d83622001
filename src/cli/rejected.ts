import { classify, keptFolder, type KeptObject } from '../lake/layout';
import {
  type KeptEvent,
  listObjects,
  type ObjectContent,
  readKeptEvent,
  readObject,
  readObjects,
} from '../lake/reader';
import { type Context, CommandError, UsageError } from './context';
import { explainingS3 } from './explain-s3';
import { printable } from './printable';

export type LakeContext = Pick<Context, 'pipeline' | 's3' | 'say'>;

export interface LakeClient {
  s3: Context['s3'];
  lake: Context['pipeline']['lake'];
}

/** So many digits of a digest are shown: enough to name one of a few million. */
const SHOWN_DIGITS = 12;

const SHOWN_DETAIL = 60;

export interface ListOptions {
  /** Only those rejected for it, such as `row-too-large`. Default: all. */
  reason?: string;
  /** How many at most. Default: 50. */
  limit?: number;
  /** Whether to say a {@link RejectedList} as JSON. */
  json?: boolean;
}

export interface RejectedList {
  /** Newest first. */
  rejected: RejectedEntry[];
  /** Older ones that were not looked at. */
  older: number;
}

/** A rejected event without its text. */
export interface RejectedEntry extends Omit<KeptEvent, 'text'> {
  /** SHA-256 of the text. */
  digest: string;
  /** Of the object. */
  key: string;
  /** Of the text, as UTF-8. */
  bytes: number;
}

/**
 * `sluice rejected list`: the events that could not become rows, newest first.
 *
 * @throws CommandError when S3 refuses
 */
export async function listRejected(
  { pipeline, s3, say }: LakeContext,
  { reason, limit = 50, json = false }: ListOptions = {},
): Promise<void> {
  if (!Number.isSafeInteger(limit) || limit < 1) throw new UsageError('--limit must be 1 or more');
  const { lake } = pipeline;
  const list = await explainingS3(lake, () => readList({ lake, s3 }, { reason, limit }));
  if (json) return say(JSON.stringify(list, undefined, 2));
  for (const entry of list.rejected) say(printable(lineOf(entry)));
  if (list.rejected.length === 0) say(`no rejected events${reason === undefined ? '' : ` for ${reason}`}`);
  if (list.older > 0) say(`… ${list.older} older ones were not looked at: --limit`);
}

async function readList(
  { lake, s3 }: LakeClient,
  { reason, limit }: { reason: string | undefined; limit: number },
): Promise<RejectedList> {
  const objects = await keptObjects({ lake, s3 }, 'rejected');
  objects.sort((a, b) => b.modifiedAt - a.modifiedAt);
  const rejected: RejectedEntry[] = [];
  let older = objects.length;
  for await (const { object, content } of readObjects(s3, lake.bucket, objects)) {
    older -= 1;
    const entry = content && entryOf(object, content);
    if (!entry || (reason !== undefined && entry.reason !== reason)) continue;
    rejected.push(entry);
    if (rejected.length === limit) break;
  }
  // S3 keeps whole seconds.
  return { rejected: rejected.sort((a, b) => b.time.localeCompare(a.time)), older };
}

function entryOf(object: KeptObject, { body }: ObjectContent): RejectedEntry {
  const { digest, key } = object;
  const { text, ...facts } = readKeptEvent(body) ?? unreadable(object, body);
  return { digest, key, ...facts, bytes: Buffer.byteLength(text) };
}

/** An object that is not what it should be is shown, not hidden. */
function unreadable({ modifiedAt }: KeptObject, body: Uint8Array): KeptEvent {
  return {
    reason: 'unreadable',
    detail: 'the object is not the JSON of a rejected event',
    source: '',
    id: '',
    time: new Date(modifiedAt).toISOString(),
    text: Buffer.from(body).toString(),
  };
}

function lineOf({ digest, time, reason, bytes, detail }: RejectedEntry): string {
  const beginning = detail.length > SHOWN_DETAIL ? `${detail.slice(0, SHOWN_DETAIL)}…` : detail;
  return `${digest.slice(0, SHOWN_DIGITS)}  ${time}  ${reason}  ${bytes} bytes  ${beginning}`;
}

/**
 * `sluice rejected show`: all that is known of one rejected event, and its text.
 *
 * @param beginning of the digest
 * @param escape whether characters that a terminal would act on are shown as `\u001b`. Default: on a terminal
 * @throws CommandError when no digest, or more than one, begins so, and when S3 refuses
 */
export async function showRejected(
  { pipeline: { lake }, s3, say }: LakeContext,
  beginning: string,
  { escape = process.stdout.isTTY }: { escape?: boolean } = {},
): Promise<void> {
  const { object, content } = await explainingS3(lake, () => find({ lake, s3 }, beginning));
  const { text, ...event } = readKeptEvent(content.body) ?? unreadable(object, content.body);
  const facts = {
    digest: object.digest,
    object: `s3://${lake.bucket}/${object.key}`,
    rejected: event.time,
    ...(object.kind === 'resent' ? { 'sent again': new Date(object.modifiedAt).toISOString() } : {}),
    reason: event.reason,
    detail: event.detail,
    source: event.source,
    id: event.id,
    bytes: String(Buffer.byteLength(text)),
  };
  for (const [name, fact] of Object.entries(facts)) say(`${name.padEnd(10)} ${printable(fact)}`);
  say('');
  say(escape ? text.split('\n').map(printable).join('\n') : text);
}

/** An object that holds an event whole, and what is in it. */
export interface Held {
  object: KeptObject;
  content: ObjectContent;
}

/**
 * Finds the one event whose digest begins so: under `rejected/`, else, newest first, among those sent again.
 *
 * @throws CommandError when there is none, or more than one
 */
export async function find(clients: LakeClient, beginning: string): Promise<Held> {
  const digits = beginning.toLowerCase();
  if (!/^[0-9a-f]{1,64}$/.test(digits)) throw unknownDigest(beginning);
  for (const kind of ['rejected', 'resent'] as const) {
    const objects = await keptObjects(clients, kind, digits);
    const [one, ...others] = new Set(objects.map(({ digest }) => digest));
    if (one !== undefined && others.length > 0) throw ambiguousDigest(beginning, [one, ...others]);
    // Keys end in the time of rejection, so the last one is the newest.
    const object = objects.at(-1);
    const content = object && (await readObject(clients.s3, clients.lake.bucket, object.key));
    if (object && content) return { object, content };
  }
  throw unknownDigest(beginning);
}

function unknownDigest(beginning: string): CommandError {
  return new CommandError(
    `No rejected event has a digest that begins with ${JSON.stringify(beginning)}: \`sluice rejected list\` shows them`,
  );
}

function ambiguousDigest(beginning: string, digests: readonly string[]): CommandError {
  const some = digests.slice(0, 3).map((digest) => digest.slice(0, beginning.length + SHOWN_DIGITS));
  return new CommandError(
    `${digests.length} digests begin with ${beginning}: ${some.join(', ')}${digests.length > 3 ? ', …' : ''}. Give more digits`,
  );
}

/**
 * @param digits with which digests begin. Default: any
 */
export async function keptObjects(
  { lake, s3 }: LakeClient,
  kind: 'rejected' | 'resent',
  digits = '',
): Promise<KeptObject[]> {
  const objects: KeptObject[] = [];
  const prefix = `${keptFolder(lake.prefix, kind)}${digits}`;
  for await (const listed of listObjects(s3, lake.bucket, { prefix })) {
    const object = classify(lake.prefix, listed);
    if (object.kind === kind) objects.push(object);
  }
  return objects;
}

/** Enough of a digest to name the event to `sluice rejected`. */
export function short({ digest }: KeptObject): string {
  return digest.slice(0, SHOWN_DIGITS);
}
