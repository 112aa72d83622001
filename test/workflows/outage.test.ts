import assert from 'node:assert/strict';
import { startSimulatedStream } from '../../local/simulated-stream';
import { createIngestActivities } from '../../src/activities';
import { WORKFLOWS } from '../../src/pipeline/names';
import type { ingest } from '../../src/workflows/ingest';
import { eventually } from '../support/eventually';
import { definitionOf } from '../support/definition';
import { type FakeLane, keysOf } from '../support/fake-lane';
import { FakeStore } from '../support/fake-store';
import { FAKE_LANE, FakeQueue, takeAll } from '../support/fake-queue';
import { batchStatus, lanePerTest } from '../support/pipelines';
import { testTemporal } from '../support/temporal';
import { keyOf } from '../support/received';

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

  it('a stint reads on and sends nothing, and every event becomes one row once Temporal is back', async () => {
    const stream = await startSimulatedStream({ broken: 0 });
    const queue = new FakeQueue((messages, call) => {
      lane.send(messages.map(keyOf));
      return takeAll(messages, call);
    });
    try {
      const source = { url: stream.url, contact: 'test@example.org' };
      const definition = definitionOf({ source, batch: { rows: 20, flushAfterSeconds: 1 } });
      const batch = await startLane(definition);
      const taskQueue = `ingest-${batch.workflowId}`;
      await temporal.runWorker('ingest', {
        taskQueue,
        activities: createIngestActivities({ queue: () => queue, store: () => new FakeStore() }),
      });
      const handle = await temporal.client.workflow.start<typeof ingest>(WORKFLOWS.ingest, {
        workflowId: taskQueue,
        taskQueue,
        args: [{ definition, lane: FAKE_LANE }],
      });
      endAfterTest(handle);
      stream.publish(60);
      await eventually('some rows', () => lane.rowKeys.length >= 40);

      await temporal.crash();
      // Twenty events a second, for three times as long as the lease lasts.
      let sent = queue.keys.length;
      let publishedSince = 0;
      await eventually('nothing is sent any more', () => {
        stream.publish(1);
        publishedSince = queue.keys.length === sent ? publishedSince + 1 : 0;
        sent = queue.keys.length;
        return publishedSince >= 10_000 / 50;
      });
      await temporal.restart();

      stream.publish(60);
      const published = stream.ledger.published.map(({ key }) => `payload:${key}`).sort();
      await eventually('every row', () => lane.rowKeys.length >= published.length);
      await eventually('an empty queue', () => lane.size === 0);
      assert.deepEqual(lane.rowKeys, published);
      assert.deepEqual(lane.deletedTooEarly, []);
    } finally {
      await stream.close();
    }
  });
});
