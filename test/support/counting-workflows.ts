import {
  condition,
  defineQuery,
  defineSignal,
  proxyActivities,
  setHandler,
  sleep,
} from '@temporalio/workflow';

export const countSignal = defineSignal('count');
export const countedQuery = defineQuery<number>('counted');

const { step } = proxyActivities<{ step(): Promise<void> }>({
  taskQueue: 'nobody',
  scheduleToCloseTimeout: '1 hour',
});

/** Its commands tell how many signals each task brought: a step, and a timer for each signal. */
export async function counting(): Promise<void> {
  let counted = 0;
  let seen = 0;
  setHandler(countSignal, () => void (counted += 1));
  setHandler(countedQuery, () => counted);
  for (;;) {
    await condition(() => counted > seen);
    void step();
    for (; seen < counted; seen += 1) void sleep('1 hour');
  }
}
