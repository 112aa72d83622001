import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { startSimulatedStream } from '../../local/simulated-stream';
import { createIngestActivities } from '../../src/activities';
import { consumeStream, type StintInput, type StintProgress } from '../../src/activities/consume-stream';
import { type Acknowledge, acknowledgedHeartbeat } from '../../src/activities/lease';
import { WORKFLOWS } from '../../src/pipeline/names';
import type { ingest } from '../../src/workflows/ingest';
import { eventually } from '../support/eventually';
import { definitionOf } from '../support/definition';
import { FakeStore } from '../support/fake-store';
import { FAKE_LANE, FakeQueue } from '../support/fake-queue';
import { ingestStatus, terminate } from '../support/pipelines';
import { settled } from '../support/settled';
import { PlainStream } from '../support/plain-stream';
import { TcpLink } from '../support/tcp-link';
import { testTemporal } from '../support/temporal';

describe('A stint of a stream without ids', () => {
  const temporal = testTemporal();
  let handle: WorkflowHandle;
  let stream: PlainStream;
  let link: TcpLink;
  let cutOff: NativeConnection;
  let publishing: NodeJS.Timeout;

  beforeEach(async () => {
    stream = await PlainStream.start();
    link = await TcpLink.start(() => Number(temporal.address.split(':').at(-1)));
    cutOff = await NativeConnection.connect({ address: `127.0.0.1:${link.port}` });
    publishing = setInterval(() => stream.publish({ data: `{"n":${stream.published.length}}` }), 20);
  });

  afterEach(async () => {
    clearInterval(publishing);
    link.mend();
    await handle.terminate();
    await temporal.stopWorkers();
    await cutOff.close();
    await link.close();
    await stream.close();
  });

  it('sends no event that the next attempt sends, too, though its worker is cut off from Temporal and works on', async () => {
    const queue = new FakeQueue();
    const activities = createIngestActivities({ queue: () => queue, store: () => new FakeStore() });
    const taskQueue = `ingest-${randomUUID()}`;
    const definition = definitionOf({
      source: { url: stream.url, contact: 'test@example.org' },
      heartbeatTimeoutSeconds: 3,
    });
    await temporal.runWorker('ingest', { taskQueue, activities, connection: cutOff });
    handle = await temporal.client.workflow.start<typeof ingest>(WORKFLOWS.ingest, {
      workflowId: taskQueue,
      taskQueue,
      args: [{ definition, lane: FAKE_LANE }],
    });
    await eventually('events of the first attempt', () => queue.bodies.length >= 100);
    link.break();
    await temporal.runWorker('ingest', { taskQueue, activities });
    await eventually('both attempts listen', () => stream.connections === 2);
    const before = queue.bodies.length;
    await eventually('events of the second attempt', () => queue.bodies.length >= before + 200);
    link.mend();
    await eventually('the first one has ended', () => stream.connections === 1);
    const after = queue.bodies.length;
    await eventually('more events of the second attempt', () => queue.bodies.length >= after + 100);

    assert.deepEqual(
      queue.bodies.filter((body, index) => queue.bodies.indexOf(body) < index),
      [],
    );
    await handle.signal('pause');
    await eventually('it is paused', async () => (await ingestStatus(handle)).counts.stints === 1);
    const { identity, canResume, gaps, counts } = await ingestStatus(handle);
    assert.deepEqual([identity, canResume, gaps.count], ['arrival', false, 1]);
    // What the first one sent behind its last heartbeat is not counted.
    assert(counts.sent > 300 && counts.sent <= queue.bodies.length);
  });
});

describe('A stint whose heartbeats are refused', () => {
  const temporal = testTemporal();

  afterEach(() => temporal.stopWorkers());

  it('waits at a third of the window, and no more than that is sent again by the next one', async () => {
    const stream = await startSimulatedStream({ ratePerSecond: Infinity, cutAfterEvents: false });
    const clients = { queue: new FakeQueue(), store: new FakeStore() };
    const { keys } = clients.queue;
    let isRefused = false;
    let told = 0;
    const acknowledge: Acknowledge = async (details, timeoutMs) => {
      if (isRefused) throw new Error('refused');
      await acknowledgedHeartbeat(details, timeoutMs);
      told = (details as StintProgress).counts.sent;
    };
    const taskQueue = `ingest-${randomUUID()}`;
    await temporal.runWorker('ingest', {
      taskQueue,
      activities: {
        ...createIngestActivities({ queue: () => clients.queue, store: () => clients.store }),
        consumeStream: (input: StintInput) => consumeStream(clients, input, { acknowledge }),
      },
    });
    const source = { url: stream.url, contact: 'test@example.org' };
    const handle = await temporal.client.workflow.start<typeof ingest>(WORKFLOWS.ingest, {
      workflowId: taskQueue,
      taskQueue,
      args: [{ definition: definitionOf({ source, windowKeys: 300 }), lane: FAKE_LANE }],
    });
    const all = () => stream.ledger.published.length;
    try {
      await eventually('it listens', () => stream.connections === 1);
      stream.publish(50);
      await eventually('all are told', () => told > 0 && told === all());
      isRefused = true;
      const before = all();
      stream.publish(1_000);
      await eventually('some are sent', () => keys.length > before);
      await settled('events sent', () => keys.length);
      assert(keys.length <= before + 100, `${keys.length - before} events are sent`);

      await handle.signal('pause');
      await eventually('it is paused', async () => (await ingestStatus(handle)).counts.stints === 1);
      isRefused = false;
      await handle.signal('resume');
      await eventually('all are sent', () => new Set(keys).size === all());
      assert(keys.length <= all() + 100, `${keys.length - all()} events are sent again`);
    } finally {
      await terminate(handle);
      await stream.close();
    }
  });
});
