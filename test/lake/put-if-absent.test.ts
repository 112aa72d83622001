import assert from 'node:assert/strict';
import { putIfAbsent } from '../../src/lake/put-if-absent';
import { s3Error } from '../support/fake-s3';
import { MemoryS3 } from '../support/memory-s3';

const LAKE = { bucket: 'lake' };
const OBJECT = { Key: 'raw/a.csv', Body: 'one', ContentType: 'text/csv' };

describe('an object that is written unless its key is taken', () => {
  it('tells whether it was written, and never replaces another', async () => {
    const s3 = new MemoryS3();
    assert.equal(await putIfAbsent(s3.client, LAKE, OBJECT), true);
    assert.equal(await putIfAbsent(s3.client, LAKE, { ...OBJECT, Body: 'two' }), false);
    assert.equal(s3.text('raw/a.csv'), 'one');
  });

  it('is tried again while another request writes the same key', async () => {
    const s3 = new MemoryS3();
    answerFirst(s3, 2);
    assert.equal(await putIfAbsent(s3.client, LAKE, OBJECT), true);
    assert.equal(s3.commands.length, 3);
    assert.equal(s3.text('raw/a.csv'), 'one');
  });

  it('gives up on a key that is always being written, with the answer of S3', async () => {
    const s3 = new MemoryS3();
    answerFirst(s3, Infinity);
    await assert.rejects(putIfAbsent(s3.client, LAKE, OBJECT), { name: 'ConditionalRequestConflict' });
    assert.equal(s3.commands.length, 5);
  });

  it('waits no longer once it is to end', async () => {
    const s3 = new MemoryS3();
    const ended = new AbortController();
    s3.before = () => {
      ended.abort();
      throw s3Error('ConditionalRequestConflict', 409);
    };
    const options = { abortSignal: ended.signal };
    await assert.rejects(putIfAbsent(s3.client, LAKE, OBJECT, options), { name: 'AbortError' });
    assert.equal(s3.commands.length, 1);
  });
});

function answerFirst(s3: MemoryS3, conflicts: number): void {
  let left = conflicts;
  s3.before = () => {
    left -= 1;
    if (left >= 0) throw s3Error('ConditionalRequestConflict', 409);
  };
}
