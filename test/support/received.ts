import type { Received, ReceivedEvent, RejectedEvent } from '../../src/lane/received';
import assert from 'node:assert/strict';
import { KEY_ATTRIBUTE, PACK_ATTRIBUTE } from '../../src/pipeline/names';
import { decodeMessage, type OutgoingMessage } from '../../src/queue/message';
import type { QueuedEvent } from '../../src/queue/queued-event';

/** The events of a receive that become rows. */
export function rowsIn({ events }: Received): ReceivedEvent[] {
  return events.flatMap((event) => ('cells' in event ? event : []));
}

/** The events of a receive that can't become a row. */
export function rejectedIn({ events }: Received): RejectedEvent[] {
  return events.flatMap((event) => ('reason' in event ? event : []));
}

/** The events that a message carries. */
export function eventsIn({ body, attributes }: OutgoingMessage): QueuedEvent[] {
  const { [KEY_ATTRIBUTE]: key, [PACK_ATTRIBUTE]: pack } = attributes;
  const decoded = decodeMessage({
    id: '',
    receipt: '',
    body,
    ...(key ? { key } : {}),
    ...(pack ? { pack } : {}),
  });
  assert(decoded.ok);
  return decoded.events;
}

/** The key that a message says beside its body. */
export function keyOf({ attributes }: OutgoingMessage): string {
  return attributes[KEY_ATTRIBUTE] ?? '';
}
