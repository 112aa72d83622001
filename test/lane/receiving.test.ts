import assert from 'node:assert/strict';
import { LIMITS } from '../../src/lane/limits';
import type { Received } from '../../src/lane/received';
import { Receiving } from '../../src/lane/receiving';
import type { WaitWork } from '../../src/lane/work';

const SIZE = { rows: 100, most: 300, bytes: LIMITS.receiveBytes };

const answer = (behind: boolean): Received => ({
  messages: [],
  events: [],
  leftInQueue: [],
  from: 0,
  until: 0,
  behind,
  lostPolls: 0,
  refusedPolls: 0,
});

const waitOf = (ms: number): WaitWork => ({ kind: 'wait', why: 'receive', ms, summary: 'a wait' });

describe('Receiving', () => {
  it('keeps room for all rows that the receives under way may bring, until they end', () => {
    const receiving = new Receiving(LIMITS);
    receiving.begin(1, SIZE);
    receiving.begin(2, { ...SIZE, most: 100 });
    assert.deepEqual([receiving.underWay, receiving.rows], [2, 400]);
    receiving.end(1);
    assert.deepEqual([receiving.underWay, receiving.rows], [1, 100]);
  });

  it('keeps the place of a receive that is waited after until that wait is over, and not another one', () => {
    const receiving = new Receiving(LIMITS);
    const wait = waitOf(1_000);
    receiving.begin(1, SIZE);
    receiving.endAfter(1, wait);
    receiving.woke(waitOf(1_000));
    assert.equal(receiving.underWay, 1);
    receiving.woke(wait);
    assert.equal(receiving.underWay, 0);
  });

  it('knows of a backlog what the last receive said, and nothing after a lost one', () => {
    const receiving = new Receiving(LIMITS);
    const seen = [receiving.hasBacklog];
    receiving.answered(answer(true));
    seen.push(receiving.hasBacklog);
    receiving.answered(answer(false));
    seen.push(receiving.hasBacklog);
    receiving.answered(answer(true));
    receiving.lost();
    seen.push(receiving.hasBacklog);
    assert.deepEqual(seen, [false, true, false, false]);
  });

  it('waits twice as long after each receive that fails, fifteen seconds at most, and begins anew after one that works', () => {
    const receiving = new Receiving(LIMITS);
    const waits = Array.from({ length: 6 }, () => receiving.failed());
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    receiving.answered(answer(false));
    assert.equal(receiving.failed(), 1_000);
  });
});
