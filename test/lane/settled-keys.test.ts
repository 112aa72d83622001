import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { SettledKeys } from '../../src/lane/settled-keys';

/** As it must be: all keys in one list, by when they were seen. */
class InOneList {
  readonly all: [key: string, seen: number][] = [];

  add(key: string, seen: number): void {
    const behind = this.all.findIndex(([, other]) => other > seen);
    this.all.splice(behind < 0 ? this.all.length : behind, 0, [key, seen]);
  }

  delete(key: string): boolean {
    const at = this.all.findIndex(([other]) => other === key);
    if (at >= 0) this.all.splice(at, 1);
    return at >= 0;
  }
}

describe('Settled keys', () => {
  it('are taken in the order in which they were seen, whenever they were added', () => {
    const keys = new SettledKeys();
    keys.add('second', 2);
    keys.add('third', 3);
    keys.add('first', 1);
    keys.add('fourth', 4);
    assert.deepEqual(
      [1, 2, 3, 4, 5].map(() => keys.takeOldest()),
      ['first', 'second', 'third', 'fourth', undefined],
    );
  });

  it('are those that one sorted list would hold, whatever is added, deleted and taken', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ what: fc.constant('in time' as const) }) },
      {
        weight: 3,
        arbitrary: fc.record({ what: fc.constant('late' as const), by: fc.integer({ min: 1, max: 50 }) }),
      },
      { weight: 2, arbitrary: fc.record({ what: fc.constant('delete' as const), at: fc.nat(200) }) },
      { weight: 3, arbitrary: fc.record({ what: fc.constant('take' as const) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const keys = new SettledKeys();
        const expected = new InOneList();
        let now = 0;
        let names = 0;
        /** No two are seen at once, so that the order is one only. */
        const add = (seen: number): void => {
          const key = `k${(names += 1)}`;
          const apart = seen + names / 1_000;
          keys.add(key, apart);
          expected.add(key, apart);
        };
        for (const each of steps) {
          if (each.what === 'in time') add((now += 1));
          else if (each.what === 'late') add(now - each.by);
          else if (each.what === 'take') assert.equal(keys.takeOldest(), expected.all.shift()?.[0]);
          else {
            const key = `k${each.at}`;
            const isThere = expected.delete(key);
            assert.equal(keys.has(key), isThere);
            assert.equal(keys.delete(key), isThere);
          }
          assert.equal(keys.size, expected.all.length);
        }
        assert.deepEqual(keys.entries(), expected.all);
      }),
    );
  });

  it('hold a key that is deleted and added anew at its new place only', () => {
    const keys = new SettledKeys();
    keys.add('a', 1);
    keys.add('b', 2);
    keys.add('late', 0);
    for (const [key, seen] of [
      ['a', 3],
      ['late', 4],
    ] as const) {
      assert.ok(keys.delete(key));
      keys.add(key, seen);
    }
    assert.deepEqual(
      [1, 2, 3, 4].map(() => keys.takeOldest()),
      ['b', 'a', 'late', undefined],
    );
  });

  it('keep no place for what is gone, however many settle late', () => {
    const keys = new SettledKeys();
    keys.add('newest', 1e9);
    for (let n = 0; n < 20_000; n += 1) {
      keys.add(`late ${n}`, n);
      if (n >= 10) assert.equal(keys.takeOldest(), `late ${n - 10}`);
    }
    assert.equal(keys.size, 11);
  });
});
