import assert from 'node:assert/strict';
import { DEFAULT_COLUMNS, parseColumns } from '../../src/rows/columns';
import { eventually } from '../support/eventually';
import { definitionOf } from '../support/definition';
import { FakeLane } from '../support/fake-lane';
import { historiesOf } from '../support/history';
import { actionsOf, historyCost } from '../support/history-cost';
import { madeUpEvents } from '../support/made-up-events';
import { startBatch } from '../support/pipelines';
import { testTemporal } from '../support/temporal';

const BATCHES = 20;
const RECEIPT_LENGTH = 400;
const MOST_BYTES = 90 * 1024;

describe('The history of a lane', () => {
  const temporal = testTemporal();

  it('takes 90 KB at most and four actions per 100 rows of the default columns, with receipts as long as those of SQS', async () => {
    const lane = new FakeLane();
    lane.receiptLength = RECEIPT_LENGTH;
    lane.sendEvents(madeUpEvents(BATCHES * 100));
    const handle = await startBatch(
      temporal,
      lane,
      definitionOf({
        queue: { name: 'sse_queue', visibilityTimeoutSeconds: 120 },
        lake: {
          bucket: 'sse-bucket',
          prefix: '',
          columns: parseColumns(DEFAULT_COLUMNS),
          keyColumn: true,
          escapeFormulas: false,
        },
        batch: { rows: 100, flushAfterSeconds: 60 },
      }),
    );
    await eventually('all is in the lake', () => lane.size === 0 && lane.objects.size === BATCHES);
    const cost = await historyCost(await historiesOf(temporal.client, handle.workflowId));
    lane.close();
    await handle.terminate();
    await temporal.stopWorkers();
    assert.deepEqual([cost.batches, cost.rows], [BATCHES, BATCHES * 100]);
    assert(cost.bytes / BATCHES <= MOST_BYTES, `${Math.round(cost.bytes / BATCHES)} bytes per 100 rows`);
    assert(actionsOf(cost) / BATCHES <= 4, JSON.stringify(cost.actions));
  });
});
