import assert from 'node:assert/strict';
import { keepCursor, type KeptCursor, readCursor } from '../../src/lake/kept-cursor';
import { NO_GAPS } from '../../src/sources/gaps';
import { s3Error } from '../support/fake-store';
import { MemoryBucket } from '../support/memory-bucket';

const LAKE = { bucket: 'lake', prefix: 'raw' };
const KEPT: KeptCursor = {
  pipeline: 'orders',
  source: { url: 'https://example.org/stream' },
  queue: { name: 'orders', createdAt: 1_700_000_000_000 },
  time: '2026-01-31T12:00:00.000Z',
  cursor: { since: 5, positions: { 'topic/0': { offset: 17 } }, recent: { 'topic/0': '00000000000000aa' } },
  completeness: { 'topic/0': { next: 18, holes: [[3, 4, 5]], lost: 0, unreadable: 0, jumps: 0 } },
  gaps: NO_GAPS,
};

describe('The cursor that a lake keeps', () => {
  it('is the last one that was written', async () => {
    const s3 = new MemoryBucket();
    const store = s3.store(LAKE);
    assert.equal(await readCursor(store), undefined);
    await keepCursor(store, KEPT);
    const moved = { ...KEPT, cursor: { ...KEPT.cursor, positions: { 'topic/0': { offset: 18 } } } };
    await keepCursor(store, moved);
    assert.deepEqual(await readCursor(store), moved);
    assert.deepEqual([...s3.objects.keys()], ['raw/_sluice/cursor.json']);
  });

  for (const wrong of [
    'no JSON',
    'null',
    '{}',
    JSON.stringify({ ...KEPT, cursor: { since: 5 } }),
    JSON.stringify({ ...KEPT, gaps: [] }),
    JSON.stringify({ ...KEPT, source: 'https://example.org/stream' }),
    JSON.stringify({ ...KEPT, queue: {} }),
    JSON.stringify({ ...KEPT, completeness: null }),
  ]) {
    it(`is none where there is ${wrong.slice(-40)}`, async () => {
      const s3 = new MemoryBucket();
      s3.put('raw/_sluice/cursor.json', wrong);
      assert.equal(await readCursor(s3.store(LAKE)), undefined);
    });
  }

  it('is not known where S3 does not answer', async () => {
    const s3 = new MemoryBucket();
    s3.before = () => {
      throw s3Error('SlowDown', 503);
    };
    await assert.rejects(readCursor(s3.store(LAKE)), { name: 'SlowDown' });
  });
});
