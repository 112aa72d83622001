import { type Payload, type ReadEvent, readPayload } from '../../event/event';
import { keyOf, sha256 } from '../../event/key';
import { type KnownPlace, partitionName } from '../../event/place';

/**
 * An event of Wikimedia's, by the `meta` of its payload: `meta.id` is its key, else the SHA-256 of the payload; `meta.topic`,
 * `meta.partition` and `meta.offset` are its place; `meta.domain` tells a canary.
 */
export function wikimediaEvent(text: string, payload: Payload = readPayload(text)): ReadEvent {
  const { id, topic, partition, offset, domain } = payload.ok ? metaOf(payload.value) : {};
  return {
    ...payload,
    key: typeof id === 'string' && id !== '' ? keyOf('payload', id) : keyOf('content', sha256(text)),
    partition:
      typeof topic === 'string' && typeof partition === 'number' ? partitionName(topic, partition) : '',
    offset: Number.isSafeInteger(offset) ? Number(offset) : undefined,
    isCanary: domain === 'canary',
  };
}

/**
 * Where an event of Wikimedia's stood that was kept.
 *
 * @returns undefined where its payload does not say
 */
export function wikimediaPlace(text: string): KnownPlace | undefined {
  const { partition, offset } = wikimediaEvent(text);
  return partition === '' || offset === undefined ? undefined : { partition, offset };
}

function metaOf(event: object): Record<string, unknown> {
  const meta = 'meta' in event ? event.meta : undefined;
  return typeof meta === 'object' && meta !== null ? (meta as Record<string, unknown>) : {};
}
