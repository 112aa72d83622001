import { describeError, isTransient } from '../../clients/aws-errors';
import { SourceRefused } from '../../sources/source';

/** How an attempt at a stint came to its end. */
export type Ended =
  | { ended: 'done' | 'cancelled' }
  | { ended: 'blocked'; problem: string; isFinal?: boolean }
  | { ended: 'failed'; error: unknown };

/** Something that trying again won't mend; the message goes to a person. */
export class Blocked extends Error {}

/** @param doing what was tried, to what; such as `send to the queue sse_queue` */
export function blockedUnlessTransient(error: unknown, doing: string): unknown {
  return isTransient(error)
    ? error
    : new Blocked(
        `Could not ${doing}: ${describeError(error)}. Mend it (\`sluice provision\` creates what is missing), then resume`,
      );
}

/** What a failure is to whoever runs the pipeline. */
export function explain(failure: unknown): Ended {
  const isForPeople = failure instanceof Blocked || failure instanceof SourceRefused;
  if (!isForPeople) return { ended: 'failed', error: failure };
  const isFinal = failure instanceof SourceRefused && failure.isFinal;
  return { ended: 'blocked', problem: failure.message, ...(isFinal ? { isFinal } : {}) };
}
