import assert from 'node:assert/strict';
import { eventually } from '../support/eventually';
import { type Output, Pipeline } from './pipeline';

const EVENTS = 900;
const BROKEN = 3;
const RATE_PER_SECOND = 15;

describe('A pipeline that Temporal has forgotten', function () {
  this.timeout(900_000);
  let pipeline: Pipeline;

  before(async () => {
    pipeline = await Pipeline.create(
      { seed: 15, events: EVENTS, broken: BROKEN, ratePerSecond: RATE_PER_SECOND, retryMilliseconds: 200 },
      {
        SLUICE_BATCH_ROWS: '20',
        SLUICE_WINDOW: '300',
        SLUICE_VISIBILITY_TIMEOUT: '8s',
        SLUICE_FLUSH_AFTER: '2s',
      },
    );
  });

  after(() => pipeline.close());

  const refusal = async (...args: string[]) => {
    const outcome = await pipeline.sluice(...args).then(
      () => '',
      ({ stderr = '' }: Partial<Output>) => stderr,
    );
    assert.notEqual(outcome, '', `sluice ${args.join(' ')} is refused`);
    return outcome;
  };

  it('is adopted from its lake: nothing is lost, nothing stands twice', async () => {
    const { published } = pipeline.stream.ledger;
    await pipeline.sluice('provision');
    await pipeline.sluice('start');
    pipeline.startWorker();
    await eventually('some events', () => published.length >= 100);

    // Ingest alone: what the lane knows is not touched.
    await pipeline.temporal(
      'workflow',
      'terminate',
      '--workflow-id',
      'sluice-ingest/recentchange',
      '--address',
      pipeline.temporalAddress,
    );
    assert.match(
      await refusal('start'),
      /Ingest of recentchange is gone, and its lane is not: `sluice start --adopt`/,
    );
    assert.match(
      await pipeline.sluice('start', '--adopt'),
      /lane: runs, and was left alone\ningest: goes on at 20/,
    );

    await eventually('more events', async () => (await pipeline.audit()).rows >= 200);
    const worker = pipeline.startWorker();
    await pipeline.loseTemporal();
    assert.match(await refusal('start'), /belongs to another lane, .*`sluice start --adopt`/);
    assert.match(await refusal('start', '--adopt'), /Nothing was taken over/);
    assert.match(await pipeline.sluice('start', '--adopt', '--yes'), /adopted\nlane: waits 99 s/);
    const { batch } = await pipeline.status();
    assert.equal(batch.adopting, 'waiting');

    await eventually('all are published', () => published.length === EVENTS - BROKEN, 180_000);
    await eventually(
      'all are in the lake',
      async () => (await pipeline.audit()).missing.length === 0,
      240_000,
    );
    await pipeline.sluice('stop', '--wait');
    const { missing, repeated, unknown, changed, rows } = await pipeline.audit();
    assert.deepEqual(
      { missing, repeated, unknown, changed },
      { missing: [], repeated: [], unknown: [], changed: [] },
    );
    assert.equal(rows, EVENTS - BROKEN);
    const verified = await pipeline
      .sluice('verify', '--grace', '0s')
      .catch(({ stdout = '' }: Partial<Output>) => stdout);
    // Where a rejected event took up offsets, it can't be told whether others are missing.
    assert.match(verified, /adoption by lane 0 .*\n(?:.*\n)*.*nothing was found\./);
    assert.match(
      await pipeline.sluice('start', '--adopt'),
      /ingest and lane run, nothing is to be taken over/,
    );
    worker.signal('SIGTERM');
    assert.equal(await worker.exited, 0);
  });
});
