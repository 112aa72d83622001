import { describeError, isTransient } from '../../clients/aws-errors';
import { SourceRefused } from '../../sources/source';

/**
 * How a stint came to its end:
 * - `done`: its time is over; `cancelled`: the workflow asked for it
 * - `interrupted`: its worker shuts down, or something else ended it that is none of its own; the next one may begin at once
 * - `failed`: for a reason that may pass
 * - `blocked`: a person must change something; `isFinal`: and say so
 */
export type Ended =
  | { ended: 'done' | 'cancelled' | 'interrupted' }
  | { ended: 'failed'; problem: string }
  | { ended: 'blocked'; problem: string; isFinal?: boolean };

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
  if (!isForPeople) return { ended: 'failed', problem: describeError(failure) };
  const isFinal = failure instanceof SourceRefused && failure.isFinal;
  return { ended: 'blocked', problem: failure.message, ...(isFinal ? { isFinal } : {}) };
}
