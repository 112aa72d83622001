import assert from 'node:assert/strict';
import { DrivenLane, eventsOf, messageOf, messagesOf, TEN, THREE } from '../support/driven-lane';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const CENTURY = 100 * 365 * 24 * HOUR;

/** A lane that does not look again when much time has passed: here it is told so often. */
function claimedOnce(overrides: Parameters<typeof DrivenLane.claimed>[0]): DrivenLane {
  return DrivenLane.claimed(overrides, { limits: { lookAgainMs: Infinity } });
}

/** One receive of ten messages, whose rows are written and which are deleted. */
function writeTen(lane: DrivenLane, from: number): void {
  lane.received(messagesOf(10, from));
  lane.finish();
}

/** What a worker answers whose clock is ahead. */
function at(lane: DrivenLane, aheadMs: number) {
  const now = lane.now + aheadMs;
  return { from: now, until: now, reached: now };
}

describe('A lane that is told a wrong time', () => {
  for (const [what, aheadMs] of [
    ['ten hours ahead', 10 * HOUR],
    ['a century ahead', CENTURY],
  ] as const) {
    it(`once, ${what}, settles what it deletes again with the next answer`, () => {
      const lane = claimedOnce(TEN);
      writeTen(lane, 1);
      lane.pass(SECOND);
      lane.received([], at(lane, aheadMs));
      lane.pass(SECOND);
      lane.received([]);
      assert.equal(lane.status.unsettled, 0);
      writeTen(lane, 11);
      assert.equal(lane.status.unsettled, 0);
      assert.equal(lane.status.counts.lostReceives, 0);
    });

    it(`by a deletion, ${what}, waits for those messages as long as for any, and for no others`, () => {
      const lane = claimedOnce(TEN);
      lane.received(messagesOf(10));
      lane.uploaded();
      lane.deleted({ ok: true, value: { left: [], at: lane.now + aheadMs } });
      assert.equal(lane.status.unsettled, 10);
      for (let waited = 0; waited < 13; waited += 1) {
        lane.received([], { from: lane.now, until: lane.now + 2 * SECOND });
        lane.pass(2 * SECOND);
      }
      assert.equal(lane.status.unsettled, 0);
      writeTen(lane, 11);
      assert.equal(lane.status.unsettled, 0);
    });
  }

  it('by a receive that began before it was asked for, counts it as lost: its messages come back', () => {
    const lane = claimedOnce(THREE);
    lane.pass(SECOND);
    lane.received([]);
    lane.received(messagesOf(3), at(lane, -10 * HOUR));
    assert.equal(lane.status.counts.lostReceives, 1);
    assert.deepEqual(lane.doing, []);
    lane.pass(8 * SECOND);
    lane.received(messagesOf(3));
    assert.deepEqual(eventsOf(lane.next('upload')), [1, 2, 3]);
    assert.equal(lane.status.counts.lostReceives, 1);
  });

  it('by a receive whose times are none, counts it as lost', () => {
    const lane = claimedOnce(THREE);
    const none = JSON.parse(JSON.stringify({ until: NaN })) as { until: number };
    lane.received(messagesOf(3), none);
    assert.deepEqual([lane.status.counts.lostReceives, lane.status.rowsWaiting], [1, 0]);
  });

  it('by a deletion that was done before it was asked for, takes no message for gone', () => {
    const lane = claimedOnce(TEN);
    lane.pass(20 * SECOND);
    lane.received(messagesOf(10));
    lane.uploaded();
    lane.deleted({ ok: true, value: { left: [], at: lane.now - 10 * SECOND } });
    assert.equal(lane.status.unsettled, 10);
  });

  it('goes back with the queue’s clock, when two answers say so, and takes nothing for gone meanwhile', () => {
    const lane = claimedOnce(TEN);
    lane.received(messagesOf(10));
    lane.now -= 3 * HOUR;
    lane.received([]);
    lane.pass(2 * SECOND);
    lane.received([]);
    lane.finish();
    assert.equal(lane.status.unsettled, 10, 'their receipts are of unknown age');
    lane.received(messagesOf(10));
    lane.finish();
    assert.equal(lane.status.unsettled, 0);
  });

  it('writes a row on time whose alarm was set by it', () => {
    const lane = claimedOnce({ batch: { rows: 3, flushAfterSeconds: 60 } });
    lane.received([messageOf('m1', 1)], at(lane, 10 * HOUR));
    lane.pass(SECOND);
    lane.received([]);
    lane.pass(60 * SECOND);
    assert.deepEqual(lane.underWay('upload').map(eventsOf), [[1]]);
    assert.match(lane.next('upload').input.key, /date=2026-01-31\/hour=12/);
  });

  it('ahead, is set right by a person and one answer', () => {
    const lane = claimedOnce(TEN);
    for (let count = 0; count < 2; count += 1) lane.received([], at(lane, 10 * HOUR));
    lane.tell((told) => told.resume());
    lane.claimed();
    lane.received([]);
    lane.received([]);
    writeTen(lane, 1);
    assert.equal(lane.status.unsettled, 0);
    assert.match(lane.status.lastObject ?? '', /date=2026-01-31\/hour=12/);
  });
});

describe('The date in the key of an object', () => {
  it('is that of the next answer, where one told a time years ahead', () => {
    const lane = claimedOnce(THREE);
    lane.received(messagesOf(3), at(lane, CENTURY));
    assert.deepEqual(lane.underWay('upload'), []);
    assert.equal(lane.underWay('measure').length, 1, 'the queue is asked for the time');
    lane.measured();
    assert.match(lane.next('upload').input.key, /date=2026-01-31\/hour=12/);
  });

  it('is years later where two answers say so, as after years', () => {
    const lane = claimedOnce(THREE);
    lane.now += CENTURY;
    lane.received(messagesOf(3));
    assert.deepEqual(lane.underWay('upload'), []);
    lane.measured();
    assert.match(lane.next('upload').input.key, /date=2126-01-0/);
  });

  it('never goes back, also after the lane was set right, and after continue-as-new', () => {
    const lane = claimedOnce(THREE);
    lane.received(messagesOf(3), at(lane, 10 * HOUR));
    assert.match(lane.next('upload').input.key, /hour=22/);
    lane.finish();
    lane.received([]);
    for (let count = 0; count < 2; count += 1) {
      lane.pass(60 * SECOND);
      lane.received(messagesOf(3, 4 + 3 * count));
      assert.match(lane.next('upload').input.key, /hour=22/);
      lane.finish();
      lane.windUp();
      lane.received([]);
      lane.finish();
      lane.continueAsNew();
      lane.claimed();
    }
    lane.pass(11 * HOUR);
    // Once it was led ahead, it believes two answers and not one.
    lane.received([]);
    lane.pass(SECOND);
    lane.received(messagesOf(3, 20));
    assert.match(lane.next('upload').input.key, /hour=23/);
  });
});
