import assert from 'node:assert/strict';
import { startSimulatedStream } from '../../src/local/simulated-stream';
import { KEY_ATTRIBUTE, WORKFLOWS } from '../../src/names';
import type { ingest } from '../../src/workflows/ingest';
import { eventually } from '../local/eventually';
import { definitionOf } from '../support/definition';
import { type FakeLane, keysOf } from '../support/fake-lane';
import { FakeS3 } from '../support/fake-s3';
import { FakeSqs, takeAll } from '../support/fake-sqs';
import { batchStatus, lanePerTest } from '../support/pipelines';
import { testTemporal } from '../support/temporal';

describe('When Temporal is away', () => {
  const temporal = testTemporal({ onDisk: true });
  let lane: FakeLane;
  const { startLane, endAfterTest } = lanePerTest(temporal, (fresh) => {
    lane = fresh;
    // What was received and never told.
    lane.comesBack = true;
  });

  it('a lane goes on where it was after Temporal was killed, without loss or repeats', async () => {
    const handle = await startLane(definitionOf({ batch: { rows: 10, flushAfterSeconds: 1 } }));
    lane.send(keysOf(200));
    await eventually('some objects', () => lane.objects.size >= 5);
    await temporal.crash();
    lane.send(keysOf(100, 201));
    await temporal.restart();
    await eventually('300 rows', () => lane.rowKeys.length >= 300);
    await eventually('an empty queue', () => lane.size === 0);
    assert.deepEqual(lane.rowKeys, keysOf(300));
    assert.deepEqual(lane.deletedTooEarly, []);
    const sequences = lane.batches.map(({ sequence }) => sequence);
    assert.deepEqual(
      sequences,
      sequences.map((_, index) => index + 1),
    );
    assert.equal((await batchStatus(handle)).counts.rows, 300);
  });

  it('a stint runs on, another attempt begins far back, and every event still becomes one row', async () => {
    const stream = await startSimulatedStream({ broken: 0 });
    const sqs = new FakeSqs((entries, call) => {
      lane.send(
        entries.map(({ MessageAttributes }) => MessageAttributes?.[KEY_ATTRIBUTE]?.StringValue ?? ''),
      );
      return takeAll(entries, call);
    });
    try {
      const source = { url: stream.url, contact: 'test@example.org' };
      const definition = definitionOf({ source, batch: { rows: 20, flushAfterSeconds: 1 } });
      const batch = await startLane(definition);
      const taskQueue = `ingest-${batch.workflowId}`;
      await temporal.runWorker('ingest', { taskQueue, clients: { sqs, s3: new FakeS3() } });
      const handle = await temporal.client.workflow.start<typeof ingest>(WORKFLOWS.ingest, {
        workflowId: taskQueue,
        taskQueue,
        args: [{ definition, lane: batch.workflowId }],
      });
      endAfterTest(handle);
      stream.publish(60);
      await eventually('some rows', () => lane.rowKeys.length >= 40);

      const stint = async () => (await handle.describe()).raw.pendingActivities?.[0];
      const lastHeard = async () => JSON.stringify((await stint())?.lastHeartbeatTime);
      const isAnother = async () => ((await stint())?.attempt ?? 0) > 1;
      // A heartbeat that is tried again may reach Temporal before its timer is due: then this stint lives on.
      while (!(await isAnother())) {
        const heard = await lastHeard();
        await temporal.crash();
        const atCrash = sqs.keys.length;
        // At 20 events a second, or fewer: for longer than the stint's heartbeat timeout of five seconds.
        try {
          await eventually('the stint to run on', () => {
            stream.publish(1);
            return sqs.keys.length >= atCrash + 20 * 8;
          });
        } finally {
          await temporal.restart();
        }
        await eventually(
          'Temporal has heard of the stint, or begun another attempt',
          async () => (await isAnother()) || (await lastHeard()) !== heard,
        );
      }

      stream.publish(60);
      const published = stream.ledger.published.map(({ key }) => key).sort();
      await eventually('every row', () => lane.rowKeys.length >= published.length);
      await eventually('an empty queue', () => lane.size === 0);
      assert.deepEqual(lane.rowKeys, published);
      assert.deepEqual(lane.deletedTooEarly, []);
      assert(sqs.keys.length > published.length, 'the second attempt sent some events once more');
    } finally {
      await stream.close();
    }
  });
});
