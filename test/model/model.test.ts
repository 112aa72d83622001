import assert from 'node:assert/strict';
import { ORDERS } from './queue';
import { runOnce } from './run';

/** Of each order. */
const SEEDS = 40;
const SCALE = 50;

describe('A lane in virtual time', () => {
  for (const [index, order] of ORDERS.entries()) {
    it(`writes every event once, over faults and people, where the queue’s order is ${order}`, () => {
      for (let seed = index * SEEDS + 1; seed <= (index + 1) * SEEDS; seed += 1) {
        const { problems } = runOnce({ seed, scale: SCALE, wanted: { order } });
        assert.deepEqual(problems, [], `npm run model -- --seeds ${seed} --order ${order}`);
      }
    });
  }

  it('tells the life of one event', () => {
    const lines: string[] = [];
    const say = (line: string) => void lines.push(line);
    runOnce({ seed: 7, scale: SCALE, wanted: {}, trace: 17, say });
    for (const words of [/sent in m\d+/, /handed out/, /row of object \d+/, /is deleted/, /stop/]) {
      assert.ok(
        lines.some((line) => words.test(line)),
        `${words}`,
      );
    }
  });

  it('lives the same life again from the same seed', () => {
    const once = () => runOnce({ seed: 7, scale: SCALE, wanted: {} });
    assert.deepEqual(once(), once());
  });
});
