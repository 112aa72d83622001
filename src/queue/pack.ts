import { deflateSync, inflateSync } from 'node:zlib';
import { isKey } from '../event/key';
import type { QueuedEvent } from './queued-event';

/**
 * A pack: several events in one SQS message. SQS, its client and its emulators cost by the message and by the request, hardly by the byte.
 *
 * The body is the base64 of zlib's deflate of frames, one after the other. A frame is the length of the key (one byte), the key (ASCII), the length of
 * the text (four bytes, big-endian) and the text (UTF-8). zlib's checksum tells whether all of it is there. A statement stands beside
 * the body as a message attribute: `1 100 123456` is version 1, a hundred events, and the bytes of all frames.
 */
export interface Pack {
  body: string;
  statement: string;
}

/** Of one pack. */
export const MOST_EVENTS = 100;

/** Bytes of the texts in one pack that is made here, at most, and of the rows that one message may bring: a message is received whole. */
export const MOST_TEXT_BYTES = 256 * 1024;

/** Bytes of all frames that a pack may have which is read here, whoever made it. */
const MOST_FRAME_BYTES = 1024 * 1024;

const VERSION = 1;

/** More packs hardly better: 170 bytes an event instead of 198, for half as much again of the time [ran: 2,000 events of 1,200 bytes]. */
const LEVEL = 3;

/** @param events 1 to {@link MOST_EVENTS} */
export function pack(events: readonly QueuedEvent[]): Pack {
  const sizes = events.map(({ text }) => Buffer.byteLength(text));
  const size = events.reduce((sum, { key }, place) => sum + 1 + key.length + 4 + (sizes[place] ?? 0), 0);
  const frames = Buffer.allocUnsafe(size);
  let at = 0;
  for (const [place, { key, text }] of events.entries()) {
    at = frames.writeUInt8(key.length, at);
    at += frames.write(key, at, 'latin1');
    at = frames.writeUInt32BE(sizes[place] ?? 0, at);
    at += frames.write(text, at, 'utf8');
  }
  const body = deflateSync(frames, { level: LEVEL }).toString('base64');
  return { body, statement: `${VERSION} ${events.length} ${size}` };
}

/** The events of a pack in their order, or what is wrong with it: then none of it is to be believed. */
export type Unpacked = { ok: true; events: QueuedEvent[] } | { ok: false; problem: string };

/** Never throws, and takes no more memory than a pack may have. */
export function unpack({ body, statement }: Pack): Unpacked {
  const [, version, count, size] = /^(\d{1,9}) (\d{1,9}) (\d{1,9})$/.exec(statement) ?? [];
  if (version === undefined) return broken('what it states is not version, events and bytes');
  if (Number(version) !== VERSION)
    return broken(`it is of version ${version}, and this Sluice reads ${VERSION}`);
  if (!(Number(count) >= 1 && Number(count) <= MOST_EVENTS)) return broken(`it states ${count} events`);
  if (Number(size) > MOST_FRAME_BYTES) return broken(`it states ${size} bytes`);
  try {
    // A limit of zero would be none.
    const frames = inflateSync(Buffer.from(body, 'base64'), { maxOutputLength: Math.max(1, Number(size)) });
    if (frames.length !== Number(size)) return broken(`it states ${size} bytes and has ${frames.length}`);
    const events = eventsIn(frames);
    if (events.length !== Number(count)) return broken(`it states ${count} events and has ${events.length}`);
    return { ok: true, events };
  } catch (error) {
    return broken(error instanceof Error ? error.message : String(error));
  }
}

/** @throws Error where a frame is cut off, or a key is none */
function eventsIn(frames: Buffer): QueuedEvent[] {
  const events: QueuedEvent[] = [];
  for (let at = 0; at < frames.length;) {
    const keyEnd = at + 1 + frames.readUInt8(at);
    const textAt = keyEnd + 4;
    const end = textAt + frames.readUInt32BE(keyEnd);
    if (end > frames.length) throw new Error('a frame of it is cut off');
    const key = frames.toString('latin1', at + 1, keyEnd);
    if (!isKey(key)) throw new Error('a key in it is none');
    events.push({ key, text: frames.toString('utf8', textAt, end) });
    at = end;
  }
  return events;
}

function broken(why: string): Unpacked {
  return { ok: false, problem: `the pack can not be read: ${why}` };
}
