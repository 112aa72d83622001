import assert from 'node:assert/strict';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { HANDED_NOTHING } from '../../src/lane/received';
import type { PipelineDefinition } from '../../src/pipeline/definition';
import { keyDigest } from '../../src/event/key';
import { eventually } from '../support/eventually';
import { definitionOf } from '../support/definition';
import { type FakeLane, hopeless, keysOf } from '../support/fake-lane';
import { Gate } from '../support/gate';
import { batchStatus, lanePerTest } from '../support/pipelines';
import { testTemporal } from '../support/temporal';

describe('The workflow batch', () => {
  const temporal = testTemporal();
  let lane: FakeLane;
  let handle: WorkflowHandle;
  const { startLane } = lanePerTest(temporal, (fresh) => (lane = fresh));

  async function start(overrides: Partial<PipelineDefinition> = {}): Promise<void> {
    handle = await startLane(definitionOf(overrides));
  }

  const status = () => batchStatus(handle);

  /** All these keys are in the lake, each once, and their messages are gone from the queue. */
  async function allSettled(keys: readonly string[]): Promise<void> {
    await eventually(`${keys.length} rows in the lake`, () => lane.rowKeys.length >= keys.length);
    await eventually('an empty queue', () => lane.size === 0);
    assert.deepEqual(lane.rowKeys, [...keys].sort());
    assert.deepEqual(lane.deletedTooEarly, []);
    const sequences = lane.batches.map(({ sequence }) => sequence);
    assert.deepEqual(
      sequences,
      sequences.map((_, index) => index + 1),
    );
  }

  async function isParked(problem: RegExp): Promise<void> {
    await eventually('parked', async () => (await status()).activity === 'parked');
    assert.match((await status()).problem ?? '', problem);
    assert.equal((await handle.describe()).status.name, 'RUNNING');
  }

  const becomes = (activity: string) =>
    eventually(activity, async () => (await status()).activity === activity);

  it('writes 250 messages as two objects of 100 rows and, once they have waited, one of 50', async () => {
    lane.send(keysOf(250));
    await start();
    await allSettled(keysOf(250));
    assert.deepEqual(
      lane.batches.map(({ keys }) => keys.length),
      [100, 100, 50],
    );
    const { counts, nextSequence, rowsWaiting } = await status();
    assert.deepEqual([counts.rows, counts.batches, counts.received], [250, 3, 250]);
    assert.deepEqual([nextSequence, rowsWaiting], [4, 0]);
  });

  it('claims the queue and the lake for its namespace and first run, and names objects by the end of its id', async () => {
    lane.send(keysOf(10));
    await start();
    await allSettled(keysOf(10));
    const { runId, workflowId } = await handle.describe();
    assert.deepEqual(lane.claims, [
      {
        queue: 'queue',
        lake: { bucket: 'lake', prefix: 'raw' },
        owner: { pipeline: 'test', lane: workflowId, run: `default/${runId}` },
      },
    ]);
    const [key = ''] = lane.objects.keys();
    assert.match(key, /^raw\/date=\d{4}-\d\d-\d\d\/hour=\d\d\/batch-/);
    assert(key.endsWith(`/batch-${runId.slice(-8)}-0000000001-${keyDigest('key-0001')}.csv`), key);
  });

  it('receives again as soon as deletions work, whatever it waits for then', async () => {
    const gate = new Gate();
    lane.deletionsFail = true;
    lane.send(keysOf(10));
    // So long a visibility timeout makes it wait for five minutes between receives of ten messages.
    await start({
      queue: { name: 'queue', visibilityTimeoutSeconds: 43_200 },
      batch: { rows: 100, flushAfterSeconds: 1 },
    });
    await eventually('a deletion that failed', async () => (await status()).unsettled === 10);
    lane.beforeUpload = () => gate.pass();
    lane.send(keysOf(10, 11));
    await eventually('an upload under way', () => gate.waiting === 1);
    const [receives, { unsettled }] = [lane.receives.length, await status()];
    assert.deepEqual([receives, unsettled, lane.polling], [2, 10, 0]);
    lane.deletionsFail = false;
    gate.open();
    await eventually('ten messages deleted', () => lane.size === 10);
    lane.redeliver();
    await allSettled(keysOf(20));
  });

  it('makes no timers while objects can not be written, for however long rows are due', async () => {
    const gate = new Gate();
    lane.beforeUpload = () => gate.pass();
    lane.send(keysOf(45));
    await start({ batch: { rows: 10, flushAfterSeconds: 1 } });
    await eventually('four uploads under way', () => gate.waiting === 4);
    await eventually('five rows waiting', async () => (await status()).rowsWaiting === 45);
    // An empty poll takes two seconds.
    const polls = lane.receives.length;
    await eventually('two more polls', () => lane.receives.length >= polls + 2);
    const { events } = await handle.fetchHistory();
    const timers = events?.filter((event) => event.timerStartedEventAttributes) ?? [];
    // A server fires one a second at most.
    assert(timers.length <= 2, `${timers.length} timers`);
    gate.open();
    await allSettled(keysOf(45));
  });

  it('loses and repeats nothing when uploads fail for a while, before or after the object is written', async () => {
    lane.beforeUpload = (count) => {
      if (count <= 2) throw new Error('503 SlowDown');
    };
    lane.afterUpload = (count) => {
      if (count === 3) throw new Error('the answer was lost');
    };
    lane.send(keysOf(20));
    await start({ batch: { rows: 10, flushAfterSeconds: 1 } });
    await allSettled(keysOf(20));
    assert(lane.uploads.length >= 5);
  });

  it('parks when an upload can not work, and resume tries the same object with the same rows', async () => {
    let isMended = false;
    lane.beforeUpload = () => {
      if (!isMended) throw hopeless('Could not write s3://lake: NoSuchBucket');
    };
    lane.send(keysOf(30));
    await start({ batch: { rows: 10, flushAfterSeconds: 1 } });
    await isParked(/^Could not write s3:\/\/lake: NoSuchBucket$/);
    assert.equal(lane.objects.size, 0);
    assert.equal(lane.size, 30);
    isMended = true;
    await handle.signal('resume');
    await allSettled(keysOf(30));
    const before = lane.uploads.filter(({ key }) => key.includes('-0000000001-'));
    assert(before.length >= 2);
    assert.deepEqual(before.at(-1), before[0]);
    assert.equal((await status()).activity, 'running');
    assert.equal((await status()).problem, undefined);
  });

  it('receives again when receives fail, and gets what a lost one had hidden', async () => {
    lane.beforeReceive = (count) => {
      if (count === 1) throw new Error('500 InternalError');
      if (count === 2) throw ApplicationFailure.create({ message: '403', details: [HANDED_NOTHING] });
    };
    lane.afterReceive = (count) => {
      if (count === 3) throw new Error('the answer was lost');
    };
    lane.send(keysOf(30));
    await start({ batch: { rows: 10, flushAfterSeconds: 1 } });
    await eventually('lost receives', async () => (await status()).counts.lostReceives === 2);
    assert.equal((await status()).counts.refusedReceives, 1);
    lane.redeliver();
    await allSettled(keysOf(30));
    assert.equal((await status()).counts.redelivered, 0);
    assert.equal((await status()).activity, 'running');
  });

  it('drains and idles when stopped, and goes on with the next sequence number when started', async () => {
    lane.send(keysOf(25));
    await start({ batch: { rows: 10, flushAfterSeconds: 3_600 } });
    await eventually('two objects', () => lane.objects.size === 2);
    await handle.signal('stop');
    await becomes('stopped');
    await allSettled(keysOf(25));
    assert.equal((await handle.describe()).status.name, 'RUNNING');
    const polls = lane.receives.length;
    lane.send(keysOf(20, 26));
    assert.equal((await status()).activity, 'stopped');
    assert.equal(lane.receives.length, polls);
    await handle.signal('start');
    await allSettled(keysOf(45));
    assert.equal((await status()).activity, 'running');
    assert.equal((await status()).nextSequence, 6);
    lane.send(keysOf(40));
    await eventually('40 repeats', async () => (await status()).counts.repeats === 40);
    await allSettled(keysOf(45));
  });

  it('drains and idles when it is cancelled, rather than forget what it knows', async () => {
    lane.send(keysOf(15));
    await start({ batch: { rows: 10, flushAfterSeconds: 3_600 } });
    await eventually('an object', () => lane.objects.size === 1);
    await handle.cancel();
    await becomes('stopped');
    await allSettled(keysOf(15));
    assert.equal((await handle.describe()).status.name, 'RUNNING');
    lane.send(keysOf(10, 16));
    await handle.signal('start');
    await allSettled(keysOf(25));
  });
});
