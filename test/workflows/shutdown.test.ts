import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { startSimulatedStream } from '../../local/simulated-stream';
import { createIngestActivities } from '../../src/activities';
import { WORKFLOWS } from '../../src/pipeline/names';
import type { ingest } from '../../src/workflows/ingest';
import { eventually } from '../support/eventually';
import { definitionOf } from '../support/definition';
import { type FakeLane, keysOf } from '../support/fake-lane';
import { FakeStore } from '../support/fake-store';
import { FAKE_LANE, FakeQueue } from '../support/fake-queue';
import { Gate } from '../support/gate';
import { ownTimeOf } from '../support/own-time';
import { ingestStatus, lanePerTest } from '../support/pipelines';
import { testTemporal } from '../support/temporal';

describe('A Worker that is shut down', () => {
  const temporal = testTemporal();
  let lane: FakeLane;
  const { startLane, endAfterTest } = lanePerTest(temporal, (fresh) => (lane = fresh));

  it('is gone within two seconds in the middle of a stint, and the next one loses and repeats nothing', async () => {
    const stream = await startSimulatedStream({
      events: 300,
      broken: 0,
      ratePerSecond: 60,
      cutAfterEvents: false,
    });
    const queue = new FakeQueue();
    const activities = createIngestActivities({ queue: () => queue, store: () => new FakeStore() });
    const taskQueue = `ingest-${randomUUID()}`;
    try {
      const first = await temporal.runWorker('ingest', { taskQueue, activities });
      const source = { url: stream.url, contact: 'test@example.org' };
      const handle = await temporal.client.workflow.start<typeof ingest>(WORKFLOWS.ingest, {
        workflowId: taskQueue,
        taskQueue,
        args: [{ definition: definitionOf({ source }), lane: FAKE_LANE }],
      });
      endAfterTest(handle);
      await eventually('some events', () => queue.keys.length >= 60);
      const took = await ownTimeOf(() => first.stop());
      assert(took < 2_000, `${took} ms`);

      const sentByFirst = queue.keys.length;
      assert(sentByFirst < 300, 'it ended in the middle');
      await temporal.runWorker('ingest', { taskQueue, activities });
      await stream.published;
      const published = stream.ledger.published.map(({ key }) => `payload:${key}`).sort();
      await eventually('every event', () => new Set(queue.keys).size === published.length);
      assert.deepEqual([...queue.keys].sort(), published);
      const { counts } = await ingestStatus(handle);
      assert.deepEqual([counts.stints, counts.sent >= sentByFirst], [1, true], 'the first one returned');
    } finally {
      await stream.close();
    }
  });

  it('finishes an upload and a poll that are under way before it is gone', async () => {
    const gate = new Gate();
    lane.beforeUpload = () => gate.pass();
    lane.send(keysOf(10));
    const handle = await startLane(
      // Long enough that nothing comes back meanwhile, however slow this machine is.
      definitionOf({
        queue: { name: 'queue', visibilityTimeoutSeconds: 20 },
        batch: { rows: 10, flushAfterSeconds: 3_600 },
      }),
    );
    await eventually('an upload and a poll under way', () => gate.waiting === 1 && lane.polling === 1);
    const stopped = temporal.stopWorkers();
    lane.send(keysOf(10, 11)); // For the poll under way.
    await eventually('the poll answered', () => lane.polling === 0);
    assert.equal(lane.objects.size, 0);
    gate.open();
    await stopped;
    assert.equal(lane.objects.size, 1);

    await temporal.runWorker('batch', { taskQueue: handle.workflowId, activities: lane.activities });
    await eventually('an empty queue', () => lane.size === 0);
    assert.deepEqual(lane.rowKeys, keysOf(20));
    assert.equal(lane.uploads.length, 2, 'no upload was done twice');
    const { counts } = await handle.query<{ counts: { redelivered: number; lostReceives: number } }>(
      'status',
    );
    assert.deepEqual([counts.redelivered, counts.lostReceives], [0, 0]);
  });
});
