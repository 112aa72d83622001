import assert from 'node:assert/strict';
import { eventually } from '../local/eventually';
import { Pipeline } from './pipeline';

const EVENTS = 600;
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
    await pipeline.sluice('provision');
    await pipeline.sluice('start');
    let worker = pipeline.startWorker();
    for (let kills = 1; kills <= 6; kills += 1) {
      // A worker that is killed before it reads costs nothing.
      await eventually('ingest reads', () => pipeline.stream.connections > 0);
      // Where the stop in the middle took long, all may be published by now, and the rest of the kills hit the drain.
      const goal = Math.min(published.length + 50, EVENTS - BROKEN);
      await eventually('more events', () => published.length >= goal);
      worker.signal('SIGKILL');
      await worker.exited;
      worker = pipeline.startWorker();
      if (kills === 3) {
        await pipeline.sluice('stop', '--wait');
        await pipeline.sluice('start');
      }
    }
    await eventually('all are published', () => published.length === EVENTS - BROKEN);
    // What ingest has not read when it stops stays in the source, for the next start.
    await eventually('all are in the lake', async () => (await pipeline.audit()).missing.length === 0);
    await pipeline.sluice('stop', '--wait');

    const audit = await pipeline.audit();
    assert.deepEqual(
      { missing: audit.missing, repeated: audit.repeated, unknown: audit.unknown, changed: audit.changed },
      { missing: [], repeated: [], unknown: [], changed: [] },
    );
    assert.equal(audit.rows, EVENTS - BROKEN);
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
