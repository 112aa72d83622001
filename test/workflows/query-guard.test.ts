import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from '@temporalio/worker';
import { bundleOptions } from '../../src/workers/bundle';
import { interceptors, MADE_FOR_A_QUERY } from '../../src/workflows/query-guard';
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

/** @returns what becomes of each step: whether it reaches the workflow, or fails */
function outcomes(steps: readonly Step[]): ('passed' | 'left out' | 'failed')[] {
  const [guard] = interceptors().internals;
  return steps.map(({ batchIndex, ...activation }) => {
    let isPassed = false;
    try {
      guard?.activate?.({ activation: activation as never, batchIndex }, () => (isPassed = true));
    } catch (error) {
      assert.equal((error as Error).message, MADE_FOR_A_QUERY);
      return 'failed';
    }
    return isPassed ? 'passed' : 'left out';
  });
}

describe('The guard against queries', () => {
  const first = step({ timestamp: { seconds: 1_796_009_000, nanos: 378_403_547 }, historyLength: 3 });
  const later = {
    timestamp: { seconds: 1_796_009_005, nanos: 0 },
    historySizeBytes: 1_643,
    isReplaying: false,
  };
  const query = step({ jobs: [question] });

  it('lets a replay, the tasks behind it and queries of the copy pass', () => {
    const steps = [first, step({}), query, step({ ...later, historyLength: 15 }), query];
    assert.deepEqual(outcomes(steps), ['passed', 'passed', 'passed', 'passed', 'passed']);
  });

  it('leaves out a step that brings more events than its task, answers the query, and fails the next task', () => {
    const ahead = step({ historyLength: 11, isReplaying: false });
    const steps = [
      first,
      step({}),
      ahead,
      { ...ahead, batchIndex: 1 },
      query,
      step({ ...later, historyLength: 15 }),
    ];
    assert.deepEqual(outcomes(steps), ['passed', 'passed', 'left out', 'left out', 'passed', 'failed']);
  });

  it('lets a step pass that brings no events, such as the end of an activity that was cancelled', () => {
    assert.deepEqual(outcomes([step({ isReplaying: false }), step({ isReplaying: false })]), [
      'passed',
      'passed',
    ]);
  });

  it('lets the second part of a step pass', () => {
    const second = step({ historyLength: 11, isReplaying: false, batchIndex: 1 });
    assert.deepEqual(outcomes([step({ isReplaying: false }), second]), ['passed', 'passed']);
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

  it('is answered, and does not spoil the workflow', async () => {
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
    const asked = handle.query(countedQuery);
    // Later than it by more than the other needs for a replay: nothing tells where the server has a query.
    await delay(2_000);
    await handle.signal(countSignal);
    const answer = await asked;
    await handle.signal(countSignal);

    await eventually('both were counted', async () => (await handle.query(countedQuery)) === 3);
    await eventually('at rest', () => isAtRest(handle));
    const history = await handle.fetchHistory();
    await Worker.runReplayHistory({ workflowBundle }, history, handle.workflowId);
    assert.equal(answer, 1, 'it came before the second signal');
    const failures = (history.events ?? []).flatMap(
      ({ workflowTaskFailedEventAttributes: failed }) => failed?.failure?.message ?? [],
    );
    assert.deepEqual(failures, [MADE_FOR_A_QUERY]);
  });
});
