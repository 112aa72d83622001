import assert from 'node:assert/strict';
import { seededRandom } from '../../local/simulated-stream/random';
import { VirtualTime } from './virtual-time';

describe('Virtual time', () => {
  it('lets things happen when they are due, those of one moment in the order in which they were asked for', () => {
    const time = new VirtualTime(1_000);
    const random = seededRandom(1);
    const happened: { due: number; number: number }[] = [];
    for (let number = 0; number < 500; number += 1) {
      const due = 1_000 + random.integer(0, 50);
      time.at(due, () => {
        assert.equal(time.now, due);
        happened.push({ due, number });
      });
    }
    while (time.step());
    const inOrder = [...happened].sort((one, other) => one.due - other.due || one.number - other.number);
    assert.equal(happened.length, 500);
    assert.deepEqual(happened, inOrder);
  });

  it('does at once what was due before, and never goes back', () => {
    const time = new VirtualTime(1_000);
    const seen: number[] = [];
    time.after(10, () => time.at(500, () => seen.push(time.now)));
    while (time.step());
    assert.deepEqual(seen, [1_010]);
  });
});
