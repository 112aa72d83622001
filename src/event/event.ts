import { attributeKey, sha256 } from './key';
import { type Place, partitionName } from './place';

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
  | 'refused-by-sqs';

/** What a payload turned out to be, with what Wikimedia's payloads state of their place. */
export type Payload = Place &
  ({ ok: true; value: object; canary: boolean } | { ok: false; reason: RejectReason; detail: string });

/** An event's payload, and what makes the event itself. */
export type ReadEvent = Payload & {
  /** Printable ASCII, 128 characters at most: it travels as a message attribute. */
  key: string;
};

const NOWHERE: Place = { partition: '', offset: undefined };

/** Parses a payload. Never throws. */
export function readPayload(text: string): Payload {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: 'not-json', detail: says, ...NOWHERE };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const kind = Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`;
    return {
      ok: false,
      reason: 'not-an-object',
      detail: `not a JSON object but ${kind}`,
      ...NOWHERE,
    };
  }
  const meta = metaOf(value);
  return {
    ok: true,
    value,
    partition: partitionOf(meta),
    offset: Number.isSafeInteger(meta.offset) ? Number(meta.offset) : undefined,
    canary: meta.domain === 'canary',
  };
}

/** Of an event of Wikimedia's: its `meta.id`, else the SHA-256 of the payload. */
export function wikimediaKey(payload: Payload, text: string): string {
  const id = payload.ok ? metaOf(payload.value).id : undefined;
  return typeof id === 'string' && id !== '' ? attributeKey(id) : sha256(text);
}

function partitionOf({ topic, partition }: Record<string, unknown>): string {
  return typeof topic === 'string' && typeof partition === 'number' ? partitionName(topic, partition) : '';
}

function metaOf(event: object): Record<string, unknown> {
  const meta = 'meta' in event ? event.meta : undefined;
  return typeof meta === 'object' && meta !== null ? (meta as Record<string, unknown>) : {};
}
