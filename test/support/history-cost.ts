import { defaultPayloadConverter } from '@temporalio/common';
import type { History } from '@temporalio/common/lib/proto-utils';
import { temporal } from '@temporalio/proto';
import type { UploadInput } from '../../src/lane/work';
import { payloadCodec } from '../../src/clients/payload-codec';

/** What a lane's histories cost. Heartbeats, queries and further attempts of an activity stand in no history. */
export interface HistoryCost {
  /** Rows of the batches that were written. */
  rows: number;
  batches: number;
  events: number;
  /** As protobuf, which is how Temporal keeps and counts them. */
  bytes: number;
  /** What Temporal Cloud bills, by its name in the history. */
  actions: Record<string, number>;
}

type Event = NonNullable<History['events']>[number];

/** One action each ("Actions" in Temporal Cloud's documentation). */
const ACTIONS: Record<string, (event: Event) => unknown> = {
  workflow: (event) => event.workflowExecutionStartedEventAttributes,
  activity: (event) => event.activityTaskScheduledEventAttributes,
  timer: (event) => event.timerStartedEventAttributes,
  'signal received': (event) => event.workflowExecutionSignaledEventAttributes,
  'signal sent': (event) => event.signalExternalWorkflowExecutionInitiatedEventAttributes,
  update: (event) => event.workflowExecutionUpdateAcceptedEventAttributes,
  'search attributes': (event) => event.upsertWorkflowSearchAttributesEventAttributes,
};

/** @param histories of a lane's runs */
export async function historyCost(histories: readonly History[]): Promise<HistoryCost> {
  const cost: HistoryCost = { rows: 0, batches: 0, events: 0, bytes: 0, actions: {} };
  for (const { events } of histories) {
    for (const event of events ?? []) {
      cost.events += 1;
      cost.bytes += temporal.api.history.v1.HistoryEvent.encode(event).finish().length;
      for (const [name, isOne] of Object.entries(ACTIONS)) {
        if (isOne(event)) cost.actions[name] = (cost.actions[name] ?? 0) + 1;
      }
      const batch = await batchOf(event);
      if (batch) cost.batches += 1;
      cost.rows += batch?.rows.length ?? 0;
    }
  }
  return cost;
}

export function actionsOf({ actions }: HistoryCost): number {
  return Object.values(actions).reduce((sum, count) => sum + count, 0);
}

async function batchOf({ activityTaskScheduledEventAttributes }: Event): Promise<UploadInput | undefined> {
  if (activityTaskScheduledEventAttributes?.activityType?.name !== 'uploadBatch') return undefined;
  const [input] = await payloadCodec.decode(activityTaskScheduledEventAttributes.input?.payloads ?? []);
  return input && defaultPayloadConverter.fromPayload<UploadInput>(input);
}
