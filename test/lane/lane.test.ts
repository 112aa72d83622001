import assert from 'node:assert/strict';
import {
  digestOf,
  DrivenLane,
  eventsOf,
  HOPELESS,
  HUNDRED,
  messageOf,
  messagesOf,
  NEVER,
  OTHERS,
  TEN,
  THREE,
} from '../support/driven-lane';

describe('A lane', () => {
  it('claims its queue first, and wants nothing else meanwhile', () => {
    const lane = new DrivenLane();
    assert.deepEqual(lane.doing, ['claim']);
    lane.tell((told) => told.flush());
    assert.deepEqual(lane.doing, ['claim']);
    lane.claimed();
    assert.deepEqual(lane.doing, ['receive']);
  });

  it('looks again whose queue and lake are after a stop, a start and a resume', () => {
    const lane = DrivenLane.claimed();
    for (const ask of ['stop', 'start', 'resume'] as const) {
      lane.tell((told) => told[ask]());
      assert.equal(lane.underWay('claim').length, 1, ask);
      lane.claimed();
    }
  });

  it('receives what it is to receive, with how it becomes rows', () => {
    const { input } = DrivenLane.claimed().next('receive');
    assert.deepEqual(input, {
      queue: 'queue',
      lake: { bucket: 'lake', prefix: 'raw' },
      paths: ['key', 'text'],
      escapeFormulas: false,
      addedMembers: ['sluice'],
      rows: 100,
      bytes: 256 * 1024,
      waitSeconds: 2,
      collectMs: 2_000,
      visibilityTimeoutSeconds: 8,
    });
  });

  it('receives several batches at once while there is a backlog, in four receives', () => {
    const lane = DrivenLane.claimed();
    lane.received(messagesOf(100), { behind: true });
    const asked = lane.underWay('receive').map(({ input }) => [input.rows, input.backlogRows]);
    assert.deepEqual(
      asked,
      [
        [100, 300],
        [100, 300],
        [100, undefined],
      ],
      'eight batches in all',
    );
    lane.uploaded();
    assert.equal(lane.underWay('receive').length, 4);
    lane.received([], {}, lane.underWay('receive').at(-1));
    assert.equal(lane.underWay('receive').length, 3, 'none is begun where there is no backlog');
  });

  it('makes batches of the rows in their order, and keeps what is left for the next', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received(messagesOf(7));
    assert.deepEqual(lane.underWay('upload').map(eventsOf), [
      [1, 2, 3],
      [4, 5, 6],
    ]);
    assert.equal(lane.status.rowsWaiting, 7);
    lane.finish();
    assert.equal(lane.status.rowsWaiting, 1);
    lane.received(messagesOf(2, 8));
    assert.deepEqual(lane.underWay('upload').map(eventsOf), [[7, 8, 9]]);
  });

  it('writes rows that waited long enough for others, with one timer for all of them', () => {
    const lane = DrivenLane.claimed({ batch: { rows: 3, flushAfterSeconds: 60 } });
    lane.received(messagesOf(1));
    lane.pass(10_000);
    lane.received(messagesOf(1, 2));
    assert.deepEqual(lane.waits, ['row is due']);
    lane.pass(49_999);
    assert.deepEqual(lane.doing, ['receive']);
    lane.pass(1);
    assert.deepEqual(eventsOf(lane.next('upload')), [1, 2]);
    assert.deepEqual(lane.waits, []);
  });

  it('keys an object when its rows are frozen: each try has the same key and the same rows, in another hour too', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received(messagesOf(3));
    const first = lane.next('upload').input;
    assert.match(first.key, /^raw\/date=2026-01-31\/hour=12\/batch-1a2b3c4d-0000000001-0{15}1\.csv$/);
    for (let hour = 1; hour <= 3; hour += 1) {
      lane.uploaded(HOPELESS);
      lane.received([], {}, lane.next('receive'));
      lane.pass(3_600_000);
      lane.claimed();
      assert.deepEqual(lane.next('upload').input, first);
    }
  });

  it('deletes no message before its row is in the lake', () => {
    const lane = DrivenLane.claimed(TEN);
    lane.received(messagesOf(10));
    lane.received([]);
    lane.pass(60_000);
    assert.deepEqual(lane.deleting, []);
    lane.uploaded();
    assert.equal(lane.deleting.length, 10);
  });

  it('deletes a copy while the row of the first message waits, and not the first', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received([messageOf('first', 1)]);
    lane.received([messageOf('copy', 1)]);
    lane.pass(5_000);
    assert.deepEqual(lane.deleting, ['copy']);
  });

  it('deletes the messages of several batches together', () => {
    const lane = DrivenLane.claimed(HUNDRED);
    lane.received(messagesOf(300));
    // As where three uploads end within one workflow task.
    for (const upload of lane.underWay('upload')) {
      lane.lane.uploaded(upload, { ok: true, value: { bytes: 1, at: lane.now } });
    }
    lane.tell(() => {});
    assert.equal(lane.next('delete').deletions.length, 300);
  });

  it('counts what it received and wrote', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received(messagesOf(7));
    lane.finish();
    lane.received([messageOf('m7', 7), messageOf('copy of 1', 1), messageOf('copy of 7', 7)]);
    const { counts, nextSequence, lastObject, windowKeys } = lane.status;
    assert.deepEqual(counts, {
      received: 10,
      events: 10,
      redelivered: 1,
      repeats: 2,
      rejected: {},
      lostReceives: 0,
      refusedReceives: 0,
      rows: 6,
      batches: 2,
      bytes: 2_000,
    });
    assert.deepEqual([nextSequence, windowKeys], [3, 7]);
    assert.equal(lastObject, lane.allBegun('upload')[1]?.input.key);
  });
});

describe('A lane, of messages with several events', () => {
  for (let count = 1; count <= 8; count += 1) {
    it(`deletes one of ${count} events, which two batches share, after the second of them`, () => {
      const lane = DrivenLane.claimed({ batch: { rows: 8, flushAfterSeconds: NEVER } });
      const events = Array.from({ length: count }, (_, index) => 100 + index);
      // All but its last event complete the first batch.
      lane.received(messagesOf(9 - count));
      lane.received([messageOf('shared', ...events)]);
      lane.received(messagesOf(7, 200));
      const [one, two] = lane.underWay('upload');
      assert(one && two);
      assert.deepEqual(eventsOf(two)[0], events.at(-1));
      lane.uploaded(undefined, one);
      lane.pass(60_000);
      assert(!lane.deleting.includes('shared'));
      lane.uploaded(undefined, two);
      lane.pass(60_000);
      assert(
        lane
          .allBegun('delete')
          .some(({ deletions }) => deletions.some(({ messageId }) => messageId === 'shared')),
      );
    });
  }

  it('keeps one whose row waits, when a copy of its event is rejected', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received([messageOf('first', 1)]);
    lane.received([{ id: 'copy', receipt: 'r', events: [{ key: digestOf(1), reason: 'row-too-large' }] }]);
    lane.pass(60_000);
    assert.deepEqual(lane.deleting, ['copy']);
    assert.deepEqual(lane.status.counts.rejected, {}, 'it is a repeat');
    lane.deleted();
    lane.tell((told) => told.flush());
    assert.deepEqual(eventsOf(lane.next('upload')), [1]);
  });

  it('deletes one with a rejected event once its other rows are in the lake', () => {
    const lane = DrivenLane.claimed(THREE);
    const { events, ...head } = messageOf('mixed', 1, 2);
    lane.received([{ ...head, events: [...events, { key: digestOf(3), reason: 'row-too-large' }] }]);
    lane.pass(60_000);
    assert.deepEqual([lane.doing, lane.status.counts.rejected], [['receive'], { 'row-too-large': 1 }]);
    lane.tell((told) => told.flush());
    lane.uploaded();
    lane.pass(60_000);
    assert.deepEqual(lane.deleting, ['mixed']);
  });

  it('writes a row for each event that is new, whatever else its message carries', () => {
    const lane = DrivenLane.claimed({ batch: { rows: 4, flushAfterSeconds: NEVER } });
    lane.received([messageOf('a', 1, 2), messageOf('b', 2, 3, 3), messageOf('c', 1, 4)]);
    assert.deepEqual(eventsOf(lane.next('upload')), [1, 2, 3, 4]);
    assert.equal(lane.status.counts.repeats, 3);
  });
});

describe('A lane, of repeats', () => {
  it('writes no row for one, whether the first waits, is being uploaded, or is in the lake', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received(messagesOf(2));
    lane.received([messageOf('while it waits', 1)]);
    lane.received(messagesOf(1, 3));
    lane.received([messageOf('while it is uploaded', 1)]);
    lane.finish();
    lane.received([messageOf('in the lake', 1)]);
    lane.pass(60_000);
    lane.finish();
    assert.deepEqual(lane.allBegun('upload').map(eventsOf), [[1, 2, 3]]);
    assert.deepEqual(
      [lane.status.counts.repeats, lane.status.windowKeys, lane.status.rowsWaiting],
      [3, 3, 0],
    );
  });

  it('deletes a message that came again with the newest receipt', () => {
    const lane = DrivenLane.claimed(TEN);
    lane.received(messagesOf(10));
    lane.pass(1_000);
    lane.received(messagesOf(10).map((message) => ({ ...message, receipt: `newer of ${message.id}` })));
    lane.uploaded();
    assert.deepEqual(
      lane.next('delete').deletions.map(({ receipt }) => receipt),
      messagesOf(10).map(({ id }) => `newer of ${id}`),
    );
    assert.equal(lane.status.counts.redelivered, 10);
  });

  it('deletes a message again that comes back after a deletion', () => {
    const lane = DrivenLane.claimed(TEN);
    lane.received(messagesOf(10));
    lane.finish();
    assert.equal(lane.status.unsettled, 0);
    lane.received(messagesOf(10));
    assert.equal(lane.deleting.length, 10);
    assert.equal(lane.status.counts.repeats, 10);
    assert.equal(lane.allBegun('upload').length, 1);
  });
});

describe('A lane that is asked to flush', () => {
  it('writes what waits now, though a poll is open', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received(messagesOf(2));
    lane.tell((told) => told.flush());
    assert.deepEqual(eventsOf(lane.next('upload')), [1, 2]);
    assert.equal(lane.allBegun('receive').length, 2);
  });

  it('writes what the receive under way brings, and lets what comes later wait', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.tell((told) => told.flush());
    lane.received(messagesOf(2));
    assert.deepEqual(eventsOf(lane.next('upload')), [1, 2]);
    lane.finish();
    lane.received(messagesOf(1, 3));
    assert.deepEqual(lane.doing, ['receive']);
    assert.equal(lane.status.rowsWaiting, 1);
  });

  it('writes what each of several receives under way brings', () => {
    const lane = DrivenLane.claimed(HUNDRED);
    lane.received(messagesOf(100), { behind: true });
    const before = lane.underWay('receive');
    assert.equal(before.length, 3);
    lane.tell((told) => told.flush());
    for (const [index, receive] of before.entries()) lane.received(messagesOf(1, 201 + index), {}, receive);
    lane.finish();
    assert.deepEqual(lane.allBegun('upload').flatMap(eventsOf).slice(100), [201, 202, 203]);
    assert.equal(lane.status.rowsWaiting, 0);
  });
});

describe('A lane that gets other settings', () => {
  it('takes them at once where no receive is under way, and writes what waits with the old ones', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.tell((told) => told.pause());
    lane.received(messagesOf(2));
    lane.tell((told) => told.want(OTHERS));
    assert.deepEqual([lane.lane.isChanging, lane.status.version, lane.status.definition], [false, 2, OTHERS]);
    const { key, columns } = lane.next('upload').input;
    assert.deepEqual([key.split('/')[0], columns], ['raw', ['key', 'text']]);
  });

  it('waits for the receives under way, whose rows are of the old settings, and begins none meanwhile', () => {
    const lane = DrivenLane.claimed(HUNDRED);
    lane.received(messagesOf(100), { behind: true });
    const before = lane.underWay('receive');
    assert.equal(before.length, 3);
    lane.tell((told) => told.want(OTHERS));
    // There is room for more.
    lane.finish();
    for (const [index, receive] of before.entries()) {
      assert.deepEqual([lane.lane.isChanging, lane.status.version], [true, 1]);
      assert.equal(lane.underWay('receive').length, 3 - index);
      lane.received(messagesOf(1, 201 + index), { behind: true }, receive);
    }
    assert.deepEqual([lane.lane.isChanging, lane.status.version], [false, 2]);
    lane.finish();
    assert.deepEqual(lane.next('receive').input.paths, ['key']);
    lane.received(messagesOf(2, 301));
    assert.deepEqual(
      lane.allBegun('upload').map((upload) => {
        const { key, columns } = upload.input;
        return [key.split('/')[0], columns.join(), eventsOf(upload).join()];
      }),
      [
        [
          'raw',
          'key,text',
          messagesOf(100)
            .map((_, index) => index + 1)
            .join(),
        ],
        ['raw', 'key,text', '201,202,203'],
        ['new', 'id', '301,302'],
      ],
    );
  });

  it('leaves a batch that is frozen where it was to go', () => {
    const lane = DrivenLane.claimed(THREE);
    lane.received(messagesOf(3));
    const { input } = lane.next('upload');
    lane.received([]);
    lane.uploaded(HOPELESS);
    lane.received([]);
    lane.tell((told) => told.want(OTHERS));
    lane.claimed();
    assert.deepEqual(
      lane.next('upload').input,
      input,
      'it is tried again: the settings may be what mends it',
    );
  });

  it('changes while it is parked or stopped, too', () => {
    const lane = new DrivenLane(THREE);
    lane.claimed(HOPELESS);
    lane.tell((told) => told.want(OTHERS));
    assert.equal(lane.status.version, 2);
    assert.deepEqual(lane.doing, ['claim'], 'another lake may be its own');
  });
});
