import { findKept, type Kept, type KeptEvent, listKept, readKept } from '../lake/kept';
import type { KeptObject } from '../lake/layout';
import type { LakeStore } from '../lake/store';
import { type Context } from './context';
import { CommandError, UsageError } from './errors';
import { explainingS3 } from './explain';
import { printable, printableLines } from '../printable';

export interface LakeContext extends Pick<Context, 'say'> {
  store: Pick<LakeStore, 'lake' | 'list' | 'read'>;
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
export interface RejectedEntry extends Omit<KeptEvent, 'text' | 'key'> {
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
  { store, say }: LakeContext,
  { reason, limit = 50, json = false }: ListOptions = {},
): Promise<void> {
  if (!Number.isSafeInteger(limit) || limit < 1) throw new UsageError('--limit must be 1 or more');
  const list = await explainingS3(store.lake, () => readList(store, { reason, limit }));
  if (json) return say(JSON.stringify(list, undefined, 2));
  for (const entry of list.rejected) say(printable(lineOf(entry)));
  if (list.rejected.length === 0) say(`no rejected events${reason === undefined ? '' : ` for ${reason}`}`);
  if (list.older > 0) say(`… ${list.older} older ones were not looked at: --limit`);
}

async function readList(
  store: LakeContext['store'],
  { reason, limit }: { reason: string | undefined; limit: number },
): Promise<RejectedList> {
  const objects = await listKept(store, 'rejected');
  objects.sort((a, b) => b.modifiedAt - a.modifiedAt);
  const rejected: RejectedEntry[] = [];
  let older = 0;
  for await (const kept of readKept(store, objects)) {
    const entry = entryOf(kept);
    if (reason !== undefined && entry.reason !== reason) continue;
    rejected.push(entry);
    if (rejected.length < limit) continue;
    older = objects.length - objects.indexOf(kept.object) - 1;
    break;
  }
  // S3 keeps whole seconds.
  return { rejected: rejected.sort((a, b) => b.time.localeCompare(a.time)), older };
}

function entryOf(kept: Kept): RejectedEntry {
  const { digest, key } = kept.object;
  const { text, key: _, ...facts } = eventOf(kept);
  return { digest, key, ...facts, bytes: Buffer.byteLength(text) };
}

/** An object that is not what it should be is shown, not hidden. */
function eventOf({ object, content, event }: Kept): KeptEvent {
  return (
    event ?? {
      reason: 'unreadable',
      detail: 'the object is not the JSON of a rejected event',
      source: '',
      id: '',
      key: '',
      time: new Date(object.modifiedAt).toISOString(),
      text: Buffer.from(content.body).toString(),
    }
  );
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
  { store, say, write }: LakeContext & Pick<Context, 'write'>,
  beginning: string,
  { escape = process.stdout.isTTY }: { escape?: boolean } = {},
): Promise<void> {
  const { lake } = store;
  const kept = await explainingS3(lake, () => find(store, beginning));
  const { object } = kept;
  const { text, ...event } = eventOf(kept);
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
  if (escape) say(printableLines(text));
  else write(text);
}

/**
 * Finds the one event whose digest begins so: see {@link findKept}.
 *
 * @throws CommandError when there is none, or more than one
 */
export async function find(store: LakeContext['store'], beginning: string): Promise<Kept> {
  const digits = beginning.toLowerCase();
  if (!/^[0-9a-f]{1,64}$/.test(digits)) throw unknownDigest(beginning);
  const found = await findKept(store, digits);
  if (found === undefined) throw unknownDigest(beginning);
  if (Array.isArray(found)) throw ambiguousDigest(beginning, found);
  return found;
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

/** Enough of a digest to name the event to `sluice rejected`. */
export function short({ digest }: KeptObject): string {
  return digest.slice(0, SHOWN_DIGITS);
}
