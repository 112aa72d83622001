import {
  defineQuery,
  defineSignal,
  defineUpdate,
  getExternalWorkflowHandle,
  setHandler,
} from '@temporalio/workflow';
import type { Activity } from '../lane/standing';
import type { PipelineDefinition } from '../pipeline/definition';
import { ingestWorkflowId, OWN_SIGNALS, QUERIES, type Removal, SIGNALS, UPDATES } from '../pipeline/names';
import type { GivenUp } from './status';
import { refused, refuseUnusable } from './refusals';

export const startSignal = defineSignal(SIGNALS.start);
export const stopSignal = defineSignal(SIGNALS.stop);
export const pauseSignal = defineSignal(SIGNALS.pause);
export const resumeSignal = defineSignal(SIGNALS.resume);
export const flushSignal = defineSignal(SIGNALS.flush);
export const askReachedSignal = defineSignal(OWN_SIGNALS.askReached);
export const reachedSignal = defineSignal<[reached: number]>(OWN_SIGNALS.reached);
const statusQuery = defineQuery<{ activity: Activity }>(QUERIES.status);
const settingsUpdate = defineUpdate<number, [PipelineDefinition]>(UPDATES.update);
const removeUpdate = defineUpdate<GivenUp, [removal: Removal | undefined]>(UPDATES.remove);

/** What a workflow can be told, and asked. */
export interface Receiver {
  start: () => void;
  stop: () => void;
  pause: () => void;
  resume: () => void;
  /** Only of a lane. */
  flush?: () => void;
  status: () => { activity: Activity; definition: PipelineDefinition };
  /** @returns the version of the definition that holds when the wanted settings do */
  update: (wanted: PipelineDefinition) => number | Promise<number>;
  /** Told only where {@link whyKept} has nothing against it. @returns what is given up with it */
  remove: () => GivenUp;
  /** Why it can't be removed; undefined where it can. */
  whyKept: (removal?: Removal) => string | undefined;
  /** Whether events were read, so that some settings can't change any more. */
  hasRead: () => boolean;
}

/** Each message in the words of the workflow that gets it. */
export interface Descriptions {
  start: string;
  stop: string;
  pause: string;
  status: string;
}

/** Lets a workflow take its messages: signals, the `status` query, and the updates `update` and `remove`, which refuse before anything changes. */
export function handleMessages(receiver: Receiver, { start, stop, pause, status }: Descriptions): void {
  const { flush } = receiver;
  setHandler(startSignal, () => receiver.start(), { description: start });
  setHandler(stopSignal, () => receiver.stop(), { description: stop });
  setHandler(pauseSignal, () => receiver.pause(), { description: pause });
  setHandler(resumeSignal, () => receiver.resume(), {
    description: 'Go on, and try again what is parked',
  });
  if (flush) setHandler(flushSignal, () => flush(), { description: 'Write the partial batch now' });
  setHandler(statusQuery, () => receiver.status(), { description: status });
  setHandler(settingsUpdate, (wanted) => receiver.update(wanted), {
    description: 'Other settings: a pipeline definition',
    validator: (wanted) =>
      refuseUnusable(wanted, receiver.status().definition, { hasRead: receiver.hasRead() }),
  });
  setHandler(removeUpdate, () => receiver.remove(), {
    description: 'End this stopped workflow for good',
    validator: (removal) => {
      const why = receiver.whyKept(removal);
      if (why !== undefined) throw refused(why);
    },
  });
}

/** Lets a lane tell ingest how far it is, when ingest asks. See {@link OWN_SIGNALS}. */
export function answerHowFar(lane: {
  readonly definition: PipelineDefinition;
  readonly reached: number;
}): void {
  const answer = async () => {
    const ingest = getExternalWorkflowHandle(ingestWorkflowId(lane.definition.name));
    // An ingest that is gone has no use for the answer.
    await ingest.signal(reachedSignal, lane.reached).catch(() => {});
  };
  setHandler(askReachedSignal, answer, {
    description: 'Tell ingest up to when all that was sent was received',
  });
}

/** Lets ingest hear how far its lane is. @param hear epoch milliseconds */
export function hearHowFar(hear: (reached: number) => void): void {
  setHandler(reachedSignal, hear, {
    description: 'From the lane: up to when all that was sent was received',
  });
}
