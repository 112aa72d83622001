import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import type { KillPoint } from './schedule';

/** Points that no request shows, and the history does. */
export type HistoryPoint = Extract<KillPoint, 'frozen' | 'continued'>;

type HistoryEvent = NonNullable<
  NonNullable<
    Awaited<ReturnType<Connection['workflowService']['getWorkflowExecutionHistory']>>['history']
  >['events']
>[number];

/** After Temporal did not answer. */
const AGAIN_MS = 300;

const IS_AT: Readonly<Record<HistoryPoint, (event: HistoryEvent) => boolean>> = {
  frozen: ({ activityTaskScheduledEventAttributes: scheduled }) =>
    scheduled?.activityType?.name === 'uploadBatch',
  continued: ({ workflowExecutionContinuedAsNewEventAttributes: continued }) => Boolean(continued),
};

/** Resolves as soon as one of the workflows gets to a point; rejects when the signal aborts first. */
export async function reachHistoryPoint(
  connection: Connection,
  point: HistoryPoint,
  workflowIds: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const done = new AbortController();
  const end = () => done.abort();
  signal.addEventListener('abort', end, { once: true });
  // One for each call to Temporal.
  setMaxListeners(0, done.signal);
  const since = Date.now();
  const follow = async (workflowId: string) => {
    for await (const event of eventsOf(connection, workflowId, done.signal)) {
      if (millisecondsOf(event) > since && IS_AT[point](event)) return;
    }
    throw signal.reason;
  };
  try {
    await Promise.any(workflowIds.map(follow));
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}

/** The events of a workflow's runs from now on, and those of the present run; the newest at once. */
async function* eventsOf(
  connection: Connection,
  workflowId: string,
  signal: AbortSignal,
): AsyncGenerator<HistoryEvent> {
  let nextPageToken: Uint8Array = new Uint8Array();
  while (!signal.aborted) {
    try {
      const page = await connection.withAbortSignal(signal, () =>
        connection.workflowService.getWorkflowExecutionHistory({
          namespace: 'default',
          execution: { workflowId },
          waitNewEvent: true,
          nextPageToken,
        }),
      );
      yield* page.history?.events ?? [];
      // Empty at the end of a run: then the next one is followed.
      nextPageToken = page.nextPageToken ?? new Uint8Array();
    } catch {
      nextPageToken = new Uint8Array();
      await delay(AGAIN_MS, undefined, { signal }).catch(() => {});
    }
  }
}

function millisecondsOf({ eventTime }: HistoryEvent): number {
  return Number(eventTime?.seconds ?? 0) * 1_000 + (eventTime?.nanos ?? 0) / 1e6;
}
