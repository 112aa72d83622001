import type { RejectReason } from '../../event/event';
import { encodeMessage } from '../../queue/message';
import type { Packable } from '../../queue/packer';
import type { SourceEvent } from '../../sources/source';

/** Why an event is rejected. */
export interface Why {
  reason: RejectReason;
  detail: string;
}

/** Where an event goes: to the queue, or under `rejected/` or `canaries/`. */
export type Judgement =
  ({ goes: 'to the queue' } & Packable) | { goes: 'canary' } | { goes: 'rejected'; why: Why };

/**
 * Says where an event goes. Pure.
 *
 * @param maximumBytes the most that a message of the queue may have. An event must fit in as plain JSON, whatever it would be packed
 */
export function judge({ read, text, body }: SourceEvent, maximumBytes: number): Judgement {
  if (!read.ok) return { goes: 'rejected', why: read };
  if (read.isCanary) return { goes: 'canary' };
  const event = { key: read.key, text: body ?? text };
  const alone = encodeMessage(event);
  if (alone.bytes <= maximumBytes) return { goes: 'to the queue', event, alone };
  const detail = `${alone.bytes} bytes, and the queue takes ${maximumBytes}`;
  return { goes: 'rejected', why: { reason: 'message-too-large', detail } };
}
