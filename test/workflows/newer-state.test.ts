import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { History } from '@temporalio/common/lib/proto-utils';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { dataConverter, payloadCodec } from '../../src/clients/payload-codec';
import type { CarriedLane } from '../../src/lane/carried';
import { Standing } from '../../src/lane/standing';
import { NO_COUNTS } from '../../src/lane/status';
import { Window } from '../../src/lane/window';
import { NO_GAPS } from '../../src/sources/gaps';
import { NO_COUNTS as NO_STINT_COUNTS } from '../../src/sources/stint-counts';
import type { CarriedIngest, ingest } from '../../src/workflows/ingest';
import { bundleOptions } from '../../src/workers/bundle';
import { definitionOf } from '../support/definition';
import { eventually } from '../support/eventually';
import type { FakeLane } from '../support/fake-lane';
import { keysOf } from '../support/fake-lane';
import { cursorAt, FakeStints } from '../support/fake-stints';
import { historiesOf } from '../support/history';
import { batchStatus, ingestStatus, lanePerTest } from '../support/pipelines';
import { TestTemporal, workflowBundle } from '../support/temporal';

/** As a lane that waits would carry it. */
function carriedWith(schema: number): CarriedLane {
  return {
    schema,
    version: 1,
    paused: false,
    stopping: false,
    stopped: false,
    mayTry: true,
    flushing: false,
    claim: 'held',
    nextSequence: 7,
    now: Date.now(),
    dated: 0,
    waiting: [],
    frozen: [],
    window: new Window({ keys: 100, visibilityTimeoutMs: 8_000 }).state(),
    counts: NO_COUNTS,
  };
}

/** What a run was started with, as text. */
async function argumentsOf(history: History | undefined): Promise<string[]> {
  const payloads = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  const decoded = await payloadCodec.decode(payloads);
  return decoded.map(({ data }) => Buffer.from(data ?? []).toString());
}

describe('A workflow whose state a newer worker wrote', () => {
  const temporal = new TestTemporal({});
  let lane: FakeLane;
  let handle: WorkflowHandle;

  before(() => temporal.start());
  after(() => temporal.stop());

  const { startLane, endAfterTest } = lanePerTest(temporal, (own) => {
    lane = own;
  });

  async function start(schema: number): Promise<void> {
    handle = await startLane(definitionOf(), {
      carried: { state: carriedWith(schema), settledKeys: new Uint8Array() },
    });
  }

  const runs = () => historiesOf(temporal.client, handle.workflowId);

  it('is parked, says so, does nothing, and takes no update', async () => {
    lane.send(keysOf(10));
    await start(2);
    const { activity, problem } = await batchStatus(handle);
    assert.equal(activity, 'parked');
    assert.match(problem ?? '', /older than the state that it was given \(schema 2, and it can read 1\)/);
    await assert.rejects(handle.executeUpdate('update', { args: [definitionOf()] }), (error: Error) =>
      /schema 2/.test(String(error.cause)),
    );
    assert.equal(lane.receives.length, 0);
  });

  it('hands the state, and what it was asked, to the next run as they are', async () => {
    await start(2);
    for (const signal of ['pause', 'flush', 'stop', 'resume']) await handle.signal(signal);
    await eventually('another run', async () => (await runs()).length === 2);
    const [first, second] = await Promise.all((await runs()).map(argumentsOf));
    assert.deepEqual(second?.slice(0, 3), first?.slice(0, 3));
    assert.equal(second?.[3], JSON.stringify(['pause', 'flush', 'stop', 'resume']));
    assert.equal((await batchStatus(handle)).activity, 'parked');
  });

  it('does what an earlier run was asked once it can read the state', async () => {
    handle = await startLane(definitionOf(), {
      carried: { state: carriedWith(1), settledKeys: new Uint8Array() },
      asked: ['stop'],
    });
    await eventually('stopped', async () => (await batchStatus(handle)).activity === 'stopped');
    assert.equal((await batchStatus(handle)).nextSequence, 7);
  });

  it('is parked, of ingest, too, and reads nothing', async () => {
    const taskQueue = `ingest-${randomUUID()}`;
    const stints = new FakeStints();
    await temporal.runWorker('ingest', { taskQueue, activities: stints.activities });
    const carried: CarriedIngest = {
      ...new Standing().carried(),
      schema: 2,
      version: 1,
      cursor: cursorAt(1),
      completeness: {},
      gaps: NO_GAPS,
      counts: { ...NO_STINT_COUNTS, stints: 1 },
      feeding: {},
    };
    handle = await temporal.client.workflow.start<typeof ingest>('ingest', {
      workflowId: taskQueue,
      taskQueue,
      args: [{ definition: definitionOf(), lane: 'nobody' }, carried],
    });
    endAfterTest(handle);
    const { activity, problem } = await ingestStatus(handle);
    assert.equal(activity, 'parked');
    assert.match(problem ?? '', /schema 2, and it can read 1/);
    assert.equal(stints.seen.length, 0);
  });

  it('stays parked in the run that an older worker began, under a newer worker too, and goes on in the next', async () => {
    await start(2);
    await eventually('parked', async () => (await batchStatus(handle)).activity === 'parked');
    await handle.signal('resume');
    await eventually('another run', async () => (await runs()).length === 2);
    const [parked] = await runs();
    const newer = await bundleWorkflowCode({
      ...bundleOptions,
      workflowsPath: require.resolve('../support/newer-workflows'),
      logger: new DefaultLogger('ERROR'),
    });
    assert.ok(parked);
    for (const bundle of [newer, await workflowBundle()]) {
      await Worker.runReplayHistory({ workflowBundle: bundle, dataConverter }, parked, handle.workflowId);
    }
    await temporal.stopWorkers();
    const { taskQueue } = await handle.describe();
    await temporal.runWorker('batch', {
      taskQueue,
      activities: lane.activities,
      options: { workflowBundle: newer },
    });
    await handle.signal('resume');
    // The run that had been parked by then ends, and the next one is read.
    await eventually(
      'a run that marks that it can read the state',
      async () =>
        (await runs())
          .at(-1)
          ?.events?.some(({ markerRecordedEventAttributes }) => markerRecordedEventAttributes) === true,
    );
  });
});
