import type { Place } from './place';

/** Why an event can't become a row, in one word for counting. */
export type RejectReason =
  | 'not-json'
  | 'not-an-object'
  /** Larger than the queue takes. */
  | 'message-too-large'
  /** Larger than a row may be. */
  | 'row-too-large'
  /** Nested deeper than JSON can be written. */
  | 'nested-too-deep'
  /** Its payload has no key where `SLUICE_SOURCE_KEY` says. */
  | 'no-key'
  /** None of the chosen columns is in it. */
  | 'no-columns'
  | 'refused-by-sqs'
  /** A message that says it is a pack of events, and can't be read as one. */
  | 'broken-pack';

/** What a payload turned out to be. */
export type Payload = { ok: true; value: object } | { ok: false; reason: RejectReason; detail: string };

/** An event as its source understands it. */
export type ReadEvent = Payload &
  Place & {
    /** What makes the event itself. Printable ASCII, 128 characters at most: it travels as a message attribute. */
    key: string;
    /** Whether its publisher only tries the way with it: then it is no row. */
    isCanary: boolean;
  };

/** Parses a payload. Never throws. */
export function readPayload(text: string): Payload {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: 'not-json', detail: says };
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ok: true, value };
  const kind = Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`;
  return { ok: false, reason: 'not-an-object', detail: `not a JSON object but ${kind}` };
}
