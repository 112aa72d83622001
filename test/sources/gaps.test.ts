import assert from 'node:assert/strict';
import { connected, describeGaps, type Gaps, judged, keptGap, NO_GAPS } from '../../src/sources/gaps';

const after = (gaps: Gaps, safeUntil: number): Gaps => ({ ...gaps, safeUntil });

describe('The book of gaps', () => {
  it('has none for a first connection, nor for one that resumes', () => {
    const first = connected(NO_GAPS, undefined, 1_000);
    assert.equal(first.count + first.unjudged.length, 0);
    assert.equal(connected(after(first, 2_000), true, 3_000).count, 0);
  });

  it('has one for a connection that resumes nowhere, from what is safe to its beginning', () => {
    const gaps = connected(after(connected(NO_GAPS, false, 1_000), 2_000), false, 3_500);
    assert.equal(gaps.count, 1);
    assert.deepEqual(gaps.recent, [{ from: 2_000, to: 3_500 }]);
    assert.deepEqual(gaps.unkept, gaps.recent);
    assert.equal(gaps.safeUntil, 3_500);
  });

  it('waits for the first event to tell what earlier disconnections were', () => {
    const unjudged = connected(after(connected(NO_GAPS, undefined, 1_000), 1_000), undefined, 2_000);
    assert.deepEqual([unjudged.count, unjudged.unjudged.length], [0, 1]);
    assert.deepEqual([judged(unjudged, true).count, judged(unjudged, true).unjudged.length], [0, 0]);
    assert.deepEqual(judged(unjudged, false).recent, [{ from: 1_000, to: 2_000 }]);
  });

  it('is bounded, and forgets none that no object tells of', () => {
    let gaps = connected(NO_GAPS, false, 0);
    for (let at = 1; at <= 500; at += 1) gaps = connected(after(gaps, at * 10), false, at * 10 + 5);
    assert.equal(gaps.count, 500);
    assert(gaps.recent.length <= 10 && gaps.unkept.length <= 100);
    assert.equal(gaps.unkept[0]?.from, 10);
    assert.equal(gaps.unkept.at(-1)?.to, 5_005);
    const [first] = gaps.unkept;
    assert(first);
    assert.equal(keptGap(gaps, { ...first }).unkept.length, gaps.unkept.length - 1);
  });

  it('takes no step back of the clock for a gap before its own beginning', () => {
    const [gap] = connected(after(NO_GAPS, 5_000), false, 4_000).recent;
    assert(gap && gap.from <= gap.to);
  });

  it('says so to people', () => {
    assert.equal(describeGaps(NO_GAPS), 'no gaps known');
    const gaps = { ...connected(after(NO_GAPS, 0), false, 1_500), dropped: 2 };
    assert.equal(
      describeGaps(gaps),
      '1 possible gaps, the last one from 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:01.500Z; 2 events received and not sent',
    );
  });
});
