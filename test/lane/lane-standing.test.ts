import assert from 'node:assert/strict';
import { definitionOf } from '../support/definition';
import {
  BEGAN,
  DrivenLane,
  eventsOf,
  HOPELESS,
  messageOf,
  messagesOf,
  OTHERS,
  PASSING,
  TEN,
  THREE,
} from '../support/driven-lane';

describe('A lane that is paused', () => {
  it('receives no more, and does the rest', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.tell((told) => told.pause());
    assert.deepEqual([lane.status.activity, lane.doing], ['paused', ['receive']]);
    lane.received(messagesOf(3));
    assert.deepEqual(lane.doing, ['upload']);
    lane.finish();
    lane.pass(5_000);
    lane.finish();
    assert.deepEqual([lane.doing, lane.status.counts.rows], [[], 3]);
    lane.tell((told) => told.resume());
    lane.claimed();
    assert.deepEqual(lane.doing, ['receive']);
  });

  it('writes what waits when that is due or it is asked to flush', () => {
    const lane = DrivenLane.claimed({ batch: { rows: 3, flushAfterSeconds: 60 } });
    lane.tell((told) => told.pause());
    lane.received(messagesOf(2));
    lane.pass(60_000);
    assert.deepEqual(eventsOf(lane.next('upload')), [1, 2]);
  });

  it('wakes and drains when it is stopped', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.tell((told) => told.pause());
    lane.received(messagesOf(1));
    assert.deepEqual(lane.doing, []);
    lane.tell((told) => told.stop());
    lane.claimed();
    assert.deepEqual([lane.doing, lane.status.activity], [['receive'], 'stopping']);
  });
});

describe('A lane that is stopped', () => {
  /** It waits for five seconds of quiet. */
  const QUIET = { ...THREE, drainQuietSeconds: 5 };

  function stopping(overrides: Parameters<typeof definitionOf>[0] = QUIET): DrivenLane {
    const lane = DrivenLane.claimed(overrides);
    lane.tell((told) => told.stop());
    lane.claimed();
    return lane;
  }

  /** A receive that finds nothing, and a look at the counts of the queue. */
  function look(lane: DrivenLane, depth: Parameters<DrivenLane['measured']>[0] = {}): string {
    lane.received([]);
    lane.measured(depth);
    return lane.status.activity;
  }

  it('writes the rows that wait once a receive found nothing, and not before', () => {
    const lane = stopping();
    lane.received(messagesOf(2));
    assert.deepEqual(lane.doing, ['receive']);
    lane.received([]);
    assert.deepEqual(eventsOf(lane.next('upload')), [1, 2]);
  });

  it('lets no copy wait for others once a receive found nothing', () => {
    const lane = stopping();
    lane.received(messagesOf(1));
    lane.received([messageOf('copy', 1)]);
    assert.deepEqual(lane.doing, ['receive']);
    lane.received([]);
    assert.deepEqual(lane.deleting, ['copy']);
  });

  it('measures the queue only when nothing is under way, held or unsettled, and receives nothing meanwhile', () => {
    const lane = stopping();
    lane.received(messagesOf(3));
    lane.received([]);
    assert.equal(lane.underWay('measure').length, 0, 'an upload is under way');
    lane.uploaded();
    lane.received([]);
    assert.equal(lane.underWay('measure').length, 0, 'a deletion is under way');
    lane.nothingDeleted();
    lane.received([]);
    assert.equal(lane.underWay('measure').length, 0, 'messages may come back');
    lane.received(messagesOf(3));
    lane.received([]);
    lane.finish();
    lane.received([]);
    assert.deepEqual(lane.doing, ['measure']);
  });

  it('has drained its queue once that has been quiet for long enough, with an empty receive before each look', () => {
    const lane = stopping();
    assert.equal(look(lane), 'stopping');
    lane.pass(4_999);
    assert.equal(look(lane), 'stopping');
    lane.pass(1);
    assert.equal(look(lane), 'stopped');
    assert.deepEqual([lane.doing, lane.waits], [[], []]);
  });

  for (const [what, disturb] of [
    [
      'a message came',
      (lane: DrivenLane) => (lane.received(messagesOf(1)), lane.received([]), lane.finish()),
    ],
    ['a receive was lost', (lane: DrivenLane) => (lane.receiveFailed(), lane.pass(1_000))],
    ['SQS counted a hidden message', (lane: DrivenLane) => void look(lane, { notVisible: 1 })],
    ['it was stopped once more', (lane: DrivenLane) => (lane.tell((told) => told.stop()), lane.claimed())],
  ] as const) {
    it(`counts the quiet anew after ${what}`, () => {
      const lane = stopping();
      look(lane);
      disturb(lane);
      lane.pass(5_000);
      assert.equal(look(lane), 'stopping');
      lane.pass(5_000);
      assert.equal(look(lane), 'stopped');
    });
  }

  for (const drainQuietSeconds of [0, 5]) {
    it(`has not drained a queue that it could not measure, with ${drainQuietSeconds} s of quiet`, () => {
      const lane = stopping({ ...QUIET, drainQuietSeconds });
      lane.received([]);
      lane.measureFailed(PASSING);
      assert.equal(lane.status.activity, 'parked');
      lane.pass(30_000);
      assert.equal(lane.status.activity, 'stopping');
      assert.deepEqual(lane.doing, ['receive'], 'a receive goes before the next look');
      assert.equal(look(lane), drainQuietSeconds === 0 ? 'stopped' : 'stopping');
    });
  }

  it('is not stopped where it was started again meanwhile', () => {
    const lane = stopping({ ...QUIET, drainQuietSeconds: 0 });
    lane.received([]);
    lane.tell((told) => told.start());
    lane.claimed();
    lane.measured();
    assert.deepEqual([lane.status.activity, lane.doing], ['running', ['receive']]);
  });

  it('goes on when started, with the next sequence number, and knows what it wrote', () => {
    const lane = stopping({ ...QUIET, drainQuietSeconds: 0 });
    lane.received(messagesOf(4));
    lane.received([]);
    lane.finish();
    lane.received([]);
    lane.measured();
    assert.equal(lane.status.activity, 'stopped');
    lane.tell((told) => told.start());
    lane.claimed();
    lane.received([
      ...messagesOf(4).map((message) => ({ ...message, id: `copy of ${message.id}` })),
      ...messagesOf(3, 5),
    ]);
    assert.equal(lane.next('upload').sequence, 3);
    assert.deepEqual(eventsOf(lane.next('upload')), [5, 6, 7]);
  });

  it('polls no longer than the quiet that it waits for', () => {
    assert.equal(
      stopping({ queue: { name: 'queue', visibilityTimeoutSeconds: 80 } }).next('receive').input.waitSeconds,
      20,
    );
    const quick = { queue: { name: 'queue', visibilityTimeoutSeconds: 80 }, drainQuietSeconds: 3 };
    const lane = DrivenLane.claimed(quick);
    lane.tell((told) => told.stop());
    lane.claimed();
    lane.received([]);
    lane.measured({ visible: 1 });
    assert.equal(lane.next('receive').input.waitSeconds, 3);
  });

  it('may end where it is removed', () => {
    const lane = stopping({ ...QUIET, drainQuietSeconds: 0 });
    look(lane);
    assert.equal(lane.lane.mayEnd, false);
    lane.tell((told) => told.remove());
    assert.equal(lane.lane.mayEnd, true);
  });
});

describe('A lane whose run ends', () => {
  it('begins no receive, and lets what is under way end', () => {
    const lane = DrivenLane.claimed(TEN);
    lane.received(messagesOf(10));
    lane.windUp();
    assert.deepEqual([lane.doing, lane.lane.mayEnd], [['receive', 'upload'], false]);
    lane.received(messagesOf(10, 11));
    assert.deepEqual(lane.doing, ['upload', 'upload'], 'a batch that is full is written');
    lane.uploaded();
    lane.uploaded();
    assert.equal(lane.lane.mayEnd, false);
    lane.finish();
    assert.deepEqual([lane.doing, lane.lane.mayEnd], [[], true]);
  });

  it('lets no copy wait for others', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received(messagesOf(1));
    lane.received([messageOf('copy', 1)]);
    lane.windUp();
    assert.deepEqual(lane.deleting, ['copy']);
  });

  it('waits for a claim, for settings that are wanted, and for the place of a receive that failed', () => {
    const lane = new DrivenLane();
    lane.windUp();
    assert.equal(lane.lane.mayEnd, false);
    lane.claimed();
    assert.equal(lane.lane.mayEnd, true);

    const changing = DrivenLane.claimed();
    changing.tell((told) => told.want(OTHERS));
    changing.windUp();
    changing.receiveFailed();
    assert.equal(changing.lane.mayEnd, false);
    changing.pass(1_000);
    assert.deepEqual([changing.lane.mayEnd, changing.status.version], [true, 2]);
  });

  it('carries what waits, and the next run writes it when it is due', () => {
    const lane = DrivenLane.claimed({ batch: { rows: 3, flushAfterSeconds: 60 } });
    lane.received(messagesOf(2));
    lane.pass(10_000);
    lane.windUp();
    lane.received([]);
    lane.continueAsNew();
    lane.pass(50_000);
    assert.deepEqual(eventsOf(lane.next('upload')), [1, 2]);
  });

  it('carries a parked batch, which is tried again with the same rows under the same key', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received(messagesOf(3));
    const { input } = lane.next('upload');
    lane.received([]);
    lane.uploaded(HOPELESS);
    lane.received([]);
    lane.windUp();
    lane.continueAsNew();
    assert.deepEqual([lane.status.activity, lane.status.problem, lane.doing], ['parked', 'AccessDenied', []]);
    lane.pass(30_000);
    lane.claimed();
    assert.deepEqual(lane.next('upload').input, input);
    lane.uploaded();
    assert.equal(lane.status.activity, 'running');
  });

  it('carries no receipts of messages that it can not delete now', () => {
    const lane = DrivenLane.claimed(TEN);
    lane.received(messagesOf(20));
    const [one, two] = lane.underWay('upload');
    lane.receiveFailed(HOPELESS);
    lane.uploaded(undefined, two);
    lane.uploaded(HOPELESS, one);
    lane.windUp();
    lane.pass(1_000);
    assert.equal(lane.lane.mayEnd, true);
    const receipts = lane.carried().carried.window.messages.map(([id, , receipt]) => [id, receipt !== '']);
    assert.equal(receipts.length, 20);
    assert.deepEqual(
      receipts.filter(([, has]) => has).map(([id]) => id),
      messagesOf(10).map(({ id }) => id),
    );
  });

  for (const [what, ask] of [
    ['paused', (lane: DrivenLane) => lane.tell((told) => told.pause())],
    ['stopping', (lane: DrivenLane) => (lane.tell((told) => told.stop()), lane.claimed())],
  ] as const) {
    it(`leaves a lane that is ${what} ${what}`, () => {
      const lane = DrivenLane.claimed(THREE);
      ask(lane);
      lane.windUp();
      lane.received(messagesOf(1));
      lane.continueAsNew();
      assert.equal(lane.status.activity, what);
    });
  }

  it('carries a flush that was asked for while the lane was parked', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received(messagesOf(2));
    lane.receiveFailed(HOPELESS);
    lane.tell((told) => told.flush());
    lane.windUp();
    lane.pass(1_000);
    lane.continueAsNew();
    lane.tell((told) => told.resume());
    lane.claimed();
    assert.deepEqual(eventsOf(lane.next('upload')), [1, 2]);
  });

  it('carries the window: what is in the lake, or on its way, is a repeat in the next run', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received(messagesOf(4));
    lane.finish();
    lane.pass(5_000);
    lane.finish();
    lane.windUp();
    lane.received([]);
    lane.continueAsNew();
    lane.claimed();
    lane.received([messageOf('copy of 1', 1), messageOf('copy of 4', 4), messageOf('m4', 4)]);
    const { counts, windowKeys } = lane.status;
    assert.deepEqual([counts.received, counts.repeats, counts.redelivered, windowKeys], [7, 2, 1, 4]);
  });

  it('goes by the time that the run before was told, where the next one says an earlier one', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.pass(7_200_000);
    lane.received(messagesOf(1));
    lane.windUp();
    lane.claimed();
    const { now } = lane;
    lane.now = BEGAN;
    lane.continueAsNew();
    lane.claimed();
    lane.now = now;
    lane.received(messagesOf(2, 2));
    assert.match(lane.next('upload').input.key, /hour=14/);
  });
});
