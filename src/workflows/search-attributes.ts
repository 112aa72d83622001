import { upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { SEARCH_ATTRIBUTES } from '../pipeline/names';
import type { Activity } from '../lane/standing';

/** A Keyword may have 255 bytes in some visibility stores. */
const MOST_BYTES = 255;

/**
 * Keeps a workflow's search attributes what it is doing. Each change is a billable action on Temporal Cloud, so only changes
 * are told; and nothing is where the client that started the workflow found no such attributes registered.
 */
export class SearchAttributes {
  #shown = '';

  show({ activity, problem }: { activity: Activity; problem?: string }): void {
    const told = workflowInfo().typedSearchAttributes;
    if (told.get(SEARCH_ATTRIBUTES.pipeline) === undefined) return;
    const shown = `${activity} ${problem ?? ''}`;
    const isKnown = told.get(SEARCH_ATTRIBUTES.activity) === activity && this.#shown === '';
    if (shown === this.#shown || (isKnown && problem === undefined)) return;
    this.#shown = shown;
    upsertSearchAttributes([
      { key: SEARCH_ATTRIBUTES.activity, value: activity },
      { key: SEARCH_ATTRIBUTES.problem, value: problem === undefined ? null : shortened(problem) },
    ]);
  }
}

function shortened(text: string): string {
  let short = text.slice(0, MOST_BYTES);
  while (new TextEncoder().encode(short).length > MOST_BYTES) short = short.slice(0, -1);
  return short;
}
