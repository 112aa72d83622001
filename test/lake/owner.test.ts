import assert from 'node:assert/strict';
import { claimLake, type LakeOwner, readOwner, takeOverLake } from '../../src/lake/owner';
import { s3Error } from '../support/fake-store';
import { MemoryBucket } from '../support/memory-bucket';

const ours: LakeOwner = { pipeline: 'orders', lane: 'sluice-batch/1/eu/orders', run: 'default/run-1' };
const others: LakeOwner = { pipeline: 'edits', lane: 'sluice-batch/1/eu/edits', run: 'default/run-2' };
const lake = { bucket: 'lake', prefix: 'raw' };

describe('The owner of a lake', () => {
  let s3: MemoryBucket;

  beforeEach(() => {
    s3 = new MemoryBucket();
  });

  it('is whoever claimed it first, and stays', async () => {
    assert.deepEqual(await claimLake(s3.store(lake), ours), ours);
    assert.deepEqual(await claimLake(s3.store(lake), others), ours);
    assert.deepEqual(await claimLake(s3.store(lake), ours), ours);
    assert.deepEqual([...s3.objects.keys()], ['raw/_sluice/owner.json']);
    assert.deepEqual(JSON.parse(s3.text('raw/_sluice/owner.json') ?? ''), ours);
  });

  it('is one for each prefix, the empty one too', async () => {
    const whole = { bucket: 'lake', prefix: '' };
    assert.deepEqual(await claimLake(s3.store(whole), others), others);
    assert.deepEqual(await claimLake(s3.store(lake), ours), ours);
    assert.deepEqual([...s3.objects.keys()].sort(), ['_sluice/owner.json', 'raw/_sluice/owner.json']);
  });

  it('is claimed without reading what is not there, which S3 refuses to those who may not list', async () => {
    await claimLake(s3.store(lake), ours);
    assert.deepEqual(s3.commands, ['Put raw/_sluice/owner.json']);
  });

  it('is nobody where nobody claimed it', async () => {
    assert.equal(await readOwner(s3.store(lake)), undefined);
    await claimLake(s3.store(lake), ours);
    assert.deepEqual(await readOwner(s3.store(lake)), ours);
  });

  for (const text of [
    '',
    'null',
    '[]',
    '{"pipeline":"orders"}',
    '{"pipeline":"orders","lane":1,"run":"x"}',
  ]) {
    it(`can not be told from ${JSON.stringify(text)}, and says what to do`, async () => {
      s3.put('raw/_sluice/owner.json', text);
      await assert.rejects(readOwner(s3.store(lake)), {
        message:
          's3://lake/raw/_sluice/owner.json does not say who writes there: put back what a lane wrote or, if nothing lies ' +
          'under s3://lake/raw, delete it',
      });
    });
  }

  it('changes only for one who takes the place of the owner that is there', async () => {
    const store = s3.store(lake);
    await claimLake(store, ours);
    assert.deepEqual(await takeOverLake(store, others, 'default/run-0'), ours);
    assert.deepEqual(await takeOverLake(store, others, ours.run), others);
    assert.deepEqual(await takeOverLake(store, others, ours.run), others, 'it can be done twice');
    assert.deepEqual(await readOwner(store), others);
  });

  it('is claimed by one who wants to take it over from somebody who never had it', async () => {
    assert.deepEqual(await takeOverLake(s3.store(lake), others, ours.run), others);
  });

  it('is one alone, where two take it over at once', async () => {
    const store = s3.store(lake);
    await claimLake(store, ours);
    const third = { ...others, run: 'default/run-3' };
    s3.before = (command) => {
      s3.before = () => {};
      // Just after it was read.
      if (command.startsWith('Get'))
        queueMicrotask(() => s3.put('raw/_sluice/owner.json', JSON.stringify(third)));
    };
    assert.deepEqual(await takeOverLake(store, others, ours.run), third);
  });

  it('is not decided when S3 refuses or is away', async () => {
    for (const [name, status] of [
      ['AccessDenied', 403],
      ['SlowDown', 503],
    ] as const) {
      s3.before = () => {
        throw s3Error(name, status);
      };
      await assert.rejects(claimLake(s3.store(lake), ours), { name });
      await assert.rejects(readOwner(s3.store(lake)), { name });
    }
  });
});
