import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { BatchActivities } from '../../src/activities';
import { BATCH_HEARTBEAT_MS, withHeartbeat } from '../../src/activities/heartbeat';
import { WORKFLOWS } from '../../src/pipeline/names';
import { type BusyWorker, watchSlots } from '../../src/workers/slots';
import type { batch } from '../../src/workflows/batch';
import { definitionOf } from '../support/definition';
import { eventually } from '../support/eventually';
import { FakeLane } from '../support/fake-lane';
import { Gate } from '../support/gate';
import { testTemporal } from '../support/temporal';

/** More than the SDK's 100 slots. */
const LANES = 130;

describe('The slots of a Worker', () => {
  const temporal = testTemporal();

  it('are enough for the long polls of more than a hundred idle lanes at once', async () => {
    const taskQueue = `batch-${randomUUID()}`;
    const queues = Array.from({ length: LANES }, (_, index) => `queue-${index}`);
    const handles: WorkflowHandle[] = [];
    const polling = new Set<string>();
    const end = new Gate();
    const activities: BatchActivities = {
      ...new FakeLane().activities,
      // A poll that is not answered: no lane may wait for another's.
      receiveMessages: async ({ queue }) => {
        polling.add(queue);
        await withHeartbeat({ everyMs: BATCH_HEARTBEAT_MS }, () => end.passed);
        throw new Error('the test is over');
      },
    };
    const worker = await temporal.runWorker('batch', { taskQueue, activities });
    try {
      for (const name of queues) {
        const definition = definitionOf({ queue: { name, visibilityTimeoutSeconds: 120 } });
        handles.push(
          await temporal.client.workflow.start<typeof batch>(WORKFLOWS.batch, {
            workflowId: name,
            taskQueue,
            args: [definition],
          }),
        );
      }
      await eventually('each lane polls', () => polling.size === LANES);
    } finally {
      await Promise.all(handles.map((handle) => handle.terminate()));
      end.open();
      await worker.stop();
    }
  });

  it('are said to be gone in the log, once for each Worker and not again at once', async () => {
    const warned: unknown[] = [];
    let looks = 0;
    const worker = (taskQueue: string, inFlight: number): BusyWorker => ({
      options: { taskQueue },
      getStatus: () => {
        looks += 1;
        return { numInFlightNonLocalActivities: inFlight };
      },
    });
    const workers = [worker('sluice-ingest', 9), worker('sluice-batch', 10)];
    watchSlots(workers, { warn: (_message, meta) => warned.push(meta) }, { slots: 10, lookMs: 1 });
    await eventually('some looks', () => looks >= 6);
    assert.deepEqual(warned, [{ taskQueue: 'sluice-batch', slots: 10 }]);
  });
});
