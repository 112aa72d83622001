import { join } from 'node:path';
import { type Endings, INTERRUPTED, runInForeground } from '../local/foreground';
import { packageRoot } from '../src/package-root';
import { StackError } from '../local/stack-error';
import { Pipeline } from '../test/end-to-end/pipeline';
import { eventually } from '../test/support/eventually';
import { findChromium, launchChromium, openWorkflowList } from '../test/support/browser';

const IMAGE = join(packageRoot, 'docs/images/batch-workflow.png');

/** More than {@link BATCHES} hold, so that the pipeline is still at work. */
const EVENTS = 1_000;
/** As many as the image has room for. */
const BATCHES = 5;

/** Leaves what it started in `endings`. */
async function takeScreenshot(endings: Endings): Promise<void> {
  const executable = findChromium();
  if (executable === undefined) {
    throw new StackError('No Chromium or Chrome was found: install one, or name it in SLUICE_CHROMIUM.');
  }
  const browser = await launchChromium(executable);
  endings.push(() => browser.close());
  const pipeline = await Pipeline.create({ seed: 7, events: EVENTS, ratePerSecond: 20 }, {});
  endings.push(() => pipeline.close());
  await pipeline.sluice('provision');
  await pipeline.sluice('start');
  pipeline.startWorker();
  await eventually(
    `${BATCHES} batches`,
    async () => (await pipeline.status()).batch.counts.batches >= BATCHES,
    120_000,
  );

  const page = await openWorkflowList(browser, pipeline.webUrl);
  await page.getByRole('button', { name: 'Collapse Navigation' }).click();
  await page.getByRole('link', { name: /^sluice-batch\// }).click();
  await page.getByRole('button', { name: 'Event uploadBatch: Completed' }).first().waitFor();
  await page.screenshot({ path: IMAGE });
  console.log(`Written: ${IMAGE}`);
}

/** `npm run screenshot`: makes the README's image of the web UI anew, from a pipeline on a simulated stream. */
void runInForeground(async ({ endings, interrupted }) => {
  const outcome = await Promise.race([takeScreenshot(endings), interrupted]);
  return outcome === 'interrupted' ? INTERRUPTED : 0;
});
