import assert from 'node:assert/strict';
import type { WorkflowHandle } from '@temporalio/client';
import type { PipelineDefinition } from '../../src/pipeline/definition';
import { keyDigest } from '../../src/event/key';
import { eventually } from '../support/eventually';
import { definitionOf } from '../support/definition';
import { type FakeLane, hopeless, keysOf } from '../support/fake-lane';
import { Gate } from '../support/gate';
import type { CarriedLane } from '../../src/lane/carried';
import { NO_COUNTS } from '../../src/lane/status';
import { Window, type WindowState } from '../../src/lane/window';
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

  it('takes several batches with one receive while there is a backlog, and deletes as many with one activity', async () => {
    lane.send(keysOf(900));
    await start();
    await allSettled(keysOf(900));
    assert(lane.batches.every(({ keys }) => keys.length === 100));
    const asked = lane.receives.map(({ rows, backlogRows = rows }) => ({ rows, backlogRows }));
    assert.deepEqual(asked[0], { rows: 100, backlogRows: 100 }, 'nothing is known of a backlog yet');
    assert.equal(Math.max(...asked.map(({ backlogRows }) => backlogRows)), 300);
    const most = Math.max(...lane.deletions);
    assert(most >= 100 && most <= 300, `${most} at once`);
  });

  it('deletes the messages of a batch of 300 rows with one activity', async () => {
    lane.send(keysOf(300));
    await start({ batch: { rows: 300, flushAfterSeconds: 60 } });
    await allSettled(keysOf(300));
    assert.deepEqual(lane.deletions, [300]);
  });

  it('names objects by hour, sequence and digest of the first key', async () => {
    lane.send(keysOf(10));
    await start();
    await allSettled(keysOf(10));
    const [key = ''] = lane.objects.keys();
    assert.match(
      key,
      /^raw\/date=\d{4}-\d\d-\d\d\/hour=\d\d\/batch-[0-9a-f]{8}-0000000001-[0-9a-f]{16}\.csv$/,
    );
    assert(key.endsWith(`${keyDigest('key-0001')}.csv`));
  });

  it('claims the queue and the lake for its namespace and first run', async () => {
    await start();
    await eventually('a claim', () => lane.claims.length === 1);
    const { runId, workflowId } = await handle.describe();
    assert.deepEqual(lane.claims, [
      {
        queue: 'queue',
        lake: { bucket: 'lake', prefix: 'raw' },
        owner: { pipeline: 'test', lane: workflowId, run: `default/${runId}` },
      },
    ]);
  });

  it('deletes no message before its object is confirmed', async () => {
    const gate = new Gate();
    lane.afterUpload = () => gate.pass();
    lane.send(keysOf(100));
    await start();
    await eventually('an upload under way', () => gate.waiting === 1);
    lane.send(keysOf(10)); // Repeats are deleted at once, the first copies are not.
    await eventually('the repeats deleted', () => lane.size === 100);
    gate.open();
    await allSettled(keysOf(100));
  });

  it('writes no row for a repeat, whether the first one waits, is being uploaded, or is in the lake', async () => {
    const gate = new Gate();
    lane.beforeUpload = () => gate.pass();
    await start({ batch: { rows: 20, flushAfterSeconds: 3_600 } });
    lane.send(keysOf(10));
    await eventually('ten rows', async () => (await status()).rowsWaiting === 10);
    lane.send(keysOf(10));
    await eventually('ten repeats', async () => (await status()).counts.repeats === 10);
    lane.send(keysOf(10, 11));
    await eventually('an upload under way', () => gate.waiting === 1);
    lane.send(keysOf(20));
    await eventually('thirty repeats', async () => (await status()).counts.repeats === 30);
    gate.open();
    await allSettled(keysOf(20));
    lane.send(keysOf(20));
    await eventually('fifty repeats', async () => (await status()).counts.repeats === 50);
    await allSettled(keysOf(20));
    assert.equal((await status()).windowKeys, 20);
  });

  it('recognises a redelivery and deletes with the newest receipt', async () => {
    const gate = new Gate();
    lane.beforeUpload = () => gate.pass();
    lane.send(keysOf(10));
    await start({ batch: { rows: 10, flushAfterSeconds: 3_600 } });
    await eventually('an upload under way', () => gate.waiting === 1);
    lane.redeliver();
    await eventually('redeliveries', async () => (await status()).counts.redelivered === 10);
    gate.open();
    await allSettled(keysOf(10));
  });

  it('deletes again when SQS answered success to a deletion and deleted nothing', async () => {
    lane.staleDeletions = 10;
    lane.send(keysOf(10));
    await start({ batch: { rows: 10, flushAfterSeconds: 3_600 } });
    await eventually('stale deletions', () => lane.staleDeletions === 0);
    assert.equal(lane.size, 10);
    await eventually('settled, as far as the lane knows', async () => (await status()).unsettled === 0);
    lane.redeliver();
    await allSettled(keysOf(10));
  });

  it('writes the partial batch now when told to flush, also while a poll is open', async () => {
    const gate = new Gate();
    await start({ batch: { rows: 100, flushAfterSeconds: 3_600 } });
    lane.send(keysOf(12));
    await eventually('twelve rows', async () => (await status()).rowsWaiting === 12);
    lane.beforeReceive = () => gate.pass();
    await eventually('an open poll', () => gate.waiting === 1);
    const polls = lane.receives.length;
    await handle.signal('flush');
    await eventually('an object', () => lane.objects.size === 1);
    assert.equal(lane.receives.length, polls, 'written while that poll was open');
    await allSettled(keysOf(12));
    lane.send(keysOf(1, 13));
    gate.open();
    await allSettled(keysOf(13));
    lane.send(keysOf(1, 14));
    await eventually('one more row', async () => (await status()).rowsWaiting === 1);
    assert.equal(lane.objects.size, 2, 'a flush is for what waits and for the poll that was open');
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

  it('receives a trickle while deletions fail, and all there is once they work', async () => {
    lane.deletionsFail = true;
    lane.send(keysOf(3_000));
    await start({ batch: { rows: 100, flushAfterSeconds: 1 } });
    await eventually('a trickle', () => lane.receives.at(-1)?.rows === 10);
    const { counts, unsettled } = await status();
    assert(counts.received < 3_000, 'uploads did not outrun the deletions');
    assert(unsettled > 0);
    lane.deletionsFail = false;
    lane.redeliver();
    await allSettled(keysOf(3_000));
  });

  it('receives a little where only messages that may come back take all room', async () => {
    const window = new Window({ keys: 30_000, visibilityTimeoutMs: 8_000 });
    const receive = { from: Date.now(), until: Date.now() };
    const stuck = keysOf(9_000).map((key) => keyDigest(key));
    for (const key of stuck) {
      window.admit({ id: `message-${key}`, receipt: 'receipt', keys: [key] }, receive);
      window.uploaded(key);
    }
    for (const deletion of window.takeDue(Infinity)) window.deletionAnswered(deletion, false, receive.until);
    lane.send(keysOf(10, 9_001));
    handle = await startLane(definitionOf({ batch: { rows: 10, flushAfterSeconds: 1 } }), {
      carried: { state: stateWith(window.state()), settledKeys: window.packKeys() },
    });
    await allSettled(keysOf(10, 9_001));
    const [{ rows, bytes } = {}] = lane.receives;
    assert.deepEqual([rows, bytes], [10, 64 * 1024]);
  });

  it('keeps a message whose row waits, when a copy of it is rejected', async () => {
    await start({ batch: { rows: 10, flushAfterSeconds: 3_600 } });
    lane.send(keysOf(1));
    await eventually('one row', async () => (await status()).rowsWaiting === 1);
    lane.rejects = () => true;
    lane.send(keysOf(1));
    await eventually('the copy deleted', () => lane.size <= 1);
    await handle.signal('flush');
    await allSettled(keysOf(1));
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

  it('parks when the queue has another owner, receives nothing, and looks again on resume', async () => {
    lane.beforeClaim = (count) => {
      if (count === 1) throw hopeless('The queue queue belongs to another lane, default/other');
    };
    lane.send(keysOf(10));
    await start();
    await isParked(/belongs to another lane/);
    assert.equal(lane.receives.length, 0);
    await handle.signal('resume');
    await allSettled(keysOf(10));
    assert.equal(lane.claims.length, 2);
  });

  it('parks when the queue can not be read, and resume reads it again', async () => {
    lane.beforeReceive = (count) => {
      if (count === 1) throw hopeless('Could not find the queue queue: QueueDoesNotExist');
    };
    lane.send(keysOf(10));
    await start();
    await isParked(/QueueDoesNotExist/);
    await handle.signal('resume');
    await allSettled(keysOf(10));
  });

  it('receives again when receives fail, and gets what a lost one had hidden', async () => {
    lane.beforeReceive = (count) => {
      if (count === 1) throw new Error('500 InternalError');
    };
    lane.afterReceive = (count) => {
      if (count === 2) throw new Error('the answer was lost');
    };
    lane.send(keysOf(30));
    await start({ batch: { rows: 10, flushAfterSeconds: 1 } });
    await eventually('a lost receive', async () => (await status()).counts.lostReceives === 2);
    lane.redeliver();
    await allSettled(keysOf(30));
    assert.equal((await status()).counts.redelivered, 0);
    assert.equal((await status()).activity, 'running');
  });

  it('keeps batches of large rows within 512 KiB and receives no more than fits', async () => {
    const text = 'x'.repeat(20_000);
    lane.send(keysOf(100), text);
    await start();
    await allSettled(keysOf(100));
    for (const { rows } of lane.uploads) {
      const bytes = rows.reduce((sum, row) => sum + Buffer.byteLength(JSON.stringify(row)), 0);
      assert(bytes <= 512 * 1024, `${bytes} bytes in one batch`);
    }
    assert(Math.max(...lane.batches.map(({ keys }) => keys.length)) >= 20, 'batches are filled');
    for (const { bytes } of lane.receives) assert(bytes <= 512 * 1024);
  });

  it('pauses without receiving, and goes on when resumed', async () => {
    const gate = new Gate();
    lane.beforeReceive = () => gate.pass();
    await start({ batch: { rows: 10, flushAfterSeconds: 1 } });
    await eventually('an open poll', () => gate.waiting === 1);
    await handle.signal('pause');
    await becomes('paused');
    lane.send(keysOf(10)); // For the poll that is open.
    gate.open();
    await allSettled(keysOf(10));
    await eventually('no poll', () => lane.polling === 0);
    lane.send(keysOf(10, 11));
    const polls = lane.receives.length;
    await handle.signal('flush');
    assert.equal((await status()).activity, 'paused');
    assert.deepEqual([lane.receives.length, lane.size], [polls, 10]);
    await handle.signal('resume');
    await allSettled(keysOf(20));
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

  it('is not stopped before the messages that are hidden have come back', async () => {
    lane.afterReceive = (count) => {
      if (count === 1) throw new Error('the answer was lost');
    };
    lane.send(keysOf(5));
    await start();
    await eventually('a lost receive', async () => (await status()).counts.lostReceives === 1);
    await handle.signal('stop');
    await eventually('empty polls', () => lane.receives.length > 3);
    assert.equal((await status()).activity, 'stopping');
    lane.redeliver();
    await becomes('stopped');
    await allSettled(keysOf(5));
  });

  it('wakes and drains when a paused lane is stopped', async () => {
    await start({ batch: { rows: 10, flushAfterSeconds: 3_600 } });
    await handle.signal('pause');
    await becomes('paused');
    lane.send(keysOf(5));
    await handle.signal('stop');
    await becomes('stopped');
    await allSettled(keysOf(5));
  });
});

/** A lane that has a window, and nothing else. */
function stateWith(window: WindowState): CarriedLane {
  return {
    schema: 1,
    version: 1,
    paused: false,
    stopping: false,
    stopped: false,
    flushing: false,
    mayTry: true,
    claimed: true,
    nextSequence: 1,
    now: Date.now(),
    waiting: [],
    frozen: [],
    window,
    counts: NO_COUNTS,
  };
}
