import assert from 'node:assert/strict';
import { type WorkflowHandle, WorkflowUpdateFailedError } from '@temporalio/client';
import type { PipelineDefinition } from '../../src/pipeline/definition';
import { SIGNALS, UPDATES } from '../../src/pipeline/names';
import { eventually } from '../support/eventually';
import { definitionOf } from '../support/definition';
import { type FakeLane, hopeless, keysOf } from '../support/fake-lane';
import { cursorAt, done, FakeStints, untilCancelled } from '../support/fake-stints';
import { Gate } from '../support/gate';
import {
  batchStatus,
  ingestStatus,
  isAtRest,
  lanePerTest,
  startIngest,
  terminate,
} from '../support/pipelines';
import { testTemporal } from '../support/temporal';

/** Longer than any test. */
const NEVER = 200;

async function update(handle: WorkflowHandle, definition: PipelineDefinition): Promise<number> {
  return await handle.executeUpdate<number, [PipelineDefinition]>(UPDATES.update, { args: [definition] });
}

async function isRefused(outcome: Promise<unknown>, why: RegExp): Promise<void> {
  await assert.rejects(outcome, (error: unknown) => {
    assert(error instanceof WorkflowUpdateFailedError);
    assert.match(error.cause?.message ?? '', why);
    return true;
  });
}

describe('An update of the workflow batch', () => {
  const temporal = testTemporal();
  let lane: FakeLane;
  let handle: WorkflowHandle;
  const { startLane } = lanePerTest(temporal, (fresh) => (lane = fresh));

  const { lake } = definitionOf();
  const before = definitionOf({ batch: { rows: 10, flushAfterSeconds: NEVER } });
  const after = definitionOf({
    batch: { rows: 5, flushAfterSeconds: NEVER },
    lake: { ...lake, prefix: 'new', columns: [{ name: 'id', path: 'key' }] },
  });

  async function start(definition: PipelineDefinition): Promise<void> {
    handle = await startLane(definition);
  }

  const waiting = (rows: number) =>
    eventually(`${rows} rows waiting`, async () => (await batchStatus(handle)).rowsWaiting === rows);

  const objects = () =>
    [...lane.objects].map(([key, { columns, rows }]) => [key.split('/')[0], columns.join(), rows.length]);

  it('writes the rows that wait with the settings under which they came, and others with its own', async () => {
    lane.send(keysOf(7));
    await start(before);
    await waiting(7);
    assert.equal(await update(handle, after), 2);
    lane.send(keysOf(5, 8));
    await eventually('an empty queue', () => lane.size === 0);
    assert.deepEqual(objects(), [
      ['raw', 'key,text', 7],
      ['new', 'id', 5],
    ]);
    assert.deepEqual(lane.rowKeys, keysOf(12));
    const { version, definition } = await batchStatus(handle);
    assert.equal(version, 2);
    assert.deepEqual(definition, after);
  });

  it('waits for a receive under way, whose rows are of the old settings', async () => {
    const gate = new Gate();
    lane.afterReceive = () => gate.pass();
    lane.send(keysOf(3));
    await start(before);
    await eventually('a receive under way', () => gate.waiting === 1);
    const updating = update(handle, after);
    gate.open();
    await updating;
    await eventually('an object', () => lane.objects.size === 1);
    assert.deepEqual(objects(), [['raw', 'key,text', 3]]);
    lane.send(keysOf(5, 4));
    await eventually('another object', () => lane.objects.size === 2);
    assert.deepEqual(
      lane.receives.at(-1)?.paths,
      after.lake.columns.map(({ path }) => path),
    );
  });

  it('changes nothing when it says what holds already', async () => {
    await start(before);
    assert.equal(await update(handle, before), 1);
    assert.equal(await update(handle, after), 2);
    assert.equal(await update(handle, after), 2);
  });

  it('lets a parked lane try again, with what is frozen going where it was to go', async () => {
    lane.beforeUpload = () => {
      if (lane.uploads.length === 1) throw hopeless('AccessDenied');
    };
    lane.send(keysOf(10));
    await start(before);
    await eventually('parked', async () => (await batchStatus(handle)).activity === 'parked');
    await update(handle, after);
    await eventually('an empty queue', () => lane.size === 0);
    assert.deepEqual(objects(), [['raw', 'key,text', 10]]);
    assert.deepEqual(lane.uploads[0], lane.uploads[1]);
  });

  it('claims another prefix or bucket before its settings hold, and no lake that it has already', async () => {
    await start(before);
    await eventually('a claim', () => lane.claims.length === 1);
    await update(handle, after);
    await update(handle, { ...after, batch: { rows: 7, flushAfterSeconds: NEVER } });
    await update(handle, { ...after, lake: { ...after.lake, bucket: 'other' } });
    assert.deepEqual(
      lane.claims.map(({ lake: { bucket, prefix } }) => `${bucket}/${prefix}`),
      ['lake/raw', 'lake/new', 'other/new'],
    );
  });

  it("is refused, and changes nothing, for another lane's lake", async () => {
    lane.beforeClaim = () => {
      if (lane.claims.at(-1)?.lake.prefix === 'new')
        throw hopeless('s3://lake/new belongs to the pipeline other');
    };
    await start(before);
    await isRefused(update(handle, after), /^Refused: s3:\/\/lake\/new belongs to the pipeline other$/);
    lane.send(keysOf(10));
    await eventually('an object', () => lane.objects.size === 1);
    assert.deepEqual(objects(), [['raw', 'key,text', 10]]);
    const { version, definition } = await batchStatus(handle);
    assert.deepEqual([version, definition], [1, before]);
  });

  it('lets a lane that is parked by its lake go on in another', async () => {
    lane.beforeClaim = () => {
      if (lane.claims.at(-1)?.lake.prefix === 'raw') throw hopeless('s3://lake/raw belongs to another');
    };
    lane.send(keysOf(5));
    await start(before);
    await eventually('parked', async () => (await batchStatus(handle)).activity === 'parked');
    await update(handle, after);
    await eventually('an empty queue', () => lane.size === 0);
    assert.deepEqual(objects(), [['new', 'id', 5]]);
  });

  it('is refused, and changes nothing, for another queue, another pipeline, or no definition at all', async () => {
    await start(before);
    const { queue } = before;
    await isRefused(
      update(handle, { ...before, queue: { ...queue, name: 'other' } }),
      /^Refused: its lane reads the queue queue/,
    );
    await isRefused(update(handle, { ...before, name: 'other' }), /^Refused: this is the pipeline test/);
    await isRefused(
      update(handle, { ...before, batch: { rows: 0, flushAfterSeconds: 1 } }),
      /^Refused: SLUICE_BATCH_ROWS must be/,
    );
    await isRefused(handle.executeUpdate(UPDATES.update), /^Refused: the argument is no pipeline definition/);
    const { version, definition } = await batchStatus(handle);
    assert.equal(version, 1);
    assert.deepEqual(definition, before);
  });
});

describe('A flush', () => {
  const temporal = testTemporal();
  let lane: FakeLane;
  const { startLane } = lanePerTest(temporal, (fresh) => (lane = fresh));

  it('also writes what a receive under way has in hand', async () => {
    const gate = new Gate();
    lane.afterReceive = () => gate.pass();
    lane.send(keysOf(5));
    const handle = await startLane(definitionOf({ batch: { rows: 100, flushAfterSeconds: NEVER } }));
    await eventually('a receive under way', () => gate.waiting === 1);
    await handle.signal(SIGNALS.flush);
    gate.open();
    await eventually('an object', () => lane.objects.size === 1);
    lane.send(keysOf(5, 6));
    await eventually('rows waiting', async () => (await batchStatus(handle)).rowsWaiting === 5);
    assert.equal(lane.objects.size, 1, 'what came later waits');
  });
});

describe('An update of the workflow ingest', () => {
  const temporal = testTemporal();
  let stints: FakeStints;
  let handle: WorkflowHandle;
  const started: WorkflowHandle[] = [];

  afterEach(async () => {
    await Promise.all(started.splice(0).map(terminate));
    await temporal.stopWorkers();
  });

  async function start(...script: ConstructorParameters<typeof FakeStints>): Promise<void> {
    stints = new FakeStints(...script);
    const { lane, ...ingest } = await startIngest(temporal, stints, definitionOf());
    ({ handle } = ingest);
    started.push(handle, lane);
  }

  const begun = (count: number) => eventually(`stint ${count}`, () => stints.seen.length === count);

  it('ends the stint, and the next one has the new settings and the cursor that the old one returned', async () => {
    await start(untilCancelled(cursorAt(7), 3));
    await begun(1);
    const wanted = definitionOf({ windowKeys: 900, lake: { ...definitionOf().lake, bucket: 'other' } });
    assert.equal(await update(handle, wanted), 2);
    await begun(2);
    const { input } = stints.last ?? assert.fail();
    assert.deepEqual(
      [input.cursor, input.mostUnacknowledged, input.lake.bucket],
      [cursorAt(7), 300, 'other'],
    );
    assert.equal(await update(handle, wanted), 2);
    const { version, counts, definition } = await ingestStatus(handle);
    assert.deepEqual([version, counts.sent, definition], [2, 3, wanted]);
    assert.equal(stints.seen.length, 2, 'the same settings again end no stint');
  });

  it('leaves a stint alone where the settings are the lane’s', async () => {
    await start(untilCancelled(cursorAt(7), 3));
    await begun(1);
    const { lake } = definitionOf();
    const wanted = definitionOf({
      batch: { rows: 7, flushAfterSeconds: 9 },
      lake: { ...lake, escapeFormulas: true },
    });
    assert.equal(await update(handle, wanted), 2);
    assert.deepEqual((await ingestStatus(handle)).definition, wanted);
    await handle.signal('pause');
    await eventually('the stint ended', async () => (await ingestStatus(handle)).counts.stints === 1);
    assert.equal(stints.seen.length, 1);
  });

  it('to a smaller window is answered when the stint of the larger one has ended, also when it is asked again', async () => {
    const gate = new Gate();
    await start(async (input) => {
      const result = await untilCancelled(cursorAt(7))(input);
      await gate.pass();
      return result;
    });
    await begun(1);
    let answers = 0;
    const wanted = definitionOf({ windowKeys: 900 });
    const asked = [1, 2].map(async () => {
      assert.equal(await update(handle, wanted), 2);
      answers += 1;
    });
    await eventually('the stint is to end', () => gate.waiting === 1);
    await eventually('the settings hold', async () => (await ingestStatus(handle)).version === 2);
    assert.equal(answers, 0);
    gate.open();
    await Promise.all(asked);
    assert.equal((await ingestStatus(handle)).counts.stints, 1);
  });

  it('may move the beginning and the source until something was read, and not after', async () => {
    const { source } = definitionOf();
    await start();
    await begun(1);
    const earlier = definitionOf({
      source: { ...source, url: 'http://127.0.0.1:9/other', since: 1_700_000_000_000 },
    });
    assert.equal(await update(handle, earlier), 2);
    await begun(2);
    assert.equal(stints.last?.input.cursor.since, 1_700_000_000_000);
    assert.equal(stints.last.input.source.url, 'http://127.0.0.1:9/other');
  });

  it('keeps its source and its beginning once something was read', async () => {
    const { source } = definitionOf();
    await start(done(cursorAt(1)));
    await begun(2);
    const elsewhere = definitionOf({ source: { ...source, url: 'http://127.0.0.1:9/other' } });
    await isRefused(update(handle, elsewhere), /its cursor means nothing in another stream/);
    const later = definitionOf({ source: { ...source, since: 1_700_000_000_000 } });
    await isRefused(update(handle, later), /it has begun to read/);
    assert.equal((await ingestStatus(handle)).version, 1);
  });

  it('to remove it is refused while it runs, and ends it for good once it has stopped', async () => {
    await start();
    await begun(1);
    await isRefused(handle.executeUpdate(UPDATES.remove), /^Refused: it is running; stop it first/);
    await handle.signal(SIGNALS.stop);
    await eventually('stopped', async () => (await ingestStatus(handle)).activity === 'stopped');
    await eventually('at rest', async () => await isAtRest(handle));
    await handle.executeUpdate(UPDATES.remove);
    await eventually('completed', async () => (await handle.describe()).status.name === 'COMPLETED');
  });
});

describe('A removal of a lane', () => {
  const temporal = testTemporal();
  let lane: FakeLane;
  const { startLane } = lanePerTest(temporal, (fresh) => (lane = fresh));

  it('is refused while it runs, and ends it for good once it has stopped', async () => {
    lane.send(keysOf(3));
    const handle = await startLane(definitionOf());
    await eventually('rows', () => lane.objects.size === 1);
    await isRefused(handle.executeUpdate(UPDATES.remove), /^Refused: it is running; stop it first/);
    await handle.signal(SIGNALS.stop);
    await eventually('stopped', async () => (await batchStatus(handle)).activity === 'stopped');
    await eventually('at rest', async () => await isAtRest(handle));
    await handle.executeUpdate(UPDATES.remove);
    await eventually('completed', async () => (await handle.describe()).status.name === 'COMPLETED');
  });
});
