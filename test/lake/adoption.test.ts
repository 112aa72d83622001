import assert from 'node:assert/strict';
import { type Adoption, keepAdoption, readAdoptions } from '../../src/lake/adoption';
import { adoptionKey, classify } from '../../src/lake/layout';
import { MemoryBucket } from '../support/memory-bucket';

const LAKE = { bucket: 'lake', prefix: 'raw' };
const LIFE = { lane: 0, incarnation: '9a9a9a9a' };
const ADOPTION: Adoption = {
  pipeline: 'orders',
  run: 'default/run-2',
  time: '2026-01-31T12:00:00.000Z',
  closed: [{ lane: 0, incarnation: '1a2b3c4d', last: 10, missing: [8] }],
};

describe('What a lane writes down that takes over a lake', () => {
  const objectOf = (life = LIFE) => {
    const object = classify('raw', { key: adoptionKey('raw', life), modifiedAt: 0 });
    assert.ok(object.kind === 'adoption');
    return object;
  };

  it('can be read, and stays as it was written first', async () => {
    const store = new MemoryBucket().store(LAKE);
    await keepAdoption(store, LIFE, ADOPTION);
    await keepAdoption(store, LIFE, { ...ADOPTION, closed: [] });
    assert.deepEqual(await readAdoptions(store, [objectOf()]), [{ object: objectOf(), adoption: ADOPTION }]);
  });

  it('is named after the lane that took over', () => {
    assert.equal(adoptionKey('raw', LIFE), 'raw/_sluice/adoptions/9a9a9a9a.json');
    assert.equal(adoptionKey('', { ...LIFE, lane: 7 }), '_sluice/adoptions/l7-9a9a9a9a.json');
    const { lane, incarnation } = objectOf({ ...LIFE, lane: 7 });
    assert.deepEqual([lane, incarnation], [7, '9a9a9a9a']);
  });

  for (const text of [
    '',
    '[]',
    '{}',
    JSON.stringify({ ...ADOPTION, closed: [{ lane: 0 }] }),
    JSON.stringify({ ...ADOPTION, closed: 'all' }),
  ]) {
    it(`is not what ${JSON.stringify(text.slice(0, 30))} says`, async () => {
      const s3 = new MemoryBucket();
      s3.put(adoptionKey('raw', LIFE), text);
      const [read] = await readAdoptions(s3.store(LAKE), [objectOf()]);
      assert.equal(read?.adoption, undefined);
    });
  }
});
