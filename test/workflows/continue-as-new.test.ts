import assert from 'node:assert/strict';
import type { WorkflowHandle } from '@temporalio/client';
import type { PipelineDefinition } from '../../src/pipeline/definition';
import { eventually } from '../support/eventually';
import { definitionOf } from '../support/definition';
import { type FakeLane, hopeless, keysOf } from '../support/fake-lane';
import { cursorAt, done, FakeStints, measuredAt } from '../support/fake-stints';
import { Gate } from '../support/gate';
import { historiesOf } from '../support/history';
import { batchStatus, ingestStatus, lanePerTest, startIngest } from '../support/pipelines';
import { testTemporal } from '../support/temporal';

describe('Continue-as-new', () => {
  const temporal = testTemporal({ dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': 100 } });
  let lane: FakeLane;
  const { startLane, endAfterTest } = lanePerTest(temporal, (fresh) => (lane = fresh));

  const start = (overrides?: Partial<PipelineDefinition>) => startLane(definitionOf(overrides));

  const runs = async ({ workflowId }: WorkflowHandle) =>
    (await historiesOf(temporal.client, workflowId)).length;

  /** Fills the history with signals that change nothing, until another run has begun. */
  async function untilAnotherRun(handle: WorkflowHandle, signalName = 'flush'): Promise<void> {
    const before = await runs(handle);
    await eventually('another run', async () => {
      for (let signal = 0; signal < 10; signal += 1) await handle.signal(signalName);
      return (await runs(handle)) > before;
    });
  }

  /** Until it is long enough for another run, which waits for what is under way. */
  async function fillHistory(handle: WorkflowHandle): Promise<void> {
    await eventually('a long history', async () => {
      for (let signal = 0; signal < 10; signal += 1) await handle.signal('flush');
      return (await handle.describe()).historyLength > 120;
    });
  }

  it('loses, repeats and renumbers nothing, and keeps the window', async () => {
    const handle = await start({ batch: { rows: 10, flushAfterSeconds: 3_600 } });
    lane.send(keysOf(300));
    await eventually('300 rows', () => lane.rowKeys.length >= 300);
    lane.send(keysOf(300));
    await eventually('300 repeats', async () => (await batchStatus(handle)).counts.repeats === 300);
    await eventually('an empty queue', () => lane.size === 0);
    assert((await runs(handle)) > 2, 'several runs; how many, the sizes of the receives decide');
    assert.deepEqual(lane.rowKeys, keysOf(300));
    assert.deepEqual(lane.deletedTooEarly, []);
    assert.deepEqual(
      lane.batches.map(({ sequence }) => sequence),
      Array.from({ length: 30 }, (_, index) => index + 1),
    );
    const { counts, windowKeys } = await batchStatus(handle);
    assert.deepEqual([counts.rows, counts.batches, counts.received, windowKeys], [300, 30, 600, 300]);
    assert(lane.claims.length > 1, 'each run looks again');
    assert.equal(new Set(lane.claims.map(({ owner }) => owner.run)).size, 1, 'by the name of the first run');
  });

  it('carries the rows that wait, and they are written when they are due', async () => {
    const handle = await start({ batch: { rows: 1_000, flushAfterSeconds: 4 } });
    lane.send(keysOf(15));
    await eventually('waiting rows', async () => (await batchStatus(handle)).rowsWaiting === 15);
    // Repeats, since a flush would write them.
    await eventually('another run', async () => {
      lane.send(keysOf(10));
      return (await runs(handle)) > 1;
    });
    await eventually('an object', () => lane.objects.size === 1);
    assert.deepEqual(lane.rowKeys, keysOf(15));
    await eventually('an empty queue', () => lane.size === 0);
  });

  it('carries a parked batch, which is tried again with the same rows under the same key', async () => {
    let isMended = false;
    lane.beforeUpload = () => {
      if (!isMended) throw hopeless('AccessDenied');
    };
    lane.send(keysOf(10));
    const handle = await start({ batch: { rows: 10, flushAfterSeconds: 3_600 } });
    await eventually('parked', async () => (await batchStatus(handle)).activity === 'parked');
    await untilAnotherRun(handle);
    await eventually('parked', async () => (await batchStatus(handle)).activity === 'parked');
    const { problem, rowsWaiting } = await batchStatus(handle);
    assert.deepEqual([problem, rowsWaiting], ['AccessDenied', 10]);
    isMended = true;
    await handle.signal('resume');
    await eventually('an empty queue', () => lane.size === 0);
    const [first, ...others] = lane.uploads;
    assert(others.length > 0);
    for (const other of others) assert.deepEqual(other, first);
    assert.deepEqual(lane.rowKeys, keysOf(10));
  });

  it('leaves a paused lane paused and a stopped one stopped', async () => {
    const handle = await start({ batch: { rows: 10, flushAfterSeconds: 3_600 } });
    await handle.signal('pause');
    await untilAnotherRun(handle);
    assert.equal((await batchStatus(handle)).activity, 'paused');
    await handle.signal('stop');
    await eventually('stopped', async () => (await batchStatus(handle)).activity === 'stopped');
    await untilAnotherRun(handle);
    assert.equal((await batchStatus(handle)).activity, 'stopped');
    lane.send(keysOf(10));
    await handle.signal('start');
    await eventually('an object', () => lane.objects.size === 1);
  });

  it('keeps the settings of an update and their version', async () => {
    const handle = await start();
    const wanted = definitionOf({ batch: { rows: 7, flushAfterSeconds: 200 } });
    await handle.executeUpdate<number, [PipelineDefinition]>('update', { args: [wanted] });
    await untilAnotherRun(handle);
    const { version, definition } = await batchStatus(handle);
    assert.equal(version, 2);
    assert.deepEqual(definition, wanted);
    lane.send(keysOf(7));
    await eventually('an object', () => lane.objects.size === 1);
  });

  it('lets two updates at once hold before it', async () => {
    const gate = new Gate();
    const handle = await start();
    lane.beforeReceive = () => gate.pass();
    await eventually('a receive that will not end', () => gate.waiting === 1);
    await fillHistory(handle);
    const wanted = [7, 8].map((rows) => definitionOf({ batch: { rows, flushAfterSeconds: 200 } }));
    const updates: Promise<number>[] = [];
    for (const args of wanted) {
      const update = await handle.startUpdate<number, [PipelineDefinition]>('update', {
        args: [args],
        waitForStage: 'ACCEPTED',
      });
      updates.push(update.result());
    }
    gate.open();
    assert.deepEqual(await Promise.all(updates), [2, 3]);
    await eventually('another run', async () => (await runs(handle)) > 1);
    lane.send(keysOf(8));
    await eventually('an object', () => lane.objects.size === 1);
  });

  it('still writes what a flush asked for while the lane was parked', async () => {
    let isOthers = false;
    lane.beforeClaim = () => {
      if (isOthers) throw hopeless('belongs to another lane');
    };
    const handle = await start({ batch: { rows: 100, flushAfterSeconds: 3_600 } });
    lane.send(keysOf(10));
    await eventually('waiting rows', async () => (await batchStatus(handle)).rowsWaiting === 10);
    isOthers = true;
    await handle.signal('resume');
    await eventually('parked', async () => (await batchStatus(handle)).activity === 'parked');
    await handle.signal('flush');
    await untilAnotherRun(handle, 'pause');
    isOthers = false;
    await handle.signal('resume');
    await eventually('an object', () => lane.objects.size === 1);
    assert.deepEqual(lane.rowKeys, keysOf(10));
  });

  it('keeps the cursor and the counts of ingest', async () => {
    const stints = new FakeStints(...Array.from({ length: 60 }, (_, index) => done(cursorAt(index + 1), 10)));
    const { handle, lane: told } = await startIngest(temporal, stints, definitionOf());
    endAfterTest(handle, told);
    await eventually('61 stints', () => stints.seen.length === 61);
    assert((await runs(handle)) >= 3);
    assert.deepEqual(
      stints.seen.slice(1).map(({ input }) => input.cursor),
      Array.from({ length: 60 }, (_, index) => cursorAt(index + 1)),
    );
    const { counts, cursor } = await ingestStatus(handle);
    assert.deepEqual([counts.sent, counts.stints], [600, 60]);
    assert.deepEqual(cursor, cursorAt(60));
  });

  it('keeps how far ingest knows its lane to be', async () => {
    const stints = new FakeStints(...Array.from({ length: 30 }, (_, index) => done(cursorAt(index + 1))));
    const begin = Date.now();
    stints.measure = () => measuredAt(begin + (stints.looks > 1 ? 11 * 24 * 60 * 60_000 : 0), 1);
    const { handle, lane: told } = await startIngest(temporal, stints, definitionOf());
    endAfterTest(handle, told);
    await eventually('parked', async () => (await ingestStatus(handle)).activity === 'parked');
    assert.equal(await runs(handle), 2);
    assert.equal((await ingestStatus(handle)).queue?.reached, begin);
  });

  it('ends a stint that nothing else ends, where looks at the queue have made the history long', async () => {
    const stints = new FakeStints();
    stints.measure = () => measuredAt(Date.now(), 0, 8);
    const { handle, lane: told } = await startIngest(temporal, stints, definitionOf());
    endAfterTest(handle, told);
    await eventually('another run', async () => (await runs(handle)) === 2);
    await eventually('another stint', () => stints.seen.length === 2);
    assert.equal((await ingestStatus(handle)).activity, 'running');
  });

  it('leaves a stopped pipeline stopped, and it starts from the kept cursor', async () => {
    const stints = new FakeStints(...Array.from({ length: 14 }, (_, index) => done(cursorAt(index + 1))));
    const { handle, lane: told } = await startIngest(temporal, stints, definitionOf());
    endAfterTest(handle, told);
    // Fourteen stints bring the first run close to its end.
    await eventually('14 stints', () => stints.seen.length === 15);
    for (let round = 1; round <= 3; round += 1) {
      await handle.signal('stop');
      await eventually('stopped', async () => (await ingestStatus(handle)).activity === 'stopped');
      await handle.signal('start');
      await eventually('another stint', () => stints.seen.length === 15 + round);
    }
    assert((await runs(handle)) >= 2);
    assert.deepEqual(stints.last?.input.cursor, cursorAt(14));
    const [history] = await historiesOf(temporal.client, told.workflowId);
    const signals = (history?.events ?? []).flatMap(
      ({ workflowExecutionSignaledEventAttributes: signal }) => signal?.signalName ?? [],
    );
    assert.deepEqual(signals, Array.from({ length: 3 }, () => ['stop', 'start']).flat());
  });
});
