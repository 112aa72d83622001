import assert from 'node:assert/strict';
import { Draining } from '../../src/lane/draining';
import type { QueueDepth } from '../../src/lane/work';

const EMPTY: QueueDepth = { visible: 0, notVisible: 0, delayed: 0, retentionSeconds: 345_600, at: 1_000 };

/** Quiet since 1,000. */
function quiet(): Draining {
  const draining = new Draining();
  draining.received(0);
  draining.measure();
  draining.measured(EMPTY, 1_000);
  return draining;
}

describe('Draining', () => {
  it('looks empty after a receive that found nothing, until another finds something or is lost', () => {
    const draining = new Draining();
    const seen = [draining.looksEmpty];
    draining.received(0);
    seen.push(draining.looksEmpty);
    draining.received(3);
    seen.push(draining.looksEmpty);
    draining.received(0);
    draining.receiveLost();
    seen.push(draining.looksEmpty);
    assert.deepEqual(seen, [false, true, false, false]);
  });

  it('looks at the counts once for each empty receive, and receives nothing meanwhile', () => {
    const draining = new Draining();
    draining.received(0);
    draining.measure();
    assert.equal(draining.isMeasuring, true);
    draining.measured(EMPTY, 1_000);
    assert.deepEqual([draining.isMeasuring, draining.looksEmpty], [false, false]);
  });

  it('counts the quiet from the first of the measurements in a row that found nothing', () => {
    const draining = quiet();
    assert.equal(draining.measured({ ...EMPTY, at: 1_400 }, 1_400), 400);
    assert.equal(draining.measured({ ...EMPTY, at: 2_000 }, 2_000), 1_000);
  });

  for (const [what, disturb] of [
    ['a message came', (draining: Draining) => draining.received(1)],
    ['a receive was lost', (draining: Draining) => draining.receiveLost()],
    ['the lane was asked to stop once more', (draining: Draining) => draining.begin()],
    ['the queue could not be measured', (draining: Draining) => draining.measured(undefined, 1_500)],
    ...(['visible', 'notVisible', 'delayed'] as const).map(
      (count) =>
        [
          `SQS counted a message that is ${count}`,
          (draining: Draining) => draining.measured({ ...EMPTY, [count]: 1 }, 1_500),
        ] as const,
    ),
  ] as const) {
    it(`counts anew after ${what}`, () => {
      const draining = quiet();
      disturb(draining);
      assert.equal(draining.measured({ ...EMPTY, at: 2_000 }, 2_000), 0);
    });
  }

  it('knows of no quiet where the queue could not be measured, or has messages', () => {
    const draining = quiet();
    assert.equal(draining.measured(undefined, 2_000), undefined);
    assert.equal(draining.measured({ ...EMPTY, notVisible: 1 }, 2_000), undefined);
  });
});
