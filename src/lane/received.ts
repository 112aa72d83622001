import type { RejectReason } from '../event/event';

/** A detail of the failure of a receive that was handed nothing for sure. */
export const HANDED_NOTHING = 'handed nothing';

/** An event that becomes a row. */
export interface ReceivedEvent {
  /** Digest of its key, 16 hexadecimal digits. */
  key: string;
  cells: string[];
  /** Bytes of the cells as JSON. */
  bytes: number;
}

/** An event that can't become a row. It is kept under `rejected/`. */
export interface RejectedEvent {
  key: string;
  reason: RejectReason;
}

/** An SQS message with the events that it carries, in their order. It is received whole or not at all. */
export interface ReceivedMessage {
  id: string;
  receipt: string;
  /** Epoch milliseconds: its SentTimestamp. SQS always tells; a server that does not is lived with. */
  sentAt?: number;
  events: (ReceivedEvent | RejectedEvent)[];
}

/** A message, and how many events it carries. */
export interface MessageHead {
  id: string;
  receipt: string;
  sentAt?: number;
  events: number;
}

/**
 * What a receive brought. JSON, and most of a lane's history: receipts are random, and events that stand apart from them take a
 * twentieth less room.
 */
export interface Received {
  messages: MessageHead[];
  /** Of all messages, one after the other. */
  events: ReceivedMessage['events'];
  /** Messages that were received and stay in the queue: released, or with an event to reject that could not be kept. */
  leftInQueue: LeftMessage[];
  /**
   * Epoch milliseconds: everything sent before was seen, as far as the queue's order can be trusted. The newest
   * SentTimestamp received or, when a long poll came back empty, the moment at which it began.
   */
  reached?: number;
  /** Epoch milliseconds at which the oldest message was sent; without one when there was none. */
  oldestSentAt?: number;
  /** Epoch milliseconds, by the clock of SQS: when the first poll began and when the last was answered. */
  from: number;
  until: number;
  /** The last polls came back full, and many more should be waiting: several receives at once would find work. */
  behind: boolean;
  /**
   * Polls without an answer that says what they were handed, and releases that failed: they may have hidden messages that nobody knows
   * of until their visibility timeout ends.
   */
  lostPolls: number;
  /** Polls that SQS refused: they were handed nothing. */
  refusedPolls: number;
}

export interface LeftMessage {
  id: string;
  /** Epoch milliseconds. */
  sentAt?: number;
  /** Digests of its events' keys. */
  keys: string[];
}

/** Takes messages and their events apart, as a receive brings them. */
export function takenApart(messages: readonly ReceivedMessage[]): Pick<Received, 'messages' | 'events'> {
  return {
    messages: messages.map(({ events, ...message }) => ({ ...message, events: events.length })),
    events: messages.flatMap(({ events }) => events),
  };
}

/** The messages of a receive, each with its events. */
export function messagesOf({ messages, events }: Pick<Received, 'messages' | 'events'>): ReceivedMessage[] {
  let next = 0;
  return messages.map(({ events: count, ...message }) => {
    next += count;
    return { ...message, events: events.slice(next - count, next) };
  });
}
