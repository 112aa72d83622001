import assert from 'node:assert/strict';
import { eventually } from '../support/eventually';
import { Pipeline } from './pipeline';

const EVENTS = 120;

describe('Workers with SLUICE_WORKER_DEPLOYMENT', function () {
  this.timeout(600_000);
  let pipeline: Pipeline;

  before(async () => {
    pipeline = await Pipeline.create(
      { seed: 19, events: EVENTS, ratePerSecond: 10, cutAfterEvents: [500, 600] },
      { SLUICE_BATCH_ROWS: '10', SLUICE_FLUSH_AFTER: '1s', SLUICE_VISIBILITY_TIMEOUT: '5s' },
    );
    await pipeline.sluice('provision');
    await pipeline.sluice('start');
  });

  after(() => pipeline.close());

  const deployment = async (...args: string[]) =>
    await pipeline.temporal('worker', 'deployment', ...args, '--address', pipeline.temporalAddress);

  /** Makes a build the current one, as soon as Temporal has heard of its workers. */
  async function setCurrent(build: string): Promise<void> {
    const version = ['--deployment-name', 'sluice', '--build-id', build];
    await eventually(
      `${build} is current`,
      async () =>
        await deployment('set-current-version', ...version, '--yes').then(
          () => true,
          () => false,
        ),
    );
  }

  async function buildOf(workflowId: string): Promise<string | undefined> {
    const wanted = ['--workflow-id', workflowId, '--output', 'json', '--address', pipeline.temporalAddress];
    const { stdout } = await pipeline.temporal('workflow', 'describe', ...wanted);
    const { workflowExecutionInfo } = JSON.parse(stdout) as {
      workflowExecutionInfo: {
        versioningInfo?: { behavior?: string; deploymentVersion?: { buildId?: string } };
      };
    };
    return workflowExecutionInfo.versioningInfo?.deploymentVersion?.buildId;
  }

  it('take a running pipeline from build to build, losing and repeating nothing', async () => {
    const first = pipeline.startWorkerWith({ settings: { SLUICE_WORKER_DEPLOYMENT: 'sluice:one' } });
    await setCurrent('one');
    await eventually('rows by the first build', async () => (await pipeline.audit()).rows >= 20);
    const lane = 'sluice-batch/123456789012/us-east-1/sse_queue';
    assert.equal(await buildOf(lane), 'one');

    pipeline.startWorkerWith({ settings: { SLUICE_WORKER_DEPLOYMENT: 'sluice:two' } });
    await setCurrent('two');
    await eventually('the lane runs on the second build', async () => (await buildOf(lane)) === 'two');
    first.signal('SIGTERM');
    assert.equal(await first.exited, 0);
    await pipeline.stream.published;
    await eventually('all rows', async () => (await pipeline.audit()).missing.length === 0);
    const audit = await pipeline.audit();
    assert.equal(audit.rows, pipeline.stream.ledger.published.length);
    assert.deepEqual(audit.repeated, []);
  });
});
