import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from '@temporalio/worker';
import { bundleOptions } from '../../src/workers/bundle';
import { query } from '../../src/cli/workflows';
import { BETWEEN_WORKERS, interceptors } from '../../src/workflows/query-guard';
import { countedQuery, countSignal, type counting } from '../support/counting-workflows';
import { eventually } from '../support/eventually';
import { isAtRest } from '../support/pipelines';
import { TcpLink } from '../support/tcp-link';
import { testTemporal } from '../support/temporal';

/** One step of a copy of a workflow, as the SDK brings it. */
interface Step {
  jobs: ({ signalWorkflow: object } | { queryWorkflow: object })[];
  timestamp: { seconds: number; nanos: number };
  /** Bytes. */
  historySizeBytes: number;
  historyLength: number;
  isReplaying: boolean;
  /** Of the part of the step. */
  batchIndex: number;
}

const signal = { signalWorkflow: {} };
const question = { queryWorkflow: {} };

function step(options: Partial<Step>): Step {
  return {
    jobs: [signal],
    timestamp: { seconds: 1_796_009_000, nanos: 587_647_146 },
    historySizeBytes: 484,
    historyLength: 7,
    isReplaying: true,
    batchIndex: 0,
    ...options,
  };
}

/** @returns which steps reach the workflow */
function passing(steps: readonly Step[]): boolean[] {
  const [guard] = interceptors().internals;
  return steps.map(({ batchIndex, ...activation }) => {
    let isPassed = false;
    try {
      guard?.activate?.({ activation: activation as never, batchIndex }, () => (isPassed = true));
    } catch (error) {
      assert.equal((error as Error).message, BETWEEN_WORKERS);
    }
    return isPassed;
  });
}

describe('The guard against queries', () => {
  const first = step({ timestamp: { seconds: 1_796_009_000, nanos: 378_403_547 }, historyLength: 3 });
  const next = step({
    timestamp: { seconds: 1_796_009_005, nanos: 0 },
    historySizeBytes: 1_643,
    historyLength: 15,
  });

  it('lets a replay, the task behind it and queries of the copy pass', () => {
    assert.deepEqual(
      passing([first, step({}), { ...next, isReplaying: false }, { ...next, jobs: [question] }]),
      [true, true, true, true],
    );
  });

  it('fails a step that brings more events than its task', () => {
    assert.deepEqual(passing([first, step({}), step({ historyLength: 11, isReplaying: false })]), [
      true,
      true,
      false,
    ]);
  });

  it('lets a step pass that brings no events, such as the end of an activity that was cancelled', () => {
    assert.deepEqual(passing([step({ isReplaying: false }), step({ isReplaying: false })]), [true, true]);
  });

  it('lets the second part of a step pass', () => {
    assert.deepEqual(
      passing([step({ isReplaying: false }), step({ historyLength: 11, isReplaying: false, batchIndex: 1 })]),
      [true, true],
    );
  });
});

describe('A query between the death of a worker and the next one', () => {
  const temporal = testTemporal();
  let cutOff: NativeConnection;
  let link: TcpLink;
  let handle: WorkflowHandle;

  beforeEach(async () => {
    link = await TcpLink.start(() => Number(temporal.address.split(':').at(-1)));
    cutOff = await NativeConnection.connect({ address: `127.0.0.1:${link.port}` });
  });

  afterEach(async () => {
    link.mend();
    await handle.terminate();
    await temporal.stopWorkers();
    await cutOff.close();
    await link.close();
  });

  it('does not spoil the workflow, and is answered once a worker has it', async () => {
    const workflowBundle = await bundleWorkflowCode({
      ...bundleOptions,
      workflowsPath: require.resolve('../support/counting-workflows'),
      logger: new DefaultLogger('ERROR'),
    });
    const taskQueue = `counting-${randomUUID()}`;
    const worker = { taskQueue, activities: {} as never };
    const options = { workflowBundle, stickyQueueScheduleToStartTimeout: '6s' } as const;
    await temporal.runWorker('batch', { ...worker, options, connection: cutOff });
    handle = await temporal.client.workflow.start<typeof counting>('counting', {
      workflowId: taskQueue,
      taskQueue,
    });
    await handle.signal(countSignal);
    await eventually('counted', async () => (await handle.query(countedQuery)) === 1);
    await eventually('at rest', () => isAtRest(handle));

    link.break();
    await temporal.runWorker('batch', { ...worker, options });
    // The server offers it to the worker that is gone, and after six seconds to the other.
    const asked = handle.query(countedQuery).catch((error: unknown) => String(error));
    // Later than it by more than the other needs for a replay: nothing tells where the server has a query.
    await delay(2_000);
    await handle.signal(countSignal);
    const answer = await asked;
    await handle.signal(countSignal);

    assert.equal(await query<number>(handle, countedQuery.name), 3);
    await eventually('at rest', () => isAtRest(handle));
    const history = await handle.fetchHistory();
    await Worker.runReplayHistory({ workflowBundle }, history, handle.workflowId);
    assert.match(String(answer), new RegExp(BETWEEN_WORKERS));
  });
});
