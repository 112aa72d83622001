import assert from 'node:assert/strict';
import type { WorkflowHandle } from '@temporalio/client';
import { ingestWorkflowId, OWN_SIGNALS, WORKFLOWS } from '../../src/pipeline/names';
import type { ingest } from '../../src/workflows/ingest';
import { definitionOf } from '../support/definition';
import { eventually } from '../support/eventually';
import { type FakeLane, keysOf } from '../support/fake-lane';
import { cursorAt, FakeStints, measuredAt, untilCancelled } from '../support/fake-stints';
import { historiesOf, stepsOf } from '../support/history';
import { batchStatus, ingestStatus, lanePerTest, startIngest } from '../support/pipelines';
import { testTemporal } from '../support/temporal';

/** Looks at such a queue are a second apart, and messages may wait for four. */
const RETENTION_SECONDS = 8;
const LIMIT_MS = 4_000;

/** A queue's time, which goes on as the test says: nothing here depends on how busy the machine is. */
const BEGIN = 1_700_000_000_000;

describe('Ingest whose lane takes nothing', () => {
  const temporal = testTemporal();
  let fakeLane: FakeLane;
  let handle: WorkflowHandle;
  let lane: WorkflowHandle;
  let stints: FakeStints;
  const { startLane, endAfterTest } = lanePerTest(temporal, (fresh) => (fakeLane = fresh));

  /** The lane has no worker. */
  async function start(): Promise<void> {
    stints = new FakeStints(untilCancelled(cursorAt(7), 70));
    stints.measure = () => measuredAt(BEGIN, 5, RETENTION_SECONDS);
    ({ handle, lane } = await startIngest(temporal, stints, definitionOf()));
    endAfterTest(handle, lane);
    await eventually('a stint', () => stints.seen.length === 1);
  }

  async function looksAgain(): Promise<void> {
    const before = stints.looks;
    // The second one began after the first had been judged.
    await eventually('two looks', () => stints.looks >= before + 2);
  }

  const status = () => ingestStatus(handle);
  const becomes = (activity: string) =>
    eventually(activity, async () => (await status()).activity === activity);

  async function stepsOfIngest(): Promise<string[]> {
    const histories = await historiesOf(temporal.client, handle.workflowId);
    return histories.flatMap(stepsOf);
  }

  async function park(): Promise<void> {
    await start();
    stints.measure = () => measuredAt(BEGIN + LIMIT_MS + 1, 5, RETENTION_SECONDS);
    await becomes('parked');
  }

  it('parks before SQS forgets, ends the stint, and says since when and what to do', async () => {
    await start();
    stints.measure = () => measuredAt(BEGIN + LIMIT_MS, 5, RETENTION_SECONDS);
    await looksAgain();
    assert.deepEqual([(await status()).activity, stints.seen.length], ['running', 1]);
    stints.measure = () => measuredAt(BEGIN + LIMIT_MS + 1, 5, RETENTION_SECONDS);
    await becomes('parked');
    await eventually('the end of the stint', async () => (await status()).counts.stints === 1);
    const { problem = '', cursor } = await status();
    assert.deepEqual(cursor, cursorAt(7));
    assert.match(
      problem,
      /lane-ingest-\S+: the lane has not received what was sent since 2023-11-14T22:13:20/,
    );
    assert.match(problem, /SQS forgets that from 2023-11-14T22:13:28/);
    assert.match(problem, /sluice resume ingest.* The source keeps what it publishes/);
    assert.ok((await stepsOfIngest()).includes(`tells the lane to ${OWN_SIGNALS.askReached}`));
  });

  it('parks when the lane is gone, too', async () => {
    await start();
    await lane.terminate();
    stints.measure = () => measuredAt(BEGIN + LIMIT_MS + 1, 5, RETENTION_SECONDS);
    await becomes('parked');
  });

  it('never parks while nothing waits', async () => {
    await start();
    stints.measure = () => measuredAt(BEGIN + 100 * LIMIT_MS, 0, RETENTION_SECONDS);
    await looksAgain();
    assert.deepEqual([(await status()).activity, stints.seen.length], ['running', 1]);
  });

  it('goes on for a while when a person says so', async () => {
    await park();
    await handle.signal('resume');
    await eventually('another stint', () => stints.seen.length === 2);
    assert.equal((await status()).activity, 'running');
    assert.deepEqual(stints.last?.input.cursor, cursorAt(7));
  });

  it('looks again when it is started, rather than going on, and stops when it is told to', async () => {
    await park();
    const before = stints.looks;
    await handle.signal('start');
    await eventually('a look', () => stints.looks > before);
    await becomes('parked');
    assert.equal(stints.seen.length, 1);
    await handle.signal('stop');
    await becomes('stopped');
  });

  it('goes on when the lane says that it is further', async () => {
    await park();
    await handle.signal(OWN_SIGNALS.reached, BEGIN + LIMIT_MS);
    await eventually('another stint', () => stints.seen.length === 2);
    assert.deepEqual([(await status()).activity, (await status()).problem], ['running', undefined]);
  });

  it('goes on by itself once its lane receives again', async () => {
    const definition = definitionOf();
    lane = await startLane(definition);
    await lane.signal('pause');
    fakeLane.send(keysOf(3));
    stints = new FakeStints(untilCancelled(cursorAt(7), 70));
    let aheadMs = 0;
    // A lane that receives is less than half a minute behind.
    stints.measure = () => measuredAt(Date.now() + aheadMs, fakeLane.size + 1, 60);
    const taskQueue = 'ingest-with-lane';
    await temporal.runWorker('ingest', { taskQueue, activities: stints.activities });
    handle = await temporal.client.workflow.start<typeof ingest>(WORKFLOWS.ingest, {
      workflowId: ingestWorkflowId(definition.name),
      taskQueue,
      args: [{ definition, lane: lane.workflowId }],
    });
    endAfterTest(handle);
    await eventually('a stint', () => stints.seen.length === 1);
    aheadMs = 60_000;
    await becomes('parked');
    await lane.signal('resume');
    aheadMs = 0;
    await eventually('another stint', () => stints.seen.length === 2);
    assert.ok((await stepsOfIngest()).includes(`told to ${OWN_SIGNALS.reached}`));
    await eventually('three rows', () => fakeLane.rowKeys.length === 3);
  });

  it('does not stop a lane that nobody listens to', async () => {
    lane = await startLane(definitionOf({ name: 'alone' }));
    await lane.signal(OWN_SIGNALS.askReached);
    fakeLane.send(keysOf(3));
    await eventually('three rows', () => fakeLane.rowKeys.length === 3);
    assert.equal((await batchStatus(lane)).activity, 'running');
    const [history] = await historiesOf(temporal.client, lane.workflowId);
    const failed = history?.events?.some((event) => event.workflowTaskFailedEventAttributes);
    assert.equal(failed, false);
  });
});
