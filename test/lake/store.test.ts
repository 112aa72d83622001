import assert from 'node:assert/strict';
import { LakeStore } from '../../src/lake/store';
import { refusal, type S3Request, type S3Response, s3Client } from '../support/s3-client';

const LAKE = { bucket: 'lake', prefix: 'raw' };
const OBJECT = { key: 'raw/a.csv', body: 'one', contentType: 'text/csv' };

/** An S3 that answers in turn, the last answer from then on, and what it was asked. */
function stub(...answers: S3Response[]) {
  const asked: S3Request[] = [];
  const s3 = s3Client((request) => {
    asked.push(request);
    return answers[Math.min(asked.length, answers.length) - 1] ?? {};
  });
  return { asked, s3, store: new LakeStore(s3, LAKE) };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('An object that tells how things stand', () => {
  it('is written in any case, or only as it was read', async () => {
    const { asked, store } = stub();
    assert.equal(await store.replace(OBJECT), true);
    assert.equal(await store.replace(OBJECT, { etag: '"tag"' }), true);
    assert.deepEqual(
      asked.map(({ headers }) => [headers['if-match'], headers['if-none-match']]),
      [
        [undefined, undefined],
        ['"tag"', undefined],
      ],
    );
  });

  for (const [status, code] of [
    [412, 'PreconditionFailed'],
    [404, 'NoSuchKey'],
  ] as const) {
    it(`is not written where it is another one by now (${code})`, async () => {
      const { store } = stub(refusal(status, code));
      assert.equal(await store.replace(OBJECT, { etag: '"tag"' }), false);
    });
  }

  it('is not written where S3 refuses it, which is told', async () => {
    const { store } = stub(refusal(403, 'AccessDenied'));
    await assert.rejects(store.replace(OBJECT, { etag: '"tag"' }), { name: 'AccessDenied' });
  });
});

const CONFLICT = refusal(409, 'ConditionalRequestConflict');

describe('An object that is written unless its key is taken', () => {
  it('is written with what stands beside it, on that condition', async () => {
    const { asked, store } = stub();
    const metadata = { 'sluice-digest': 'd' };
    assert.equal(await store.putIfAbsent({ ...OBJECT, metadata }), true);
    const { method, path, headers } = asked[0] ?? {};
    assert.deepEqual([method, path], ['PUT', '/lake/raw/a.csv']);
    assert.equal(headers?.['if-none-match'], '*');
    assert.equal(headers['content-type'], 'text/csv');
    assert.equal(headers['x-amz-meta-sluice-digest'], 'd');
    assert.equal(headers['x-amz-acl'], undefined);
  });

  it('has the ACL that the pipeline asks for', async () => {
    const { asked, s3 } = stub();
    await new LakeStore(s3, { ...LAKE, acl: 'bucket-owner-full-control' }).putIfAbsent(OBJECT);
    assert.equal(asked[0]?.headers['x-amz-acl'], 'bucket-owner-full-control');
  });

  it('stays as it is where the key is taken', async () => {
    const { store } = stub(refusal(412, 'PreconditionFailed'));
    assert.equal(await store.putIfAbsent(OBJECT), false);
  });

  it('is tried again while another request writes the same key', async () => {
    const { asked, store } = stub(CONFLICT, CONFLICT, {});
    assert.equal(await store.putIfAbsent(OBJECT), true);
    assert.equal(asked.length, 3);
  });

  it('gives up on a key that is always being written, with the answer of S3', async () => {
    const { asked, store } = stub(CONFLICT);
    await assert.rejects(store.putIfAbsent(OBJECT), { name: 'ConditionalRequestConflict' });
    assert.equal(asked.length, 5);
  });

  it('waits no longer once it is to end', async () => {
    const ended = new AbortController();
    let asked = 0;
    const s3 = s3Client(() => {
      asked += 1;
      ended.abort();
      return CONFLICT;
    });
    const options = { abortSignal: ended.signal };
    await assert.rejects(new LakeStore(s3, LAKE).putIfAbsent(OBJECT, options), { name: 'AbortError' });
    assert.equal(asked, 1);
  });

  for (const [status, name] of [
    [404, 'NoSuchBucket'],
    [403, 'AccessDenied'],
    [500, 'InternalError'],
  ] as const) {
    it(`fails with what S3 answers: ${name}`, async () => {
      const { store } = stub(refusal(status, name));
      await assert.rejects(store.putIfAbsent(OBJECT), { name });
    });
  }
});

describe('A store', () => {
  it('reads an object with its tag and its metadata, and nothing where there is none', async () => {
    const headers = { etag: '"tag"', 'x-amz-meta-sluice-rows': '1' };
    const { store } = stub({ body: 'one', headers }, refusal(404, 'NoSuchKey'));
    const found = await store.read('raw/a.csv');
    assert.deepEqual([Buffer.from(found?.body ?? '').toString(), found?.etag], ['one', '"tag"']);
    assert.deepEqual(found?.metadata, { 'sluice-rows': '1' });
    assert.equal(await store.read('raw/b.csv'), undefined);
  });

  it('tells what was written beside an object', async () => {
    const { asked, store } = stub({ headers: { 'x-amz-meta-sluice-digest': 'd' } });
    assert.deepEqual(await store.metadata('raw/a.csv'), { 'sluice-digest': 'd' });
    assert.equal(asked[0]?.method, 'HEAD');
  });

  it('lists all pages, from where it is told to where it is told', async () => {
    const page = (keys: string[], next?: string) => {
      const contents = keys.map(
        (key) =>
          `<Contents><Key>${key}</Key><LastModified>2026-01-31T12:00:00.000Z</LastModified></Contents>`,
      );
      const token = next === undefined ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`;
      return { body: `<ListBucketResult>${contents.join('')}${token}</ListBucketResult>` };
    };
    const { asked, store } = stub(page(['raw/1', 'raw/2'], 'more'), page(['raw/3', 'raw/4'], 'and more'));
    const part = { prefix: 'raw/', startAfter: 'raw/0', end: 'raw/4' };
    assert.deepEqual(
      await all(store.list(part)),
      ['raw/1', 'raw/2', 'raw/3'].map((key) => ({ key, modifiedAt: Date.UTC(2026, 0, 31, 12) })),
    );
    assert.deepEqual(
      asked.map(({ query }) => [query['prefix'], query['start-after'], query['continuation-token']]),
      [
        ['raw/', 'raw/0', undefined],
        ['raw/', 'raw/0', 'more'],
      ],
    );
  });

  it('deletes an object as it was read, and tells where it is another one', async () => {
    const { asked, store } = stub({}, refusal(412, 'PreconditionFailed'), refusal(404, 'NoSuchKey'), {});
    const deleted = [];
    for (let n = 0; n < 3; n += 1) deleted.push(await store.delete('raw/a', { etag: '"tag"' }));
    assert.deepEqual(deleted, [true, false, true]);
    assert.equal(asked[0]?.headers['if-match'], '"tag"');
    assert.equal(await store.delete('raw/a'), true);
    assert.equal(asked.at(-1)?.headers['if-match'], undefined);
  });

  it('tells whether its bucket is there, and makes one in the region of the client', async () => {
    const { store } = stub({}, refusal(404, 'NotFound'), refusal(403, 'Forbidden'));
    assert.deepEqual([await store.bucketExists(), await store.bucketExists()], [true, false]);
    await assert.rejects(store.bucketExists());
    const { asked, store: unmade } = stub();
    await unmade.createBucket();
    assert.deepEqual([asked[0]?.method, asked[0]?.path], ['PUT', '/lake/']);
  });
});
