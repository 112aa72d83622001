import assert from 'node:assert/strict';
import type { Holes } from '../../src/sources/completeness';
import type { IngestStatus } from '../../src/workflows/status';
import { freePort, HOST } from '../../local/ports';
import { eventually } from '../support/eventually';
import { Pipeline } from './pipeline';
import { Scrape } from './scrape';

const PARTITION = 'eqiad.mediawiki.recentchange/0';
const WITHHELD = 3;

describe('Events that the source withholds', function () {
  this.timeout(600_000);
  let pipeline: Pipeline;
  let metrics: string;
  /** Epoch milliseconds: before the hole was there, and after it was seen. */
  let missed: { after: number; before: number };

  before(async () => {
    metrics = `${HOST}:${await freePort()}`;
    pipeline = await Pipeline.create(
      { seed: 21, cutAfterEvents: false, retryMilliseconds: 100 },
      {
        SLUICE_FLUSH_AFTER: '1s',
        SLUICE_VISIBILITY_TIMEOUT: '8s',
        SLUICE_METRICS_ADDRESS: metrics,
      },
    );
    await pipeline.sluice('provision');
    await pipeline.sluice('start');
    pipeline.startWorker();
  });

  // A test may leave it paused.
  beforeEach(() => pipeline.sluice('resume', 'ingest'));

  after(() => pipeline.close());

  const holes = async (): Promise<Holes> => (await pipeline.status()).ingest.holes;

  /** Waits until so many events are sent to the queue, of those that the source published. */
  const allSent = () =>
    eventually(
      'all are sent',
      async () => (await pipeline.status()).ingest.counts.sent === pipeline.stream.ledger.published.length,
    );

  const missing = (offsets: number) =>
    eventually(`${offsets} missing`, async () => (await holes()).offsets === offsets);

  function isSince(since: string | undefined): void {
    const time = Date.parse(since ?? '');
    assert(missed.after <= time && time <= missed.before, `${since} is not in ${JSON.stringify(missed)}`);
  }

  it('are none before there are any', async () => {
    pipeline.stream.publish(20);
    await allSent();
    const { offsets, jumps, since, partitions } = await holes();
    assert.deepEqual([offsets, jumps, since], [0, 0, undefined]);
    assert.deepEqual(partitions, [{ partition: PARTITION, offsets: 0, jumps: 0 }]);
  });

  it('are told by `sluice status`, with topic and partition, how many and since when', async () => {
    const after = Date.now();
    pipeline.stream.withhold(WITHHELD);
    pipeline.stream.publish(WITHHELD + 20);
    await missing(WITHHELD);
    missed = { after, before: Date.now() };
    const { since, partitions } = await holes();
    isSince(since);
    assert.deepEqual(partitions, [{ partition: PARTITION, offsets: WITHHELD, since, jumps: 0 }]);
    const told = `${WITHHELD} offsets missing, since ${since}`;
    assert.match(
      await pipeline.sluice('status'),
      new RegExp(`^source +${told}; ${PARTITION}: ${told}; reconnects`, 'm'),
    );
  });

  it('are told by the metrics', async () => {
    const scrape = await Scrape.of(metrics);
    assert.deepEqual(scrape.values('sluice_source_holes', { partition: PARTITION }), [WITHHELD]);
    const [age = NaN] = scrape.values('sluice_source_hole_age_seconds', { partition: PARTITION });
    assert(0 < age && age <= (Date.now() - missed.after) / 1_000, `${age} s`);
  });

  it("are told by the workflow's query and by its details in the web UI, once the stint has ended", async () => {
    await pipeline.sluice('pause', 'ingest');
    const ingest = ['--workflow-id', 'sluice-ingest/recentchange'];
    const query = ['workflow', 'query', ...ingest, '--type', 'status', '--output', 'json'];
    const told = async (): Promise<IngestStatus> => {
      const { stdout } = await pipeline.temporal(...query);
      const { queryResult } = JSON.parse(stdout) as { queryResult: [IngestStatus] };
      return queryResult[0];
    };
    // It says so before the stint has ended, which then brings what it found.
    await eventually('paused, and told what the stint found', async () => {
      const { activity, holes: found } = await told();
      return activity === 'paused' && found.offsets === WITHHELD;
    });
    const { holes: found } = await told();
    assert.equal(found.partitions[0]?.partition, PARTITION);
    isSince(found.since);
    const details = await pipeline.temporal('workflow', 'metadata', ...ingest);
    assert.match(details.stdout, new RegExp(`${WITHHELD} offsets missing, since .+${PARTITION}`));
  });

  for (const [index, kind] of (['well-formed', 'canary', 'not-json'] as const).entries()) {
    const left = WITHHELD - 1 - index;
    it(`are ${left} when one of them turns up late: ${kind}`, async () => {
      pipeline.stream.release(1, kind);
      // A reader that connects again goes back two seconds before the last event that it was sent.
      pipeline.stream.sendError('The broker went away');
      await missing(left);
      await allSent();
      assert.equal((await holes()).since === undefined, left === 0);
    });
  }

  it("are not made of another cluster's count, from which counting begins anew", async () => {
    pipeline.stream.switchCluster();
    pipeline.stream.publish(20);
    await allSent();
    assert.deepEqual((await holes()).partitions, [{ partition: PARTITION, offsets: 0, jumps: 1 }]);
    pipeline.stream.withhold(1);
    pipeline.stream.publish(20);
    await missing(1);
    assert.equal((await holes()).jumps, 1);
  });

  it('are all that is not in the lake', async () => {
    await pipeline.sluice('stop', '--wait');
    const { missing, repeated, unknown, changed, rejected } = await pipeline.audit();
    assert.deepEqual([missing, repeated, unknown, changed, rejected], [[], [], [], [], 1]);
    assert.equal(pipeline.stream.ledger.withheld.length, 1);
  });
});
