import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { Pace } from '../../src/queue/pace';

const WANTED = 100;
const PER_POLL = 10;
const ANSWER_MS = 10;

interface Stream {
  /** Between clumps of messages that are sent at once. */
  everyMs: number;
  clump: number;
  /** By how much the queue's clock is ahead. */
  skewMs: number;
}

/** A receive of a hundred messages that begins with an empty queue; a long poll returns with the first message that comes. */
function receive({ everyMs, clump, skewMs }: Stream): { tookMs: number; polls: number } {
  const sentAt = (index: number) => everyMs * (1 + Math.floor(index / clump));
  const pace = new Pace();
  let [now, count, polls] = [0, 0, 0];
  for (;;) {
    const waiting = Array.from({ length: WANTED }, (_, index) => sentAt(index)).filter((at) => at <= now);
    const isEmpty = waiting.length <= count;
    const before = count;
    if (isEmpty) now = sentAt(count);
    count = isEmpty ? count + 1 : Math.min(waiting.length, count + PER_POLL);
    const times = Array.from({ length: count - before }, (_, index) => sentAt(before + index) + skewMs);
    polls += 1;
    now += ANSWER_MS;
    if (count >= WANTED) return { tookMs: now, polls };
    pace.saw(times, count);
    now += pace.pauseMs(now);
  }
}

describe('The pace of polls', () => {
  it('takes a hundred messages soon after the last was sent, in few polls', () => {
    for (const [everyMs, clump] of [
      [200, 10],
      [20, 1],
      [100, 5],
    ] as const) {
      const { tookMs, polls } = receive({ everyMs, clump, skewMs: 0 });
      assert(tookMs < 2_000 + 300, `${tookMs} ms, of ${clump} at once`);
      assert(polls <= 14, `${polls} polls, of ${clump} at once`);
    }
  });

  it('never waits longer than a second, nor less than not at all, whatever the clocks say', () => {
    const time = fc.integer({ min: -100_000, max: 100_000 });
    fc.assert(
      fc.property(fc.array(fc.tuple(time, fc.nat({ max: 10 }))), time, (polls, now) => {
        const pace = new Pace();
        let count = 0;
        for (const [sentAt, more] of polls) pace.saw([sentAt], (count += more));
        const pause = pace.pauseMs(now);
        assert(pause >= 0 && pause <= 1_000, String(pause));
      }),
    );
  });

  it('tells how many polls should come back full', () => {
    const pace = new Pace();
    const times = (from: number) => Array.from({ length: 10 }, (_, index) => from + 2 * index);
    assert.equal(pace.fullPolls(1_000), 0, 'nothing is known');
    pace.saw([500, 500, 500], 3);
    assert.equal(pace.fullPolls(1_000), 0, 'three that were sent at once tell nothing');
    pace.saw(times(520), 13);
    assert.equal(pace.fullPolls(538), 0);
    // 10 in 38 ms.
    assert.equal(pace.fullPolls(538 + 37), 0);
    assert.equal(pace.fullPolls(538 + 39), 1);
    assert.equal(pace.fullPolls(538 + 200), 5);
    assert.equal(pace.fullPolls(0), 0, 'the clocks differ');
  });

  it('waits for nothing after ten that were sent at once', () => {
    const pace = new Pace();
    pace.saw(Array<number>(9).fill(500), 9);
    assert.equal(pace.pauseMs(510), 200);
    const full = new Pace();
    full.saw(Array<number>(10).fill(500), 10);
    assert.equal(full.pauseMs(510), 0);
  });

  it('does not let a receive drag on where the clocks differ', () => {
    for (const skewMs of [-5_000, -300, 300, 5_000]) {
      const { tookMs } = receive({ everyMs: 200, clump: 10, skewMs });
      assert(tookMs < 2_000 + 500, `${tookMs} ms with ${skewMs} ms between the clocks`);
    }
  });
});
