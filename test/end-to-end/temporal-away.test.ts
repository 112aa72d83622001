import assert from 'node:assert/strict';
import { eventually } from '../support/eventually';
import { Pipeline } from './pipeline';

const EVENTS = 500;
const BROKEN = 3;
const RATE_PER_SECOND = 5;

describe('The pipeline, with Temporal away for more than a minute', function () {
  this.timeout(900_000);
  let pipeline: Pipeline;

  before(async () => {
    pipeline = await Pipeline.create(
      { seed: 12, events: EVENTS, broken: BROKEN, ratePerSecond: RATE_PER_SECOND, retryMilliseconds: 200 },
      {
        SLUICE_BATCH_ROWS: '20',
        // A stint is 100 events: Temporal is away for three of them.
        SLUICE_WINDOW: '300',
        SLUICE_VISIBILITY_TIMEOUT: '8s',
        SLUICE_FLUSH_AFTER: '2s',
      },
    );
  });

  after(() => pipeline.close());

  it('loses and repeats nothing, and a worker that is started meanwhile waits for it', async () => {
    const { published } = pipeline.stream.ledger;
    await pipeline.sluice('provision');
    await pipeline.sluice('start');
    const worker = pipeline.startWorker();
    await eventually('some events', () => published.length >= 60);
    await pipeline.killTemporal();
    await eventually('a minute of events', () => published.length >= 60 + 65 * RATE_PER_SECOND, 180_000);
    worker.signal('SIGKILL');
    await worker.exited;
    const next = pipeline.startWorker();
    await pipeline.restartTemporal();
    await eventually('all are published', () => published.length === EVENTS - BROKEN);
    await eventually('all are in the lake', async () => (await pipeline.audit()).missing.length === 0);
    await pipeline.sluice('stop', '--wait');

    const { missing, repeated, unknown, changed, rows } = await pipeline.audit();
    assert.deepEqual(
      { missing, repeated, unknown, changed },
      { missing: [], repeated: [], unknown: [], changed: [] },
    );
    assert.equal(rows, EVENTS - BROKEN);
    const { batch } = await pipeline.status();
    assert.ok(batch.counts.repeats > 0, 'what the stint sent while Temporal was away was sent again');
    next.signal('SIGTERM');
    assert.equal(await next.exited, 0);
  });
});
