import { log, metricMeter, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { RejectReason } from '../event/event';
import type { LaneListener } from '../lane/listener';
import type { LaneStatus } from '../lane/status';
import type { FrozenBatch } from '../lane/uploading';
import type { QueueDepth, Uploaded } from '../lane/work';
import { meterQueue, type Meters, metersOf } from '../metrics';
import { laneDetails } from './details';
import { SearchAttributes } from './search-attributes';

/** What people see of a lane: metrics, logs, current details and search attributes. */
export class LaneMeters implements LaneListener {
  readonly #meters: Meters;
  readonly #attributes = new SearchAttributes();

  constructor(pipeline: string) {
    this.#meters = metersOf(metricMeter, pipeline);
  }

  received({ messages, oldestAgeMs, reached }: Parameters<LaneListener['received']>[0]): void {
    this.#meters.messagesReceived(messages);
    this.#meters.oldestMessageAge(oldestAgeMs / 1_000);
    if (reached !== undefined) this.#meters.reached(reached / 1_000);
  }

  redelivered(): void {
    this.#meters.messagesRedelivered(1);
  }

  repeated(): void {
    this.#meters.rowsRepeated(1);
  }

  rejected(reason: RejectReason): void {
    this.#meters.rowsRejected(1, { reason });
  }

  receiveLost(): void {
    this.#meters.lostReceives(1);
  }

  receiveRefused(): void {
    this.#meters.refusedReceives(1);
  }

  written({ sequence, objectKey, rows, admittedAt }: FrozenBatch, { bytes, at }: Uploaded): void {
    this.#meters.rowsWritten(rows.length);
    this.#meters.batchesWritten(1);
    this.#meters.bytesWritten(bytes);
    this.#meters.rowWait(Math.max(0, at - admittedAt) / 1_000);
    log.info('Batch written', { sequence, object: objectKey, rows: rows.length, bytes });
  }

  notWritten({ sequence, objectKey }: FrozenBatch, error: string): void {
    log.warn('A batch could not be written', { sequence, object: objectKey, error });
  }

  measured(depth: QueueDepth): void {
    meterQueue(this.#meters, depth);
  }

  parked(parked: { doing: string; problem: string }): void {
    log.warn('Parked', parked);
  }

  changed(version: number): void {
    log.info('Other settings hold', { version });
  }

  show(status: LaneStatus): void {
    setCurrentDetails(laneDetails(status));
    this.#attributes.show(status);
    this.#meters.rowsWaiting(status.rowsWaiting);
    this.#meters.windowKeys(status.windowKeys);
    this.#meters.unsettledMessages(status.unsettled);
    this.#meters.parked(status.activity === 'parked' ? 1 : 0, { workflow: 'batch' });
    // The clock of this machine, which decides nothing.
    this.#meters.workflowSeen(workflowInfo().unsafe.now() / 1_000, { workflow: 'batch' });
  }

  /** The next run may go to another worker. */
  close(): void {
    this.#meters.close();
  }
}
