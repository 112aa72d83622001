import assert from 'node:assert/strict';
import type { WorkflowHandle } from '@temporalio/client';
import { addSearchAttributes, hasSearchAttributes } from '../../src/cli/search-attributes';
import { SEARCH_ATTRIBUTES } from '../../src/pipeline/names';
import { eventually } from '../support/eventually';
import { definitionOf } from '../support/definition';
import { type FakeLane, hopeless, keysOf } from '../support/fake-lane';
import { historiesOf } from '../support/history';
import { batchStatus, lanePerTest, searchAttributes } from '../support/pipelines';
import { testTemporal } from '../support/temporal';

describe('Search attributes', () => {
  const temporal = testTemporal();
  let lane: FakeLane;
  let handle: WorkflowHandle;
  const { startLane } = lanePerTest(temporal, (fresh) => (lane = fresh));

  const attributes = async () => (await handle.describe()).typedSearchAttributes;

  /** Those of Sluice's own: with each patch the SDK sets one of Temporal's. */
  async function upserts(): Promise<number> {
    const [history] = await historiesOf(temporal.client, handle.workflowId);
    const fields = (history?.events ?? []).flatMap(
      ({ upsertWorkflowSearchAttributesEventAttributes: upsert }) =>
        upsert ? [Object.keys(upsert.searchAttributes?.indexedFields ?? {})] : [],
    );
    return fields.filter((names) => !names.includes('TemporalChangeVersion')).length;
  }

  it('are left alone by a workflow that was started without', async () => {
    assert.equal(await hasSearchAttributes(temporal.client), false);
    handle = await startLane(definitionOf());
    await handle.signal('pause');
    await eventually('paused', async () => (await batchStatus(handle)).activity === 'paused');
    assert.equal(await upserts(), 0);
  });

  it('tell what a workflow does and why it is parked, and change only with that', async () => {
    await addSearchAttributes(temporal.client);
    await eventually('registered', () => hasSearchAttributes(temporal.client));
    let isBroken = false;
    lane.beforeUpload = () => {
      if (isBroken) throw hopeless('There is no bucket');
    };
    const definition = definitionOf({ batch: { rows: 10, flushAfterSeconds: 100 } });
    handle = await startLane(definition, { typedSearchAttributes: searchAttributes });
    lane.send(keysOf(30));
    await eventually('thirty rows', () => lane.rowKeys.length === 30);
    assert.equal(await upserts(), 0, 'it runs, as it was started');

    isBroken = true;
    lane.send(keysOf(10, 31));
    await eventually('parked', async () => (await attributes()).get(SEARCH_ATTRIBUTES.activity) === 'parked');
    assert.equal((await attributes()).get(SEARCH_ATTRIBUTES.problem), 'There is no bucket');
    assert.equal((await attributes()).get(SEARCH_ATTRIBUTES.pipeline), 'test');

    isBroken = false;
    await handle.signal('resume');
    await eventually(
      'running',
      async () => (await attributes()).get(SEARCH_ATTRIBUTES.activity) === 'running',
    );
    assert.equal((await attributes()).get(SEARCH_ATTRIBUTES.problem), undefined);
    assert.equal(await upserts(), 2);
  });
});
