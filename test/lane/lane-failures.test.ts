import assert from 'node:assert/strict';
import {
  DrivenLane,
  eventsOf,
  HOPELESS,
  HUNDRED,
  messageOf,
  messagesOf,
  NEVER,
  OTHERS,
  PASSING,
  REFUSED,
  TEN,
  THREE,
} from '../support/driven-lane';

/** A lane none of whose deletions works. */
function withoutDeletions(): DrivenLane {
  const lane = DrivenLane.claimed(TEN);
  lane.received(messagesOf(10));
  lane.uploaded();
  lane.nothingDeleted();
  return lane;
}

describe('A lane that meets a failure', () => {
  for (const [what, fail] of [
    ['the queue or the lake has another owner', (lane: DrivenLane) => lane.claimed(HOPELESS)],
    ['the queue can not be read', (lane: DrivenLane) => (lane.claimed(), lane.receiveFailed(HOPELESS))],
  ] as const) {
    it(`parks where ${what}, does nothing, and tries again after half a minute`, () => {
      const lane = new DrivenLane();
      fail(lane);
      assert.deepEqual([lane.status.activity, lane.status.problem], ['parked', 'AccessDenied']);
      assert.deepEqual(lane.doing, []);
      lane.pass(29_999);
      assert.deepEqual(lane.doing, []);
      lane.pass(1);
      assert.deepEqual(lane.doing, ['claim']);
      assert.equal(lane.status.problem, undefined, 'nobody knows');
    });

    it(`parks where ${what}, and tries again at once when it is resumed`, () => {
      const lane = new DrivenLane();
      fail(lane);
      lane.pass(15_000);
      lane.tell((told) => told.resume());
      lane.claimed();
      assert.deepEqual([lane.doing, lane.status.activity], [['receive'], 'running']);
    });
  }

  it('parks where an object can not be written, begins nothing, and takes in what comes meanwhile', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received(messagesOf(3));
    lane.uploaded(HOPELESS);
    lane.received(messagesOf(3, 4));
    assert.deepEqual([lane.status.activity, lane.doing, lane.status.rowsWaiting], ['parked', [], 6]);
    lane.pass(30_000);
    lane.claimed();
    assert.deepEqual(lane.underWay('upload').map(eventsOf), [
      [1, 2, 3],
      [4, 5, 6],
    ]);
    lane.finish();
    assert.equal(lane.status.activity, 'running');
  });

  it('goes on where one object could not be written and another one could', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received(messagesOf(6));
    const [one, two] = lane.underWay('upload');
    lane.uploaded(HOPELESS, one);
    assert.equal(lane.status.activity, 'parked');
    lane.uploaded(undefined, two);
    lane.claimed();
    assert.deepEqual([lane.status.activity, lane.next('upload').input], ['running', one?.input]);
  });

  it('parks where a deletion can not work, and where the queue can not be measured', () => {
    const lane = DrivenLane.claimed(TEN);
    lane.received(messagesOf(10));
    lane.uploaded();
    lane.deleted(HOPELESS);
    assert.equal(lane.status.activity, 'parked');
    assert.equal(lane.status.unsettled, 10, 'they will come back');

    const other = DrivenLane.claimed();
    other.tell((told) => told.stop());
    other.claimed();
    other.received([]);
    other.measureFailed(HOPELESS);
    assert.equal(other.status.activity, 'parked');
  });

  it('receives again after a receive was lost, later each time', () => {
    const lane = DrivenLane.claimed();
    for (const seconds of [1, 2, 4, 8, 15, 15]) {
      lane.receiveFailed();
      lane.pass(seconds * 1_000 - 1);
      assert.deepEqual(lane.doing, []);
      lane.pass(1);
      assert.deepEqual(lane.doing, ['receive']);
    }
    assert.deepEqual([lane.status.counts.lostReceives, lane.status.activity], [6, 'running']);
  });

  it('counts polls that failed within a receive as one that was lost, and goes on at once', () => {
    const lane = DrivenLane.claimed();
    lane.received(messagesOf(2), { lostPolls: 2, behind: true });
    assert.deepEqual([lane.status.counts.lostReceives, lane.doing], [1, ['receive']]);
  });

  it('receives again after a receive was refused, later each time, and lets keys leave the window as ever', () => {
    const lane = DrivenLane.claimed({ ...TEN, windowKeys: 5 });
    for (const seconds of [1, 2, 4, 8, 15, 15]) {
      lane.receiveFailed(REFUSED);
      lane.pass(seconds * 1_000 - 1);
      assert.deepEqual(lane.doing, []);
      lane.pass(1);
    }
    lane.received(messagesOf(10));
    lane.finish();
    lane.received([]);
    const { counts, windowKeys } = lane.status;
    assert.deepEqual([counts.refusedReceives, counts.lostReceives, windowKeys], [6, 0, 5]);
  });

  it('waits a second after a receive of which SQS refused a poll, and lets keys leave the window as ever', () => {
    const lane = DrivenLane.claimed({ ...TEN, windowKeys: 5 });
    lane.received(messagesOf(10), { refusedPolls: 2 });
    lane.finish();
    lane.pass(999);
    assert.deepEqual(lane.doing, []);
    lane.pass(1);
    assert.deepEqual(lane.doing, ['receive']);
    lane.received([]);
    const { counts, windowKeys } = lane.status;
    assert.deepEqual([counts.refusedReceives, counts.lostReceives, windowKeys], [1, 0, 5]);
  });

  describe('receives with a short visibility timeout', () => {
    const SETTINGS = { ...HUNDRED, queue: { name: 'queue', visibilityTimeoutSeconds: 120 } };
    const newest = (lane: DrivenLane) => lane.allBegun('receive').at(-1)?.input;
    const asked = (lane: DrivenLane) => newest(lane)?.visibilityTimeoutSeconds;

    /** A lane in a backlog, one of whose receives was lost; rows of the last object waited for so long. */
    function afterLoss(rowWaitMs: number, settings = SETTINGS): DrivenLane {
      const lane = DrivenLane.claimed(settings);
      lane.received(messagesOf(100), { behind: true });
      lane.pass(rowWaitMs);
      lane.receiveFailed();
      lane.pass(1_000);
      lane.received(messagesOf(100, 101), { behind: true });
      lane.uploaded();
      lane.received(messagesOf(100, 201), { behind: true });
      return lane;
    }

    it('in a backlog, while no key may leave the window', () => {
      const lane = afterLoss(0);
      assert.equal(asked(lane), 30);
      assert.equal(newest(lane)?.waitSeconds, 7, 'a quarter of it');
      lane.receiveFailed();
      lane.pass(2_000);
      assert.equal(asked(lane), 30, 'a loss says nothing of the backlog');
      while (asked(lane) === 30) lane.received([]);
      assert.equal(asked(lane), 120);
    });

    it('and not where rows wait for most of it, where deletions fail, or where there is nothing to wait for', () => {
      assert.equal(asked(afterLoss(25_000)), 120);
      const lane = afterLoss(0);
      for (const deletion of lane.underWay('delete')) lane.nothingDeleted(deletion);
      for (const each of lane.underWay('receive')) lane.received([], { behind: true }, each);
      lane.pass(10_000);
      assert.equal(asked(lane), 120);
      const calm = DrivenLane.claimed(SETTINGS);
      calm.received(messagesOf(100), { behind: true });
      calm.uploaded();
      calm.received(messagesOf(100, 101), { behind: true });
      assert.equal(asked(calm), 120);
    });

    it('and with the one of the queue where that is shorter', () => {
      assert.equal(
        asked(afterLoss(0, { ...SETTINGS, queue: { name: 'queue', visibilityTimeoutSeconds: 20 } })),
        20,
      );
    });
  });

  it('waits for what a lost receive hid by the visibility timeout that this one asked with', () => {
    const queue = { name: 'queue', visibilityTimeoutSeconds: 120 };
    const lane = DrivenLane.claimed({ ...HUNDRED, windowKeys: 100, queue });
    /** What was asked with 120 s stays under way; the others see the queue's end. */
    const poll = (seconds: number): void => {
      for (let passed = 0; passed < seconds; passed += 5) {
        lane.pass(5_000);
        const [work] = lane.underWay('receive').filter((each) => each !== late);
        lane.received([], { from: lane.now - 5_000, reached: lane.now - 5_000, behind: true }, work);
      }
    };
    lane.received(messagesOf(100), { behind: true });
    lane.finish();
    const [late, lost] = lane.underWay('receive');
    lane.receiveFailed(PASSING, lost);
    lane.pass(1_000);
    poll(100);
    assert.equal(lane.allBegun('receive').at(-1)?.input.visibilityTimeoutSeconds, 30);
    lane.receiveFailed(PASSING, late);
    lane.pass(1_000);
    lane.received(messagesOf(100, 101), { behind: true });
    lane.finish();
    poll(100);
    assert.equal(lane.status.windowKeys, 200, 'the first one alone is over');
    poll(100);
    assert.equal(lane.status.windowKeys, 100);
  });

  it('lets no key leave the window after a deletion that deleted nothing: its messages may come back late', () => {
    for (const [fail, keys] of [
      [(lane: DrivenLane) => lane.nothingDeleted(), 10 + 10],
      [(lane: DrivenLane) => lane.deleted(), 5],
    ] as const) {
      const lane = DrivenLane.claimed({ ...TEN, windowKeys: 5 });
      lane.received(messagesOf(10));
      lane.uploaded();
      fail(lane);
      lane.received(messagesOf(10, 11));
      lane.finish();
      lane.pass(1_000);
      lane.received([]);
      assert.equal(lane.status.windowKeys, keys);
    }
  });

  it('receives ten messages a second while deletions fail, and all there is once they work', () => {
    const lane = withoutDeletions();
    lane.received([], { behind: true });
    assert.deepEqual(lane.waits, ['trickle']);
    lane.pass(1_000);
    assert.equal(lane.next('receive').input.rows, 10);
    lane.received(messagesOf(10, 11), { behind: true });
    lane.uploaded();
    assert.deepEqual([lane.doing, lane.waits], [['delete'], ['trickle']]);
    lane.deleted();
    assert.deepEqual(lane.waits, [], 'that wait ends early');
    assert(lane.underWay('receive').length > 1);
  });

  it('ends the wait of a trickle early for other settings, and for the end of the run', () => {
    for (const end of [
      (lane: DrivenLane) => lane.tell((told) => told.want(OTHERS)),
      (lane: DrivenLane) => lane.windUp(),
    ]) {
      const lane = withoutDeletions();
      lane.received([]);
      assert.deepEqual(lane.waits, ['trickle']);
      end(lane);
      assert.deepEqual(lane.waits, []);
    }
  });

  it('receives nothing more with 1,500 messages to delete', () => {
    const lane = DrivenLane.claimed(HUNDRED);
    for (let n = 1; lane.underWay('receive').length > 0;) {
      const { rows, backlogRows = rows } = lane.next('receive').input;
      lane.received(messagesOf(backlogRows, n), { behind: true });
      n += backlogRows;
      for (const upload of lane.underWay('upload')) lane.uploaded(undefined, upload);
      assert(n < 5_000, 'uploads outrun the deletions');
    }
    assert(lane.status.counts.received >= 1_500);
    lane.deleted();
    lane.deleted();
    lane.finish();
    assert(lane.underWay('receive').length > 0);
  });
});

describe('A lane for as long as nothing works', () => {
  const HOUR = 3_600_000;

  /** @returns how many waits were begun within an hour, or as many milliseconds */
  function waitsWithin(lane: DrivenLane, everySecond: () => void, ms = HOUR): number {
    const before = lane.allBegun('wait').length;
    for (const until = lane.now + ms; lane.now < until;) {
      lane.pass(1_000);
      everySecond();
      assert(lane.allBegun('wait').length < before + 5_000, 'a lane sleeps');
    }
    return lane.allBegun('wait').length - before;
  }

  const stateBytes = (lane: DrivenLane) =>
    JSON.stringify(lane.lane.carried()).length + lane.lane.settledKeys().length;

  it('makes no timers while no upload ends, though rows are due, and holds eight batches', () => {
    const lane = DrivenLane.claimed({ batch: { rows: 10, flushAfterSeconds: 1 } });
    let sent = 1;
    const receiveAll = () => {
      for (const receive of lane.underWay('receive')) {
        const { rows } = receive.input;
        lane.received(messagesOf(rows, sent), { behind: true }, receive);
        sent += rows;
      }
    };
    receiveAll();
    const waits = waitsWithin(lane, receiveAll);
    assert.deepEqual([lane.status.rowsWaiting, lane.status.batchesInFlight], [80, 4]);
    assert(waits <= 1, `${waits} timers`);
    lane.finish();
    assert.equal(lane.status.counts.rows, sent - 1);
  });

  it('makes a timer for each row at most where it trickles in, and a row is not due any more once its batch waits for an upload', () => {
    const lane = DrivenLane.claimed({ batch: { rows: 10, flushAfterSeconds: 1 } });
    let sent = 1;
    const waits = waitsWithin(lane, () => {
      if (lane.underWay('receive').length === 0) return;
      lane.received(messagesOf(1, sent));
      sent += 1;
    });
    assert(sent <= 81, `${sent} rows`);
    assert(waits <= sent, `${waits} timers for ${sent} rows`);
  });

  it('tries a parked upload every ten minutes in the end', () => {
    const lane = DrivenLane.claimed({ batch: { rows: 10, flushAfterSeconds: 1 } });
    lane.received(messagesOf(10));
    const waits = waitsWithin(lane, () => {
      for (const claim of lane.underWay('claim')) lane.claimed(undefined, claim);
      for (const upload of lane.underWay('upload')) lane.uploaded(HOPELESS, upload);
    });
    const tries = lane.allBegun('upload').length;
    // After half a minute, one, two, four, eight, and then ten each.
    assert(tries >= 8 && tries <= 12, `${tries} tries`);
    assert(waits <= 2 * tries, `${waits} waits`);
  });

  it('receives less and less often while receives fail: four times a minute', () => {
    const lane = DrivenLane.claimed();
    waitsWithin(lane, () => {
      for (const receive of lane.underWay('receive')) lane.receiveFailed(PASSING, receive);
    });
    const tries = lane.allBegun('receive').length;
    assert(tries >= 200 && tries <= 250, `${tries} receives`);
  });

  it('receives a trickle while no deletion works, and its state is bounded', () => {
    const lane = DrivenLane.claimed({
      batch: { rows: 10, flushAfterSeconds: 1 },
      queue: { name: 'queue', visibilityTimeoutSeconds: HOUR / 1_000 },
    });
    /** Messages that were received, in the order in which they come back. */
    const hidden: { n: number; until: number }[] = [];
    let sent = 0;
    waitsWithin(
      lane,
      () => {
        for (const claim of lane.underWay('claim')) lane.claimed(undefined, claim);
        // There is always a new one, behind those that came back.
        for (const receive of lane.underWay('receive')) {
          const events = Array.from({ length: receive.input.rows }, () => {
            const isBack = hidden[0] !== undefined && hidden[0].until <= lane.now;
            if (isBack) return hidden.shift()?.n ?? 0;
            sent += 1;
            return sent;
          });
          hidden.push(...events.map((n) => ({ n, until: lane.now + HOUR })));
          const messages = events.map((n) => messageOf(`m${n}`, n));
          lane.received(messages, { behind: true }, receive);
        }
        for (const upload of lane.underWay('upload')) lane.uploaded(undefined, upload);
        for (const deletion of lane.underWay('delete')) lane.nothingDeleted(deletion);
      },
      3 * HOUR,
    );
    const receives = lane.allBegun('receive').length;
    // Twice 2,000 messages in three hours, ten at a time.
    assert(receives >= 380 && receives <= 410, `${receives} receives`);
    const { unsettled } = lane.status;
    assert(unsettled > 1_000 && unsettled <= 2_000, `${unsettled} messages`);
    assert(stateBytes(lane) < 1_600 * 1024);
  });
});

describe('A lane whose room is taken by messages that may come back', () => {
  it('receives a little: nothing else would ever make room', () => {
    const before = DrivenLane.claimed({ batch: { rows: 1_000, flushAfterSeconds: NEVER } });
    before.received(messagesOf(9_000));
    for (let sequence = 1; sequence <= 9; sequence += 1) before.uploaded();
    while (before.underWay('delete').length > 0) before.nothingDeleted();
    assert.equal(before.status.unsettled, 9_000);
    before.windUp();
    before.received([]);

    const lane = DrivenLane.claimed(TEN, before.carried());
    const { rows, bytes } = lane.next('receive').input;
    assert.deepEqual([rows, bytes], [10, 64 * 1024]);
    lane.received(messagesOf(10, 10_001));
    lane.finish();
    assert.equal(lane.allBegun('upload').flatMap(eventsOf).length, 10);
    assert.equal(lane.allBegun('delete').length, 1);
  });

  it('forgets the longest unseen where there is no room for a single receive, and knows their keys all the same', () => {
    const before = DrivenLane.claimed({ batch: { rows: 1_000, flushAfterSeconds: NEVER } });
    before.received(messagesOf(12_000));
    for (let sequence = 1; sequence <= 12; sequence += 1) before.uploaded();
    while (before.underWay('delete').length > 0) before.nothingDeleted();
    before.windUp();
    before.received([]);

    const lane = DrivenLane.claimed(TEN, before.carried());
    assert.equal(lane.next('receive').input.rows, 10);
    assert.ok(lane.status.unsettled < 12_000);
    assert.equal(lane.status.windowKeys, 12_000);
    lane.received(messagesOf(1, 1));
    assert.equal(lane.status.counts.repeats, 1);
  });
});
