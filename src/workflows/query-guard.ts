import type { WorkflowInterceptors } from '@temporalio/workflow';

/** Why a workflow task failed that came to a copy of its workflow which a query had made. The next try replays the history. */
export const MADE_FOR_A_QUERY =
  'This copy of the workflow was made to answer a query, and is dropped: the task is tried again with a replay';

/**
 * Keeps a query from spoiling a workflow: an interceptor that every Worker runs.
 *
 * A worker that has no copy of a workflow replays the history to answer a query. Where events wait there that no workflow task has
 * carried yet, such as those that came since another worker died, the SDK (1.24.0) applies them, too, and keeps the copy. The next task
 * brings more events. The copy took them in two steps, and a replay takes them in one: the two may decide otherwise, and then every later task
 * fails.
 *
 * A task has a time and a size of the history, both from its event `WorkflowTaskStarted`. So a step that brings events under those
 * of the step before brings what no task has carried. The guard leaves it out: the query is answered as of the last task, after which it came. If
 * the copy is still there when the next task comes, that fails, the SDK drops the copy, and the task is tried again at once, with a replay.
 */
export function interceptors(): Required<Pick<WorkflowInterceptors, 'internals'>> {
  let task: string | undefined;
  let carried = 0;
  let isForQuery = false;
  return {
    internals: [
      {
        activate(input, next) {
          const { activation, batchIndex } = input;
          const { jobs, timestamp, historySizeBytes, historyLength, isReplaying } = activation;
          if (jobs?.every(({ queryWorkflow }) => queryWorkflow)) return next(input);
          // The second part of a step goes with the first.
          if (batchIndex === 0) {
            if (isForQuery) throw new Error(MADE_FOR_A_QUERY);
            const length = historyLength ?? 0;
            const named = [timestamp?.seconds, timestamp?.nanos, historySizeBytes].join(' ');
            isForQuery = isReplaying === false && named === task && length > carried;
            task = named;
            carried = length;
          }
          if (!isForQuery) next(input);
        },
      },
    ],
  };
}
