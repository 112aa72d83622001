import type { RejectReason } from '../event/event';
import type { FrozenBatch } from './uploading';
import type { Parked } from './standing';
import type { QueueDepth, Uploaded } from './work';

/** Told of what happens in a lane, as it happens: for metrics and logs. Nothing in a lane depends on it. */
export interface LaneListener {
  /** @param oldestAgeMs of the oldest message, when it was received; 0 without one */
  received(receive: { messages: number; oldestAgeMs: number; reached: number | undefined }): void;
  /** SQS delivered a message again. */
  redelivered(): void;
  /** A message brought a key that was known. */
  repeated(): void;
  rejected(reason: RejectReason): void;
  /** What a receive was handed is not known. */
  receiveLost(): void;
  /** A receive, or a poll of it, was handed nothing for sure. */
  receiveRefused(): void;
  written(batch: FrozenBatch, uploaded: Uploaded): void;
  notWritten(batch: FrozenBatch, problem: string): void;
  measured(depth: QueueDepth): void;
  parked(parked: Pick<Parked, 'doing' | 'problem'>): void;
  /** Other settings hold. */
  changed(version: number): void;
}

/** Told, and silent. */
export const NO_LISTENER: LaneListener = {
  received() {},
  redelivered() {},
  repeated() {},
  rejected() {},
  receiveLost() {},
  receiveRefused() {},
  written() {},
  notWritten() {},
  measured() {},
  parked() {},
  changed() {},
};
