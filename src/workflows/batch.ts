import { allHandlersFinished, condition, continueAsNew, workflowInfo } from '@temporalio/workflow';
import { type CarriedLane, LANE_SCHEMA } from '../lane/carried';
import { Lane } from '../lane/lane';
import { whyKept } from '../lane/status';
import { incarnationOf } from '../lake/layout';
import type { PipelineDefinition } from '../pipeline/definition';
import { Hands } from './hands';
import { LaneMeters } from './lane-meters';
import { answerHowFar, handleMessages } from './messages';
import { neverEnding } from './never-ending';
import { type Asked, parkUntilNewer, whyUnreadable } from './newer-state';

/**
 * One lane: the only reader of one queue. Receives messages, assembles batches, uploads them as objects and deletes the messages whose
 * rows are in the lake. What it decides stands in `../lane`, which knows no Temporal; here it is done. Never ends by itself; `stop`
 * drains the queue and idles.
 *
 * @param carried what the run before carried
 * @param settledKeys of its window, eight bytes each; apart, so that they travel as bytes
 * @param asked signals that the run before could not act on
 */
export async function batch(
  definition: PipelineDefinition,
  carried?: CarriedLane,
  settledKeys?: Uint8Array,
  asked: Asked = [],
): Promise<void> {
  const { firstExecutionRunId, startTime } = workflowInfo();
  const life = { lane: 0, incarnation: incarnationOf(firstExecutionRunId) };
  const now = startTime.getTime();
  const problem = whyUnreadable(carried?.schema, LANE_SCHEMA);
  if (problem !== undefined) {
    const all = await parkUntilNewer('batch', problem, new Lane(definition, { now, life }).status(), asked);
    return await continueAsNew<typeof batch>(definition, carried, settledKeys, all);
  }
  const meters = new LaneMeters(definition.name);
  const lane = new Lane(definition, { now, life, carried, settledKeys, listener: meters });
  const hands = new Hands(lane);
  handleMessages(
    {
      start: () => hands.tell(() => lane.start()),
      stop: () => hands.tell(() => lane.stop()),
      pause: () => hands.tell(() => lane.pause()),
      resume: () => hands.tell(() => lane.resume()),
      flush: () => hands.tell(() => lane.flush()),
      status: () => lane.status(),
      update: (wanted) => hands.update(wanted),
      remove: () => {
        hands.tell(() => lane.remove());
        return { rows: lane.status().rowsWaiting };
      },
      whyKept: (removal) => whyKept(lane.status(), removal),
      hasRead: () => false,
    },
    {
      start: 'Receive again, after a stop',
      stop: 'Drain the queue into the lake, then idle',
      pause: 'Receive no more until resumed',
      status: 'What the lane does and has done',
    },
  );
  answerHowFar(lane);
  await neverEnding(
    () => hands.tell(() => lane.stop()),
    async () => {
      for (const signal of asked) hands.tell(() => lane[signal]());
      for (;;) {
        if (workflowInfo().continueAsNewSuggested) lane.windUp();
        hands.perform(lane.takeWork());
        meters.show(lane.status());
        if (lane.mayEnd && (lane.isRemoved || !hands.isUpdating)) break;
        const alarm = lane.takeAlarm();
        if (alarm) hands.perform([alarm]);
        await hands.somethingCame();
      }
      meters.close();
      await condition(allHandlersFinished);
      if (lane.isRemoved) return;
      await continueAsNew<typeof batch>(lane.definition, lane.carried(), lane.settledKeys());
    },
  );
}
