import assert from 'node:assert/strict';
import { whyNotOurs } from '../../src/cli/lake-owner';
import { claimLake } from '../../src/lake/owner';
import { s3Error } from '../support/fake-store';
import { MemoryBucket } from '../support/memory-bucket';

const lake = { bucket: 'lake', prefix: 'raw' };
const owner = { pipeline: 'edits', lane: 'sluice-batch/1/eu/edits', run: 'default/run-1' };

describe('What tells a command that a lake is not ours', () => {
  let s3: MemoryBucket;

  beforeEach(async () => {
    s3 = new MemoryBucket();
    await claimLake(s3.store(lake), owner);
  });

  const why = (run: string | undefined, isRunning?: boolean) =>
    whyNotOurs(s3.store(lake), run, () => Promise.resolve(isRunning));

  it('says nothing where the lane that claimed it is ours, or nobody claimed it', async () => {
    assert.equal(await why('default/run-1'), undefined);
    assert.equal(
      await whyNotOurs(s3.store({ bucket: 'lake', prefix: '' }), undefined, () =>
        assert.fail('nobody to ask for'),
      ),
      undefined,
    );
  });

  it('names a pipeline that runs, and wants a prefix of its own for this one', async () => {
    assert.equal(
      await why('default/run-2', true),
      's3://lake/raw belongs to the pipeline edits (lane sluice-batch/1/eu/edits, default/run-1: namespace and first run). ' +
        'A second one would number its objects from 1, too, and readers would find each number twice: give this pipeline a ' +
        'prefix of its own (SLUICE_PREFIX)',
    );
  });

  it('says of one that does not run here that it may be gone, and what else can be done then', async () => {
    assert.match(
      (await why(undefined, false)) ?? '',
      /first run\), which does not run here: it was removed or terminated, or is another Temporal's\. A second .* \(SLUICE_PREFIX\) or, if that lane is gone for good, go on where it ended with `sluice start --adopt`$/,
    );
    assert.match((await why(undefined)) ?? '', /first run\)\. A second .*sluice start --adopt/);
  });

  it('does not act on a terminal, whatever the object holds', async () => {
    s3.put('raw/_sluice/owner.json', JSON.stringify({ ...owner, pipeline: '\u001b[2J' }));
    assert.match((await why(undefined)) ?? '', /the pipeline \\u001b\[2J \(/);
  });

  it('refuses what can not be read as an owner', async () => {
    s3.put('raw/_sluice/owner.json', 'x');
    await assert.rejects(why(undefined), {
      name: 'CommandError',
      message: /owner\.json does not say who writes there: put back/,
    });
  });

  it('leaves it to the lane where whoever asks may not look', async () => {
    s3.before = () => {
      throw s3Error('AccessDenied', 403);
    };
    assert.equal(await why(undefined), undefined);
  });
});
