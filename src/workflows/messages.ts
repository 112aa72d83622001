import { defineQuery, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import type { Activity } from '../lane/standing';
import type { PipelineDefinition } from '../pipeline/definition';
import { QUERIES, SIGNALS, UPDATES } from '../pipeline/names';
import { refuseUnlessStopped, refuseUnusable } from './refusals';

export const startSignal = defineSignal(SIGNALS.start);
export const stopSignal = defineSignal(SIGNALS.stop);
export const pauseSignal = defineSignal(SIGNALS.pause);
export const resumeSignal = defineSignal(SIGNALS.resume);
export const flushSignal = defineSignal(SIGNALS.flush);
const statusQuery = defineQuery<{ activity: Activity }>(QUERIES.status);
const settingsUpdate = defineUpdate<number, [PipelineDefinition]>(UPDATES.update);
const removeUpdate = defineUpdate(UPDATES.remove);

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
  /** Told only when it is stopped. */
  remove: () => void;
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
    validator: () => refuseUnlessStopped(receiver.status().activity),
  });
}
