import assert from 'node:assert/strict';
import { isAlreadyThere } from '../../src/lake/put-if-absent';
import { keepCanary, keepRejected, type Rejected } from '../../src/lake/kept';
import { readKeptEvent } from '../../src/lake/reader';
import { FakeS3, s3Error } from '../support/fake-s3';
import { sha256 } from '../support/sha256';

const lake = { bucket: 'lake', prefix: 'raw' };
const rejected: Rejected = {
  reason: 'not-json',
  detail: 'cut off',
  source: 'http://source',
  id: '[1]',
  key: 'k-1',
  text: 'é{"half',
};

describe('A rejected event', () => {
  it('is kept whole with its reason, named by the SHA-256 of its key', async () => {
    const s3 = new FakeS3();
    const before = Date.now();
    await keepRejected(s3, lake, rejected);
    const [[key, body] = ['', '']] = s3.objects;
    assert.equal(key, `raw/rejected/${sha256(rejected.key)}.json`);
    const { time, ...kept } = JSON.parse(body) as Record<string, string>;
    assert.deepEqual(kept, rejected);
    assert(Date.parse(time ?? '') >= before && Date.parse(time ?? '') <= Date.now());
    assert.equal(s3.puts[0]?.Bucket, 'lake');
    assert.equal(s3.puts[0].ContentType, 'application/json');
  });

  it('stays as it was when it comes again, from wherever', async () => {
    const s3 = new FakeS3();
    await keepRejected(s3, { bucket: 'lake', prefix: '' }, rejected);
    const before = new Map(s3.objects);
    await keepRejected(s3, { bucket: 'lake', prefix: '' }, { ...rejected, source: 'queue', detail: 'other' });
    assert.deepEqual(s3.objects, before);
    assert.deepEqual([...before.keys()], [`rejected/${sha256(rejected.key)}.json`]);
    await keepRejected(s3, { bucket: 'lake', prefix: '' }, { ...rejected, key: 'k-2' });
    assert.equal(s3.objects.size, 2);
  });

  it('is one of a hundred with the same text, with what the source knows of each', async () => {
    const s3 = new FakeS3();
    const first = { ...rejected, key: 't/0/7', record: { topic: 't', partition: 0, offset: 7, from: 7 } };
    await keepRejected(s3, lake, first);
    // What lies before it may have been compacted since.
    await keepRejected(s3, lake, { ...first, record: { ...first.record, from: 3 } });
    await keepRejected(s3, lake, { ...first, key: 't/0/8', record: { ...first.record, offset: 8, from: 8 } });
    for (let n = 2; n < 100; n += 1) await keepRejected(s3, lake, { ...rejected, key: `k-${n}` });
    assert.equal(s3.objects.size, 100);
    const kept = [...s3.objects.values()].slice(0, 2).map((body) => readKeptEvent(Buffer.from(body)));
    assert.deepEqual(
      kept.map((event) => [event?.text, event?.record]),
      [
        [rejected.text, first.record],
        [rejected.text, { ...first.record, offset: 8, from: 8 }],
      ],
    );
  });

  it('has the ACL that the pipeline asks for, and none otherwise', async () => {
    const s3 = new FakeS3();
    await keepRejected(s3, { ...lake, acl: 'bucket-owner-full-control' }, rejected);
    await keepRejected(s3, lake, { ...rejected, key: 'other' });
    assert.deepEqual(
      s3.puts.map((put) => 'ACL' in put && put.ACL),
      ['bucket-owner-full-control', false],
    );
  });

  for (const [name, status] of [
    ['NoSuchBucket', 404],
    ['AccessDenied', 403],
    ['ConditionalRequestConflict', 409],
    ['InternalError', 500],
  ] as const) {
    it(`says so when it could not be written: ${name}`, async () => {
      const s3 = new FakeS3();
      s3.before = () => {
        throw s3Error(name, status);
      };
      await assert.rejects(keepRejected(s3, lake, rejected), { name });
    });
  }

  it('is already there only when S3 says just that', () => {
    assert(isAlreadyThere(s3Error('PreconditionFailed', 412)));
    for (const other of [s3Error('NoSuchBucket', 404), new Error('PreconditionFailed'), undefined, 'no']) {
      assert(!isAlreadyThere(other));
    }
  });
});

describe('A canary event', () => {
  const canary = { source: 'http://source', id: '[1]', key: 'k-1', text: '{"meta":{"domain":"canary"}}' };

  it('is kept whole beside the rejected ones, named by the SHA-256 of its key', async () => {
    const s3 = new FakeS3();
    await keepCanary(s3, lake, canary);
    const [[key, body] = ['', '']] = s3.objects;
    assert.equal(key, `raw/canaries/${sha256(canary.key)}.json`);
    const { time, ...kept } = JSON.parse(body) as Record<string, string>;
    assert.deepEqual(kept, canary);
    assert(!Number.isNaN(Date.parse(time ?? '')));
  });

  it('stays as it was when it comes again', async () => {
    const s3 = new FakeS3();
    await keepCanary(s3, lake, canary);
    const before = new Map(s3.objects);
    await keepCanary(s3, lake, { ...canary, id: '[2]' });
    assert.deepEqual(s3.objects, before);
  });
});
