import assert from 'node:assert/strict';
import { Client, Connection } from '@temporalio/client';
import type { Page } from 'playwright-core';
import { startStack } from '../../local/stack';
import { SEARCH_ATTRIBUTES } from '../../src/pipeline/names';
import { dataConverter } from '../../src/clients/payload-codec';
import { eventually } from '../support/eventually';
import { findChromium, launchChromium, openWorkflowList } from '../support/browser';
import { Pipeline } from './pipeline';

const ROWS = 200;
const BROKEN = 3;

describe("The batch workflow's page in Temporal's web UI, after a run (skipped where there is no Chromium)", function () {
  this.timeout(600_000);
  const endings: (() => Promise<unknown>)[] = [];
  let page: Page;
  let lastObject: string | undefined;

  before(async function () {
    const executable = findChromium();
    if (executable === undefined) {
      console.log('  skipped: no Chromium or Chrome found; install one, or name it in SLUICE_CHROMIUM');
      this.skip();
    }
    const browser = await launchChromium(executable);
    endings.push(() => browser.close());
    const pipeline = await Pipeline.create(
      { seed: 13, events: ROWS + BROKEN, broken: BROKEN, ratePerSecond: 50 },
      {},
    );
    endings.push(() => pipeline.close());
    await pipeline.sluice('provision');
    await pipeline.sluice('start');
    pipeline.startWorker();
    await eventually('all rows are in the lake', async () => (await pipeline.audit()).rows === ROWS);
    await eventually('the lane knows', async () => {
      const { batch } = await pipeline.status();
      ({ lastObject } = batch);
      return batch.counts.rows === ROWS;
    });
    const running = `${SEARCH_ATTRIBUTES.pipeline.name}="recentchange" AND ${SEARCH_ATTRIBUTES.activity.name}="running"`;
    // The page shows the list as it is; Temporal's list follows a moment later.
    await eventually('the lane is listed', async () => {
      const { stdout } = await pipeline.temporal('workflow', 'list', '--query', running);
      return stdout.includes('sluice-batch/');
    });
    page = await openWorkflowList(browser, pipeline.webUrl, running);
    await page.getByRole('link', { name: /^sluice-batch\// }).click();
  });

  after(async () => {
    for (const end of endings.toReversed()) await end();
  });

  it('says what the workflow is for, and in Markdown what it has done', async () => {
    await page.getByRole('tab', { name: 'User Metadata' }).click();
    const summary = page.frameLocator('#user-metadata-summary');
    await summary.getByText('sse_queue to s3://sse-bucket/').waitFor();
    const details = page.frameLocator('#user-metadata-current-details');
    await details.locator('strong').getByText('running', { exact: true }).waitFor();
    const lake = details
      .getByRole('listitem')
      .filter({ hasText: new RegExp(`\\b${ROWS} rows in \\d+ objects\\b`) });
    assert.equal(await lake.locator('code').innerText(), lastObject);
  });

  it('names rows and object of each upload in the event history', async () => {
    await page.getByRole('tab', { name: 'Event History' }).click();
    await page.getByRole('button', { name: 'Compact' }).click();
    const uploads = page.getByRole('row').filter({ hasText: 'uploadBatch' });
    await uploads
      .filter({ hasText: /batch 1: 100 rows to date=[\d-]+\/hour=\d+\/batch-[0-9a-f]{8}-0{9}1-\w+\.csv/ })
      .waitFor();
    await uploads.filter({ hasText: `rows to ${lastObject}` }).waitFor();
  });

  it('has its search attributes', async () => {
    await page.getByRole('tab', { name: 'Search Attributes' }).click();
    const { pipeline, activity, problem } = SEARCH_ATTRIBUTES;
    const editor = page
      .getByRole('textbox', { name: 'Search Attributes' })
      .filter({ hasText: pipeline.name });
    const shown = JSON.parse(await editor.innerText()) as Record<string, unknown>;
    assert.equal(shown[pipeline.name], 'recentchange');
    assert.equal(shown[activity.name], 'running');
    assert.equal(shown[problem.name], undefined);
  });
});

describe('A compressed payload in the web UI of the embedded stack (skipped where there is no Chromium)', function () {
  this.timeout(300_000);
  const endings: (() => Promise<unknown>)[] = [];

  after(async () => {
    for (const end of endings.toReversed()) await end();
  });

  it('is readable without a setting', async function () {
    const executable = findChromium();
    if (executable === undefined) this.skip();
    const browser = await launchChromium(executable);
    endings.push(() => browser.close());
    const stack = await startStack();
    endings.push(() => stack.stop());
    const connection = await Connection.connect({ address: stack.temporal.address });
    endings.push(() => connection.close());
    const client = new Client({ connection, dataConverter });
    const text = 'readable '.repeat(1_000);
    const handle = await client.workflow.start('noWorkerKnowsIt', {
      taskQueue: 'nobody',
      workflowId: 'large',
      args: [{ text }],
    });
    const { events } = await handle.fetchHistory();
    const input = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
    assert.equal(Buffer.from(input?.metadata?.['encoding'] ?? []).toString(), 'binary/zlib');

    // The page shows the list as it is; Temporal's list follows a moment later.
    await eventually('it is listed', async () => (await client.workflow.count()).count === 1);
    const page = await openWorkflowList(browser, stack.temporal.webUrl);
    await page.getByRole('link', { name: 'large' }).click();
    await page.getByText('readable readable').first().waitFor();
  });
});
