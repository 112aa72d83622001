import assert from 'node:assert/strict';
import { LIMITS } from '../../src/lane/limits';
import { DrivenLane, eventsOf, HOPELESS, messagesOf, PASSING, TEN, THREE } from '../support/driven-lane';

const { lookAgainMs } = LIMITS;

/** It holds one row. */
function withARow(): DrivenLane {
  const lane = DrivenLane.claimed(THREE);
  lane.received(messagesOf(1));
  return lane;
}

describe('The claim of a lane', () => {
  it('goes before all else', () => {
    const lane = new DrivenLane();
    assert.deepEqual([lane.doing, lane.status.claim], [['claim'], 'never']);
    lane.claimed();
    assert.deepEqual([lane.doing, lane.status.claim], [['receive'], 'held']);
  });

  it('is looked at again by the next run before it receives', () => {
    const lane = withARow();
    lane.windUp();
    lane.received([]);
    lane.continueAsNew();
    assert.deepEqual([lane.doing, lane.status.claim], [['claim'], 'held']);
    lane.claimed();
    assert.deepEqual(lane.doing, ['receive']);
  });

  it('is looked at again after an hour, and what is under way goes on', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.pass(lookAgainMs - 1);
    lane.received([]);
    assert.deepEqual(lane.doing, ['receive']);
    lane.pass(1);
    lane.received(messagesOf(3));
    assert.deepEqual(lane.doing, ['claim', 'upload']);
    lane.finish();
    lane.pass(5_000);
    lane.finish();
    assert.deepEqual([lane.doing, lane.status.counts.rows], [['claim'], 3]);
    lane.claimed();
    assert.deepEqual(lane.doing, ['receive']);
    lane.received([]);
    assert.deepEqual(lane.doing, ['receive'], 'not for another hour');
  });

  it('is kept where nobody answered a later look, which tells nothing', () => {
    const lane = DrivenLane.claimed();
    lane.pass(lookAgainMs);
    lane.received([]);
    lane.claimed(PASSING);
    assert.deepEqual([lane.status.activity, lane.doing], ['running', ['receive']]);
  });

  it('is lost where a later look is refused: the lane parks', () => {
    const lane = withARow();
    lane.pass(lookAgainMs);
    lane.received([]);
    lane.claimed(HOPELESS);
    assert.deepEqual(
      [lane.status.activity, lane.status.problem, lane.status.claim, lane.doing],
      ['parked', 'AccessDenied', 'open', []],
    );
  });

  it('parks the lane where nobody answers the first look', () => {
    const lane = new DrivenLane();
    lane.claimed(PASSING);
    assert.equal(lane.status.activity, 'parked');
  });

  for (const [what, meet] of [
    ['the queue could not be read', (lane: DrivenLane) => lane.receiveFailed(HOPELESS)],
    [
      'an object could not be written',
      (lane: DrivenLane) => (lane.received(messagesOf(10)), lane.uploaded(HOPELESS), lane.received([])),
    ],
    [
      'messages could not be deleted',
      (lane: DrivenLane) => (
        lane.received(messagesOf(10)),
        lane.uploaded(),
        lane.deleted(HOPELESS),
        lane.received([])
      ),
    ],
    [
      'the queue could not be measured',
      (lane: DrivenLane) => (
        lane.received([]),
        lane.tell((told) => told.stop()),
        lane.claimed(),
        lane.received([]),
        lane.measureFailed(HOPELESS)
      ),
    ],
  ] as const) {
    it(`is made anew once ${what}, for good: it may have been made again, and be nobody’s`, () => {
      const lane = DrivenLane.claimed(TEN);
      meet(lane);
      assert.deepEqual([lane.status.activity, lane.status.claim], ['parked', 'open']);
      lane.pass(30_000);
      assert.deepEqual(lane.doing, ['claim']);
      lane.claimed();
      assert.equal(lane.status.claim, 'held');
      assert.notDeepEqual(lane.doing, []);
    });
  }
});

describe('A lane that could never claim', () => {
  it('is stopped as soon as it is asked to, and says why it has read nothing', () => {
    const lane = new DrivenLane();
    lane.claimed(HOPELESS);
    lane.tell((told) => told.stop());
    assert.deepEqual(lane.doing, ['claim'], 'it may be its own by now');
    lane.claimed(HOPELESS);
    const { activity, problem, claim } = lane.status;
    assert.deepEqual([activity, problem, claim], ['stopped', 'AccessDenied', 'never']);
    lane.pass(3_600_000);
    assert.deepEqual([lane.status.activity, lane.doing], ['stopped', []]);
  });

  it('drains where it can claim by the time at which it is stopped', () => {
    const lane = new DrivenLane({ ...THREE, drainQuietSeconds: 0 });
    lane.claimed(HOPELESS);
    lane.tell((told) => told.stop());
    lane.claimed();
    lane.received(messagesOf(2));
    lane.received([]);
    assert.deepEqual(eventsOf(lane.next('upload')), [1, 2]);
    lane.finish();
    lane.received([]);
    lane.measured();
    assert.deepEqual([lane.status.activity, lane.status.problem], ['stopped', undefined]);
  });

  it('goes on trying to stop where nobody answers', () => {
    const lane = new DrivenLane();
    lane.tell((told) => told.stop());
    lane.claimed(PASSING);
    assert.equal(lane.status.activity, 'parked');
    lane.pass(30_000);
    lane.claimed(HOPELESS);
    assert.equal(lane.status.activity, 'stopped');
  });

  it('claims again when it is started', () => {
    const lane = new DrivenLane();
    lane.tell((told) => told.stop());
    lane.claimed(HOPELESS);
    lane.tell((told) => told.start());
    assert.deepEqual([lane.status.activity, lane.doing], ['running', ['claim']]);
    lane.claimed();
    assert.deepEqual([lane.status.problem, lane.doing], [undefined, ['receive']]);
  });

  it('is stopped in the next run, too', () => {
    const lane = new DrivenLane();
    lane.tell((told) => told.stop());
    lane.claimed(HOPELESS);
    lane.windUp();
    lane.continueAsNew();
    const { activity, problem, claim } = lane.status;
    assert.deepEqual([activity, problem, claim], ['stopped', 'AccessDenied', 'never']);
  });
});

describe('A lane that had claimed, and can not any more', () => {
  it('does not count as stopped: what is in its queue is not in the lake', () => {
    const lane = withARow();
    lane.received([]);
    lane.receiveFailed(HOPELESS);
    lane.tell((told) => told.stop());
    lane.claimed(HOPELESS);
    const { activity, rowsWaiting } = lane.status;
    assert.deepEqual([activity, rowsWaiting], ['parked', 1]);
  });

  it('may end where it is removed all the same, and begins nothing then', () => {
    const lane = withARow();
    lane.receiveFailed(HOPELESS);
    lane.tell((told) => told.stop());
    lane.claimed(HOPELESS);
    lane.tell((told) => told.remove());
    assert.equal(lane.lane.mayEnd, true);
    lane.pass(30_000);
    assert.deepEqual(lane.doing, []);
  });

  it('waits for the end of a look before it ends: a claim that is made later would stay', () => {
    const lane = withARow();
    lane.receiveFailed(HOPELESS);
    lane.tell((told) => told.stop());
    lane.tell((told) => told.remove());
    assert.equal(lane.lane.mayEnd, false);
    lane.claimed(PASSING);
    assert.equal(lane.lane.mayEnd, true);
  });
});
