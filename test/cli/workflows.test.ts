import assert from 'node:assert/strict';
import { type WorkflowHandle, WorkflowNotFoundError } from '@temporalio/client';
import { execute, query } from '../../src/cli/workflows';
import { CommandError } from '../../src/cli/errors';
import { QUERIES, UPDATES } from '../../src/pipeline/names';
import type { LaneStatus } from '../../src/lane/status';
import { definitionOf } from '../support/definition';
import { FakeLane } from '../support/fake-lane';
import { startBatch } from '../support/pipelines';
import { testTemporal } from '../support/temporal';

describe('A query of the command line', () => {
  const temporal = testTemporal();

  it('is answered by a workflow that is idle', async () => {
    const lane = new FakeLane();
    const handle = await startBatch(temporal, lane, definitionOf());
    try {
      assert.equal((await query<LaneStatus>(handle, QUERIES.status)).activity, 'running');
    } finally {
      lane.close();
      await handle.terminate();
      await temporal.stopWorkers();
    }
  });

  for (const [what, ask] of [
    ['says', (handle: WorkflowHandle) => query(handle, QUERIES.status, 300)],
    [
      'has an update wait until the workflow has taken all that came, and says',
      (handle: WorkflowHandle) => execute(handle, UPDATES.remove, {}, 300),
    ],
  ] as const) {
    it(`${what} that no worker answers where it waits for too long`, async () => {
      const handle = await temporal.client.workflow.start('batch', {
        workflowId: 'pending',
        taskQueue: 'nobody',
      });
      await assert.rejects(ask(handle), (error: Error) => {
        assert(error instanceof CommandError);
        assert.match(error.message, /^No worker answers for pending \(is `sluice worker` running\?\): /);
        return true;
      });
      await handle.terminate();
    });
  }

  it('says that a workflow was never started', async () => {
    const handle = temporal.client.workflow.getHandle('no such');
    await assert.rejects(handle.describe(), WorkflowNotFoundError);
    await assert.rejects(query(handle, QUERIES.status), /never started here, or was removed/);
  });
});
