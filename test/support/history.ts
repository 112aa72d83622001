import type { Client } from '@temporalio/client';
import type { History } from '@temporalio/common/lib/proto-utils';

/** The histories of a workflow's runs, the oldest first. */
export async function historiesOf(client: Client, workflowId: string): Promise<History[]> {
  const histories: History[] = [];
  let runId: string | undefined;
  do {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    histories.unshift(history);
    runId =
      history.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId || undefined;
  } while (runId !== undefined);
  return histories;
}

/** What a run did and was told, in its order: activity results, signals to others, signals received. */
export function stepsOf(history: History): string[] {
  const scheduled = new Map<string, string>();
  return (history.events ?? []).flatMap((event) => {
    const { activityTaskScheduledEventAttributes: activity, eventId } = event;
    const nameOf = (id: unknown): string => scheduled.get(String(id)) ?? '';
    if (activity) scheduled.set(String(eventId), activity.activityType?.name ?? '');
    if (activity) return [`${activity.activityType?.name} scheduled`];
    const completed = event.activityTaskCompletedEventAttributes;
    if (completed) return [`${nameOf(completed.scheduledEventId)} completed`];
    const signalled = event.signalExternalWorkflowExecutionInitiatedEventAttributes;
    if (signalled) return [`tells the lane to ${signalled.signalName}`];
    const received = event.workflowExecutionSignaledEventAttributes;
    return received ? [`told to ${received.signalName}`] : [];
  });
}
