import type { Received, ReceivedEvent, RejectedEvent } from '../../src/lane/received';
import { KEY_ATTRIBUTE } from '../../src/pipeline/names';
import type { OutgoingMessage } from '../../src/queue/message';

/** The events of a receive that become rows. */
export function rowsIn({ events }: Received): ReceivedEvent[] {
  return events.flatMap((event) => ('cells' in event ? event : []));
}

/** The events of a receive that can't become a row. */
export function rejectedIn({ events }: Received): RejectedEvent[] {
  return events.flatMap((event) => ('reason' in event ? event : []));
}

/** The key that a message says beside its body. */
export function keyOf({ attributes }: OutgoingMessage): string {
  return attributes[KEY_ATTRIBUTE] ?? '';
}
