import type { WorkflowInterceptors } from '@temporalio/workflow';

/** What whoever asked is told where the guard lets a query fail. */
export const BETWEEN_WORKERS =
  'The worker of this workflow ended, and no other has taken the workflow over yet: ask again in a few seconds';

/**
 * Keeps a query from spoiling a workflow: an interceptor that every Worker runs.
 *
 * A worker that has no copy of a workflow replays the history to answer a query. Where events wait there that no workflow task has
 * carried yet, such as those that came since another worker died, the SDK (1.24.0) applies them, too, and keeps the copy. The next task
 * brings more events. The copy took them in two steps, and a replay takes them in one: the two may decide otherwise, and then every later task
 * fails.
 *
 * A task has a time and a size of the history, both from its event `WorkflowTaskStarted`. So a step that brings events under those
 * of the step before brings what no task has carried. The guard fails it. That fails the query and nothing else, and the SDK drops the
 * copy: the task replays the history.
 */
export function interceptors(): Required<Pick<WorkflowInterceptors, 'internals'>> {
  let task: string | undefined;
  let carried = 0;
  return {
    internals: [
      {
        activate(input, next) {
          const { activation, batchIndex } = input;
          const { jobs, timestamp, historySizeBytes, historyLength, isReplaying } = activation;
          const isQuery = jobs?.every(({ queryWorkflow }) => queryWorkflow) ?? false;
          // The second part of a step comes with the first.
          if (isQuery || batchIndex > 0) return next(input);
          const length = historyLength ?? 0;
          const named = [timestamp?.seconds, timestamp?.nanos, historySizeBytes].join(' ');
          if (isReplaying === false && named === task && length > carried) throw new Error(BETWEEN_WORKERS);
          task = named;
          carried = length;
          next(input);
        },
      },
    ],
  };
}
