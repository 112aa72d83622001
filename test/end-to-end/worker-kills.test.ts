import assert from 'node:assert/strict';
import { eventually } from '../support/eventually';
import { Pipeline } from './pipeline';

/** That come by themselves. */
const EVENTS = 60;
const BROKEN = 3;

describe('The pipeline, with its workers killed again and again', function () {
  this.timeout(900_000);
  let pipeline: Pipeline;

  before(async () => {
    pipeline = await Pipeline.create(
      { seed: 11, events: EVENTS, broken: BROKEN, ratePerSecond: 15, retryMilliseconds: 200 },
      {
        SLUICE_BATCH_ROWS: '20',
        // Small, so that what would take a day to outrun it happens in a minute.
        SLUICE_WINDOW: '100',
        SLUICE_VISIBILITY_TIMEOUT: '8s',
        SLUICE_FLUSH_AFTER: '5s',
        SLUICE_PREFIX: 'lake/recentchange',
      },
    );
  });

  after(() => pipeline.close());

  it('writes every event once, in order of sequence, and leaves the queue empty', async () => {
    const { published } = pipeline.stream.ledger;
    const objects = async () => (await pipeline.list('lake/recentchange/date=')).KeyCount ?? 0;
    await pipeline.sluice('provision');
    await pipeline.sluice('start');
    let worker = pipeline.startWorker();
    for (let kills = 1; kills <= 6; kills += 1) {
      // A worker that is killed before it writes, or when nothing comes any more, costs nothing.
      const before = await objects();
      await eventually('it reads and writes', async () => {
        pipeline.stream.publish(1);
        return pipeline.stream.connections > 0 && (await objects()) > before;
      });
      worker.signal('SIGKILL');
      await worker.exited;
      worker = pipeline.startWorker();
      if (kills === 3) {
        await pipeline.sluice('stop', '--wait');
        await pipeline.sluice('start');
      }
    }
    await pipeline.stream.published;
    // What ingest has not read when it stops stays in the source, for the next start.
    await eventually('all are in the lake', async () => (await pipeline.audit()).missing.length === 0);
    await pipeline.sluice('stop', '--wait');

    const audit = await pipeline.audit();
    assert.deepEqual(
      { missing: audit.missing, repeated: audit.repeated, unknown: audit.unknown, changed: audit.changed },
      { missing: [], repeated: [], unknown: [], changed: [] },
    );
    assert.equal(audit.rows, published.length);
    assert.equal(audit.rejected, BROKEN);
    const { batch, ingest } = await pipeline.status();
    assert.equal(batch.activity, 'stopped');
    assert.equal(ingest.activity, 'stopped');
    assert.equal(batch.nextSequence - 1, audit.objects, 'a sequence without holes');
    assert.ok(
      batch.counts.repeats + batch.counts.redelivered > 0,
      'the kills must have cost repeats or redeliveries',
    );
    worker.signal('SIGTERM');
    assert.equal(await worker.exited, 0);
  });
});
