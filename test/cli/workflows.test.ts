import assert from 'node:assert/strict';
import { WorkflowNotFoundError } from '@temporalio/client';
import { query } from '../../src/cli/workflows';
import { CommandError } from '../../src/cli/errors';
import { QUERIES } from '../../src/pipeline/names';
import type { LaneStatus } from '../../src/lane/status';
import { definitionOf } from '../support/definition';
import { FakeLane } from '../support/fake-lane';
import { ownTimeOf } from '../support/own-time';
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

  it('is not sent while a workflow task is pending: answered by another worker it would spoil the workflow', async () => {
    const handle = await temporal.client.workflow.start('batch', {
      workflowId: 'pending',
      taskQueue: 'nobody',
    });
    const took = await ownTimeOf(() =>
      assert.rejects(query(handle, QUERIES.status, 300), (error: Error) => {
        assert(error instanceof CommandError);
        assert.match(error.message, /^No worker answers for pending \(is `sluice worker` running\?\)$/);
        return true;
      }),
    );
    // A query that was sent would have waited for a worker ten seconds.
    assert(took < 5_000, `${took} ms`);
    await handle.terminate();
  });

  it('says that a workflow was never started', async () => {
    const handle = temporal.client.workflow.getHandle('no such');
    await assert.rejects(handle.describe(), WorkflowNotFoundError);
    await assert.rejects(query(handle, QUERIES.status), /never started here, or was removed/);
  });
});
