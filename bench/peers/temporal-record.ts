import { type Client, Connection, type WorkflowHandle } from '@temporalio/client';

type HistoryEvent = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>[number];

/** A page of a history that holds rows may be larger than the 4 MB that gRPC takes. */
export async function connectTo(address: string): Promise<Connection> {
  return await Connection.connect({ address, channelArgs: { 'grpc.max_receive_message_length': -1 } });
}

/** What of a history is billed as an action (Temporal Cloud, "Actions"); heartbeats, which it does not hold, apart. */
const ACTIONS: readonly (keyof HistoryEvent)[] = [
  'workflowExecutionStartedEventAttributes',
  'activityTaskStartedEventAttributes',
  'timerStartedEventAttributes',
  'workflowExecutionSignaledEventAttributes',
  'workflowExecutionUpdateAcceptedEventAttributes',
  'upsertWorkflowSearchAttributesEventAttributes',
];

/**
 * What Temporal recorded of a lane, for every 100 rows: actions, events of the history, its bytes as the server counts them, and
 * workflow tasks.
 */
export async function recordOf(
  temporal: Client,
  workflowId: string,
  rows: number,
): Promise<Record<string, number>> {
  const sums = { actions: 0, events: 0, bytes: 0, workflowTasks: 0 };
  for await (const { runId } of temporal.workflow.list({ query: `WorkflowId = '${workflowId}'` })) {
    const run = temporal.workflow.getHandle(workflowId, runId);
    const { raw } = await run.describe();
    sums.bytes += Number(raw.workflowExecutionInfo?.historySizeBytes ?? 0);
    const { events } = await run.fetchHistory();
    for (const event of events ?? []) {
      sums.events += 1;
      if (ACTIONS.some((name) => event[name])) sums.actions += 1;
      if (event.workflowTaskCompletedEventAttributes) sums.workflowTasks += 1;
    }
  }
  const per100Rows = (sum: number) => (sum * 100) / rows;
  return {
    temporalActionsPer100Rows: per100Rows(sums.actions),
    historyEventsPer100Rows: per100Rows(sums.events),
    historyKbPer100Rows: per100Rows(sums.bytes) / 1024,
    workflowTasksPer100Rows: per100Rows(sums.workflowTasks),
  };
}
