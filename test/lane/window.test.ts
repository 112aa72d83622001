import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { LIMITS as LANE_LIMITS } from '../../src/lane/limits';
import { type Receive, type ReceiveSpan, Window } from '../../src/lane/window';
import type { Deletion } from '../../src/lane/work';

const VISIBILITY = 1_000;
/** With a poll of one second, what may be in the queue is waited for during three seconds of receiving. */
const LIMITS = { keys: 4, visibilityTimeoutMs: VISIBILITY };

/** Events of one message, at most. */
const MOST_EVENTS = 8;

/** Room for what the model's source repeats (its last three messages) and for the disorder of its queue (five messages). */
const ROOMY = { ...LIMITS, keys: 13 * MOST_EVENTS };

const key = (n: number) => n.toString(16).padStart(16, '0');

/** One that takes no time. */
const receiveAt = (at: number): Receive => ({ from: at, until: at, visibilityMs: VISIBILITY });

/** A message with one event. */
function admitOne(
  window: Window,
  [id, digest, receipt]: [id: string, key: string, receipt: string],
  receive: ReceiveSpan & { visibilityMs?: number },
): string {
  const verdicts = window.admit({ id, receipt, keys: [digest] }, { visibilityMs: VISIBILITY, ...receive });
  return typeof verdicts === 'string' ? verdicts : verdicts.join();
}

/** One receive that takes no time and sees the queue's end. */
function receive(
  window: Window,
  at: number,
  messages: [id: string, key: string, receipt: string][],
): string[] {
  const verdicts = messages.map((message) => admitOne(window, message, { from: at, until: at }));
  window.receiveAnswered({ from: at, until: at }, at);
  return verdicts;
}

/** Time in which the lane received and found nothing. */
function poll(window: Window, from: number, until: number): void {
  window.receiveAnswered({ from, until }, from);
}

function deleteDue(window: Window, at: number, deleted = true): Deletion[] {
  const deletions = window.takeDue(100);
  for (const deletion of deletions) window.deletionAnswered(deletion, deleted, at);
  return deletions;
}

function settle(window: Window, n: number, at: number): void {
  receive(window, at, [[`m${n}`, key(n), `r${n}`]]);
  window.uploaded(key(n));
  deleteDue(window, at);
}

/** As {@link settle}, of a queue whose end is far away. */
function settleBehind(window: Window, n: number, at: number): void {
  admitOne(window, [`m${n}`, key(n), `r${n}`], { from: at, until: at });
  window.receiveAnswered({ from: at, until: at });
  window.uploaded(key(n));
  deleteDue(window, at);
}

/** A message with several events. */
function admitAll(window: Window, id: string, ...keys: number[]) {
  return window.admit({ id, receipt: `receipt of ${id}`, keys: keys.map(key) }, receiveAt(0));
}

const dueOf = (window: Window) => window.takeDue(100).map(({ messageId }) => messageId);

/** What the window is after continue-as-new, with rows that are not in the lake. */
function carried(window: Window, ...rows: number[]): Window {
  const state = JSON.parse(JSON.stringify(window.state())) as ReturnType<Window['state']>;
  return new Window(LIMITS, state, window.packKeys(), rows.map(key));
}

describe('A window, of messages with several events', () => {
  it('wants the row of each event that it never saw, and of one that a message has twice the first', () => {
    const window = new Window(LIMITS);
    assert.deepEqual(admitAll(window, 'a', 1, 2, 1), ['new', 'new', 'repeat']);
    assert.deepEqual(admitAll(window, 'b', 3, 2), ['new', 'repeat']);
    assert.equal(admitAll(window, 'a', 1, 2, 1), 'redelivery');
    assert.equal(window.size, 3);
  });

  it('deletes a message once all rows that it brought are in the lake', () => {
    const window = new Window(LIMITS);
    admitAll(window, 'a', 1, 2);
    window.uploaded(key(1));
    assert.deepEqual(dueOf(window), []);
    window.uploaded(key(2));
    assert.deepEqual(dueOf(window), ['a']);
  });

  it('deletes a message that brought nothing new at once, though the rows of its keys wait', () => {
    const window = new Window(LIMITS);
    admitAll(window, 'a', 1, 2);
    admitAll(window, 'b', 2, 1);
    assert.deepEqual(dueOf(window), ['b']);
  });

  it('keeps every key of a message until each message with it is settled', () => {
    const window = new Window({ ...LIMITS, keys: 0 });
    admitAll(window, 'a', 1, 2);
    admitAll(window, 'b', 2, 3);
    for (const n of [1, 2, 3]) window.uploaded(key(n));
    const [a, b] = window.takeDue(2);
    assert.ok(a && b);
    window.deletionAnswered(a, true, 1);
    assert.equal(window.size, 2, 'the second has two of three');
    window.deletionAnswered(b, true, 1);
    assert.equal(window.size, 0);
  });

  it('waits, after continue-as-new, for the rows of a message that are not in the lake, and for no other', () => {
    const window = new Window(LIMITS);
    admitAll(window, 'a', 1, 2, 3);
    window.uploaded(key(1));
    const next = carried(window, 2, 3);
    window.uploaded(key(2));
    next.uploaded(key(2));
    assert.deepEqual(dueOf(next), []);
    next.uploaded(key(3));
    assert.deepEqual(dueOf(next), ['a']);
  });

  it('recognises, after two runs more, a key whose row was in the lake before the others of its message', () => {
    // Taken for one whose row waits, it would have stayed without a message, and would have been carried no further.
    const window = new Window(LIMITS);
    admitAll(window, 'a', 1, 2);
    window.uploaded(key(1));
    const next = carried(window, 2);
    next.uploaded(key(2));
    deleteDue(next, 1);
    assert.deepEqual(admitAll(carried(next), 'copy', 1, 2), ['repeat', 'repeat']);
  });

  it('counts the bytes of all keys that it carries', () => {
    const window = new Window(LIMITS);
    admitAll(window, 'a', 1);
    const one = window.bytes;
    admitAll(window, 'b', 2, 3, 4, 5);
    assert.equal(window.bytes, 2 * one + 3 * 16);
    for (let n = 1; n <= 5; n += 1) window.uploaded(key(n));
    deleteDue(window, 1);
    assert.equal(window.bytes, LIMITS.keys * 8);
  });
});

describe('Window', () => {
  it('wants the row of a key it never saw, and of no other', () => {
    const window = new Window(LIMITS);
    assert.deepEqual(receive(window, 0, [['a', key(1), 'r1']]), ['new']);
    assert.deepEqual(receive(window, 1, [['a', key(1), 'r2']]), ['redelivery']);
    assert.deepEqual(receive(window, 2, [['b', key(1), 'r3']]), ['repeat']);
    window.uploaded(key(1));
    assert.deepEqual(receive(window, 3, [['c', key(1), 'r4']]), ['repeat']);
  });

  it('deletes no message before its row is uploaded, but a copy at once', () => {
    const window = new Window(LIMITS);
    receive(window, 0, [['first', key(1), 'r1']]);
    receive(window, 0, [['copy', key(1), 'r2']]);
    assert.deepEqual(window.takeDue(10), [{ messageId: 'copy', receipt: 'r2' }]);
    window.uploaded(key(1));
    assert.deepEqual(window.takeDue(10), [{ messageId: 'first', receipt: 'r1' }]);
  });

  it('deletes with the newest receipt', () => {
    const window = new Window(LIMITS);
    receive(window, 0, [['a', key(1), 'old']]);
    receive(window, 1, [['a', key(1), 'new']]);
    window.uploaded(key(1));
    assert.deepEqual(window.takeDue(10), [{ messageId: 'a', receipt: 'new' }]);
  });

  it('deletes again when a newer receipt came while the deletion was under way', () => {
    const window = new Window(LIMITS);
    receive(window, 0, [['a', key(1), 'old']]);
    window.uploaded(key(1));
    const [deletion] = window.takeDue(10);
    assert.ok(deletion);
    receive(window, 1, [['a', key(1), 'new']]);
    window.deletionAnswered(deletion, true, 2);
    assert.deepEqual(window.takeDue(10), [{ messageId: 'a', receipt: 'new' }]);
  });

  it('lets newer keys push out a settled one', () => {
    const window = new Window(LIMITS);
    for (let n = 1; n <= 5; n += 1) settle(window, n, n);
    assert.deepEqual(receive(window, 9, [['again1', key(1), 'x']]), ['new']);
    assert.deepEqual(receive(window, 9, [['again5', key(5), 'y']]), ['repeat']);
  });

  it('remembers a key longer when it was seen again', () => {
    const window = new Window(LIMITS);
    for (let n = 1; n <= 4; n += 1) settle(window, n, n);
    receive(window, 5, [['copy', key(1), 'c']]);
    deleteDue(window, 5);
    settle(window, 5, 6);
    assert.deepEqual(receive(window, 9, [['again', key(1), 'x']]), ['repeat']);
    assert.deepEqual(receive(window, 9, [['again2', key(2), 'x']]), ['new']);
  });

  for (const [what, at, deleted] of [
    ['a deletion that failed', 10, false],
    ['a deletion answered after the visibility timeout of its receive', VISIBILITY, true],
  ] as const) {
    it(`keeps a key after ${what}, until its message had every chance to come back`, () => {
      const window = new Window(LIMITS);
      receive(window, 0, [['a', key(1), 'r']]);
      window.uploaded(key(1));
      deleteDue(window, at, deleted);
      for (let n = 2; n <= 9; n += 1) settle(window, n, at);
      assert.equal(window.unsettled, 1);
      assert.deepEqual(receive(window, at + 1, [['copy', key(1), 'c']]), ['repeat']);
      deleteDue(window, at + 1);
      assert.equal(window.unsettled, 1, 'the copy is settled, the first message is not');
      poll(window, at + 1, at + 2_900);
      assert.equal(window.unsettled, 1, 'not enough time of receiving');
      poll(window, at + 2_900, at + 3_100);
      assert.equal(window.unsettled, 1, 'it may be behind what was sent during that poll');
      poll(window, at + 3_100, at + 3_101);
      assert.equal(window.unsettled, 0);
    });
  }

  it('does not count time in which nothing was received', () => {
    const window = new Window(LIMITS);
    receive(window, 0, [['a', key(1), 'r']]);
    window.uploaded(key(1));
    deleteDue(window, 10, false);
    // No worker for an hour, then a short poll.
    window.receiveAnswered({ from: 3_600_000, until: 3_600_100 }, 3_600_000);
    assert.equal(window.unsettled, 1);
  });

  it('does not take a backlog that hides the message for its absence', () => {
    const window = new Window(LIMITS);
    receive(window, 0, [['a', key(1), 'r']]);
    window.uploaded(key(1));
    deleteDue(window, 10, false);
    window.receiveAnswered({ from: 10, until: 60_000 }, 500);
    assert.equal(window.unsettled, 1, 'only messages sent before the visibility ended were reached');
    window.receiveAnswered({ from: 60_000, until: 60_001 }, 59_000);
    assert.equal(window.unsettled, 1, 'it may be behind those sent since');
    window.receiveAnswered({ from: 60_001, until: 60_002 }, 60_001);
    assert.equal(window.unsettled, 0);
  });

  it('waits for a message that the queue brings back only when it is asked, behind its backlog', () => {
    const window = new Window(LIMITS);
    for (let n = 1; n <= 4; n += 1) settle(window, n, n);
    // What this one hid may be a newer receipt of any of them.
    window.receiveLost(VISIBILITY);
    window.receiveAnswered({ from: 10, until: 20 }, 10);
    // Nothing is received for a minute, in which the source goes on: the hidden message is now behind all of that.
    for (let at = 60_000; at < 65_000; at += 50) {
      window.receiveAnswered({ from: at, until: at + 50 }, at - 10_000);
    }
    for (let n = 5; n <= 20; n += 1) settleBehind(window, n, 65_000);
    assert.deepEqual(receive(window, 65_000, [['m1', key(1), 'again']]), ['repeat']);
    // Receiving got to the messages that were sent when it was back.
    for (let n = 21; n <= 40; n += 1) settle(window, n, 65_100);
    assert.equal(window.size, LIMITS.keys);
  });

  it('waits by time alone where it remembers as much as it can', () => {
    const window = new Window(LIMITS);
    window.receiveLost(VISIBILITY);
    window.receiveAnswered({ from: 10, until: 20 }, 10);
    for (let n = 1; n < LANE_LIMITS.mostKeys; n += 1) settleBehind(window, n, 30);
    // A backlog of an hour, of which the first minute is read.
    window.receiveAnswered({ from: 20, until: 60_000 }, 60_000 - 3_600_000);
    window.receiveAnswered({ from: 60_000, until: 61_000 }, 61_000 - 3_600_000);
    assert.equal(window.isFull, false);
    assert.equal(window.size, LANE_LIMITS.mostKeys - 1);
    settleBehind(window, LANE_LIMITS.mostKeys, 61_000);
    assert.equal(window.isFull, true);
    window.receiveAnswered({ from: 61_000, until: 61_000 });
    assert.equal(window.size, LIMITS.keys);
  });

  // It once let the key go as well: a message that the queue brought back behind its backlog was a second row.
  it('forgets a message for want of room, but keeps its key until the lane got to where it would be', () => {
    const window = new Window({ ...LIMITS, mostUnsettled: 2 });
    for (const n of [1, 2]) {
      receive(window, 0, [[`m${n}`, key(n), 'r']]);
      window.uploaded(key(n));
    }
    deleteDue(window, 1, false);
    assert.equal(window.isFull, true);
    // A backlog of an hour, of which the first seconds are read.
    window.receiveAnswered({ from: 1, until: 2_000 }, 2_000 - 3_600_000);
    window.receiveAnswered({ from: 2_000, until: 3_100 }, 3_100 - 3_600_000);
    assert.equal(window.unsettled, 1);
    for (let n = 11; n <= 30; n += 1) settleBehind(window, n, 3_100);
    assert.deepEqual(receive(window, 3_100, [['m1', key(1), 'again']]), ['repeat']);
    deleteDue(window, 3_100);
    poll(window, 3_100, 3_101);
    poll(window, 3_101, 3_102);
    assert.deepEqual([window.unsettled, window.size], [0, LIMITS.keys]);
  });

  it('keeps the keys of two forgotten messages until both would be back, the one that was hidden for longer too', () => {
    const window = new Window({ ...LIMITS, mostUnsettled: 1 });
    for (const [n, visibilityMs] of [
      [1, 2_000],
      [2, VISIBILITY],
    ] as const) {
      admitOne(window, [`m${n}`, key(n), 'r'], { from: 0, until: 0, visibilityMs });
      window.uploaded(key(n));
      deleteDue(window, n, false);
      window.receiveAnswered({ from: n, until: n + 1 }, 1);
    }
    window.receiveAnswered({ from: 3, until: 2_000 }, 1);
    // Here the second message would be back, and the first is hidden.
    window.receiveAnswered({ from: 2_000, until: 2_100 }, 1);
    window.receiveAnswered({ from: 2_100, until: 8_000 }, 1);
    window.receiveAnswered({ from: 8_000, until: 8_100 }, 1);
    for (let n = 11; n <= 30; n += 1) settleBehind(window, n, 8_100);
    window.receiveAnswered({ from: 8_100, until: 8_100 }, 2_100);
    assert.deepEqual(receive(window, 2_100, [['m1', key(1), 'again']]), ['repeat']);
  });

  it('trusts no deletion of a message that two receives under way at once were given', () => {
    const window = new Window(LIMITS);
    admitOne(window, ['a', key(1), 'one'], { from: 0, until: 20 });
    admitOne(window, ['a', key(1), 'two'], { from: 10, until: 30 });
    window.uploaded(key(1));
    deleteDue(window, 40);
    assert.equal(window.unsettled, 1);
  });

  it('lets no settled key go after a lost receive, until what it hid had every chance to come back', () => {
    const window = new Window(LIMITS);
    for (let n = 1; n <= 4; n += 1) settle(window, n, n);
    window.receiveLost(VISIBILITY);
    for (let n = 5; n <= 12; n += 1) settle(window, n, n + 10);
    assert.deepEqual(receive(window, 30, [['hidden', key(1), 'h']]), ['repeat']);
    deleteDue(window, 30);
    poll(window, 30, 1_100);
    poll(window, 1_100, 3_500);
    poll(window, 3_500, 3_501);
    poll(window, 3_501, 3_502);
    assert.equal(window.size, LIMITS.keys);
  });

  it('keeps a key for as long as the visibility timeout that hides its message, after a shorter one holds', () => {
    const window = new Window(LIMITS);
    receive(window, 0, [['a', key(1), 'r']]);
    window.uploaded(key(1));
    deleteDue(window, 10, false);
    window.limit({ keys: 4, visibilityTimeoutMs: 100 });
    for (let n = 2; n <= 9; n += 1) settle(window, n, 20);
    poll(window, 20, 2_900);
    assert.equal(window.unsettled, 1);
    poll(window, 2_900, 3_100);
    poll(window, 3_100, 3_101);
    assert.equal(window.unsettled, 0);
  });

  it('trusts a deletion for as long as the receive hid its message, after a longer visibility timeout holds', () => {
    const window = new Window(LIMITS);
    receive(window, 0, [['a', key(1), 'r']]);
    window.uploaded(key(1));
    window.limit({ keys: 4, visibilityTimeoutMs: 60_000 });
    deleteDue(window, VISIBILITY);
    assert.equal(window.unsettled, 1, 'by then it may have been visible again');
  });

  it('lets no key go while a receive is under way that may hold its message with a newer receipt', () => {
    const window = new Window({ ...LIMITS, keys: 2 });
    receive(window, 0, [['m1', key(1), 'r1']]);
    window.uploaded(key(1));
    const underWay = window.beginReceive();
    // SQS handed m1 out once more, within its visibility timeout: the deletion answers success and deletes nothing.
    deleteDue(window, 300);
    for (let n = 2; n <= 4; n += 1) settle(window, n, 300 + n);
    assert.equal(admitOne(window, ['m1', key(1), 'r2'], { from: 50, until: 400 }), 'repeat');
    window.endReceive(underWay);
    deleteDue(window, 401);
    assert.equal(window.size, 2);
  });

  it('lets a key go as soon as the receives that were under way when it was pushed out have ended', () => {
    const window = new Window({ ...LIMITS, keys: 2 });
    for (let n = 1; n <= 2; n += 1) settle(window, n, n);
    const first = window.beginReceive();
    settle(window, 3, 3);
    const second = window.beginReceive();
    assert.equal(window.size, 3);
    window.endReceive(first);
    assert.equal(window.size, 2, 'the second began later');
    window.endReceive(second);
  });

  it('trusts no deletion of a message that was seen again and left in the queue', () => {
    for (const isDeleting of [false, true]) {
      const window = new Window(LIMITS);
      receive(window, 0, [['a', key(1), 'r']]);
      window.uploaded(key(1));
      const deletions = isDeleting ? window.takeDue(1) : [];
      window.leftInQueue({ id: 'a', keys: [key(1)] }, receiveAt(10));
      for (const deletion of deletions) window.deletionAnswered(deletion, true, 11);
      deleteDue(window, 11);
      assert.equal(window.unsettled, 1);
      for (let n = 2; n <= 9; n += 1) settle(window, n, 20);
      assert.deepEqual(receive(window, 30, [['a', key(1), 'again']]), ['redelivery']);
      deleteDue(window, 31);
      assert.equal(window.unsettled, 0);
    }
  });

  it('waits anew for an unsettled message that was seen again and left in the queue', () => {
    const window = new Window(LIMITS);
    receive(window, 0, [['a', key(1), 'r']]);
    window.uploaded(key(1));
    deleteDue(window, 10, false);
    poll(window, 10, 2_000);
    window.leftInQueue({ id: 'a', keys: [key(1)] }, receiveAt(2_000));
    poll(window, 2_000, 4_000);
    assert.equal(window.unsettled, 1);
    poll(window, 4_000, 5_100);
    poll(window, 5_100, 5_101);
    assert.equal(window.unsettled, 0);
  });

  it('waits anew for what it waited for when its clock begins anew', () => {
    for (const begin of [undefined, 10_000_000, 1_000]) {
      const window = new Window(LIMITS);
      receive(window, 5_000, [['a', key(1), 'r1']]);
      window.uploaded(key(1));
      deleteDue(window, 5_000, false);
      poll(window, 5_000, 8_000);
      const now = begin ?? 8_000;
      if (begin !== undefined) window.beginAnew(now);
      poll(window, now, now + 100);
      poll(window, now + 100, now + 200);
      assert.equal(window.unsettled, begin === undefined ? 0 : 1, `begun anew at ${begin}`);
      poll(window, now + 200, now + 4_000);
      poll(window, now + 4_000, now + 4_001);
      poll(window, now + 4_001, now + 4_002);
      assert.equal(window.unsettled, 0);
    }
  });

  it('lets no key go for as long again after a lost receive when its clock begins anew', () => {
    for (const isAnew of [false, true]) {
      const window = new Window(LIMITS);
      window.receiveLost(VISIBILITY);
      poll(window, 5_000, 5_001);
      for (let n = 1; n <= 6; n += 1) settleBehind(window, n, 5_001);
      poll(window, 5_001, 8_001);
      if (isAnew) window.beginAnew(1_000);
      const now = isAnew ? 1_000 : 8_001;
      poll(window, now, now + 1);
      poll(window, now + 1, now + 2);
      assert.equal(window.size, isAnew ? 6 : 4);
      poll(window, now + 2, now + 4_000);
      poll(window, now + 4_000, now + 4_001);
      poll(window, now + 4_001, now + 4_002);
      assert.equal(window.size, 4);
    }
  });

  it('takes no receipt for young that is from before its clock began anew', () => {
    const window = new Window(LIMITS);
    receive(window, 5_000, [
      ['a', key(1), 'r1'],
      ['b', key(2), 'r2'],
    ]);
    window.beginAnew(5_000);
    window.uploaded(key(1));
    window.uploaded(key(2));
    deleteDue(window, 5_001);
    assert.equal(window.unsettled, 2);
    receive(window, 5_002, [['a', key(1), 'r3']]);
    deleteDue(window, 5_003);
    assert.equal(window.unsettled, 1, 'the newer receipt is known to be young');
  });

  it('shrinks once all that was sent for the larger window was received', () => {
    const window = new Window(LIMITS);
    for (let n = 1; n <= 4; n += 1) settle(window, n, n);
    window.limit({ ...LIMITS, keys: 2 });
    poll(window, 10, 11);
    poll(window, 11, 2_000);
    assert.equal(window.size, 4);
    // A receive that began when whatever was hidden is back tells by when that was.
    window.receiveAnswered({ from: 2_000, until: 3_100 }, 2_000);
    assert.equal(window.size, 4, 'what was sent before is not received');
    poll(window, 3_100, 3_200);
    assert.equal(window.size, 2);
    assert.deepEqual(receive(window, 3_200, [['new', key(1), 'n']]), ['new']);
  });

  it('keeps as many keys as before while it shrinks, over other settings and continue-as-new, and more where it is to', () => {
    const window = new Window(LIMITS);
    window.limit({ ...LIMITS, keys: 2 });
    window.limit({ ...LIMITS, keys: 2, visibilityTimeoutMs: 2 * VISIBILITY });
    const state = JSON.parse(JSON.stringify(window.state())) as ReturnType<Window['state']>;
    const next = new Window({ ...LIMITS, keys: 2 }, state);
    for (let n = 1; n <= 9; n += 1) settle(next, n, n);
    assert.equal(next.size, 4);
    next.limit({ ...LIMITS, keys: 6 });
    for (let n = 10; n <= 20; n += 1) settle(next, n, n);
    assert.equal(next.size, 6);
  });

  it('takes a key that settles late for as old as it is: it pushes out no newer one, before and after continue-as-new', () => {
    for (const carry of [(one: Window) => one, carried]) {
      let window = new Window(LIMITS);
      // Five messages whose rows wait, and come back before they are deleted.
      const late = [1, 2, 3, 4, 5].map((n): [string, string, string] => [`m${n}`, key(n), `r${n}`]);
      receive(window, 0, late);
      window = carry(window, 1, 2, 3, 4, 5);
      for (let n = 6; n <= 8; n += 1) settle(window, n, n);
      receive(window, 9, late);
      window = carry(window, 1, 2, 3, 4, 5);
      for (let n = 1; n <= 5; n += 1) window.uploaded(key(n));
      deleteDue(window, 9);
      const copies = [8, 7, 6, 5, 4].map((n): [string, string, string] => [`copy ${n}`, key(n), 'r']);
      assert.deepEqual(receive(window, 10, copies), ['repeat', 'repeat', 'repeat', 'repeat', 'new']);
    }
  });

  it('takes a key for as old as its message, though it was received late', () => {
    const window = new Window(LIMITS);
    for (let n = 2; n <= 4; n += 1) settle(window, n, 10 + n);
    // A lost receive had hidden them.
    for (let n = 5; n <= 9; n += 1) {
      const message = { id: `m${n}`, receipt: 'r', keys: [key(n)], sentAt: n };
      assert.deepEqual(window.admit(message, receiveAt(20)), ['new']);
      window.uploaded(key(n));
    }
    deleteDue(window, 20);
    const copies = [2, 3, 4, 9, 5].map((n): [string, string, string] => [`copy ${n}`, key(n), 'r']);
    assert.deepEqual(receive(window, 21, copies), ['repeat', 'repeat', 'repeat', 'repeat', 'new']);
  });

  it('takes no key for newer than those to come, though the queue tells a time ahead or its clock begins anew', () => {
    const window = new Window(LIMITS);
    for (let n = 1; n <= 8; n += 1) {
      const message = { id: `m${n}`, receipt: 'r', keys: [key(n)], sentAt: 1e9 };
      assert.deepEqual(window.admit(message, receiveAt(10_000)), ['new']);
      if (n <= 4) window.uploaded(key(n));
    }
    deleteDue(window, 10_000);
    window.beginAnew(5_000);
    for (let n = 5; n <= 8; n += 1) window.uploaded(key(n));
    for (let n = 11; n <= 14; n += 1) settle(window, n, 5_000 + n);
    const copies = [11, 12, 13, 14, 1].map((n): [string, string, string] => [`copy ${n}`, key(n), 'r']);
    assert.deepEqual(receive(window, 5_100, copies), ['repeat', 'repeat', 'repeat', 'repeat', 'new']);
  });

  it('takes a key for as old as the newest message that brought it', () => {
    const window = new Window(LIMITS);
    receive(window, 0, [['m1', key(1), 'r']]);
    for (let n = 2; n <= 4; n += 1) settle(window, n, n);
    assert.deepEqual(receive(window, 5, [['copy', key(1), 'r']]), ['repeat']);
    window.uploaded(key(1));
    deleteDue(window, 5);
    for (let n = 5; n <= 7; n += 1) settle(window, n, n);
    assert.deepEqual(receive(window, 8, [['again', key(1), 'r']]), ['repeat']);
  });

  describe('of a message that was received and left in the queue', () => {
    const left = { id: 'left', keys: [key(1), key(50)] };
    const again = { ...left, receipt: 'again' };

    it('keeps the keys that it knows until the message is back behind more new keys than it holds', () => {
      const window = new Window(LIMITS);
      settle(window, 1, 1);
      window.leftInQueue(left, receiveAt(2));
      for (let n = 2; n <= 20; n += 1) settleBehind(window, n, 10);
      assert.deepEqual(window.admit(again, receiveAt(20)), ['repeat', 'new']);
    });

    it('keeps a key that only comes later, in another message', () => {
      for (const carry of [(one: Window) => one, carried]) {
        let window = new Window(LIMITS);
        window.leftInQueue(left, receiveAt(0));
        window = carry(window);
        assert.deepEqual(window.admit({ id: 'm1', receipt: 'r', keys: [key(1)] }, receiveAt(1)), ['new']);
        window = carry(window, 1);
        window.uploaded(key(1));
        assert.deepEqual(
          deleteDue(window, 2).map(({ messageId }) => messageId),
          ['m1'],
        );
        for (let n = 2; n <= 20; n += 1) settleBehind(window, n, 10);
        window = carry(window);
        assert.deepEqual(window.admit(again, receiveAt(20)), ['repeat', 'new']);
      }
    });

    it('wants its rows when it is back, and those of no key that it knew nothing of', () => {
      const window = new Window(LIMITS);
      window.leftInQueue(left, receiveAt(0));
      const next = carried(window);
      assert.deepEqual(next.admit(again, receiveAt(1)), ['new', 'new']);
      assert.equal(next.unsettled, 0);
      next.uploaded(key(1));
      assert.deepEqual(dueOf(next), []);
      next.uploaded(key(50));
      assert.deepEqual(dueOf(next), ['left']);
    });

    it('holds no other key, and none of its own once it had every chance to come back', () => {
      const window = new Window(LIMITS);
      settle(window, 1, 1);
      window.leftInQueue(left, receiveAt(2));
      for (let n = 2; n <= 9; n += 1) settle(window, n, 3);
      // Four that are settled, and two that it waits for.
      assert.equal(window.size, 6);
      poll(window, 3, 1_400);
      poll(window, 1_400, 3_100);
      poll(window, 3_100, 3_200);
      assert.deepEqual([window.unsettled, window.size], [0, 4]);
    });

    it('waits for it anew when it is left once more', () => {
      const window = new Window(LIMITS);
      window.leftInQueue(left, receiveAt(0));
      poll(window, 0, 2_000);
      window.leftInQueue(left, receiveAt(2_000));
      poll(window, 2_000, 3_100);
      poll(window, 3_100, 3_101);
      assert.equal(window.unsettled, 1);
    });
  });

  it('waits for what a lost receive hid by the visibility timeout that this one asked with', () => {
    const window = new Window(LIMITS);
    for (let n = 1; n <= 4; n += 1) settle(window, n, n);
    window.receiveLost(2 * VISIBILITY);
    poll(window, 5, 6);
    poll(window, 6, 2_500);
    poll(window, 2_500, 3_200);
    for (let n = 5; n <= 8; n += 1) settle(window, n, 3_200);
    assert.equal(window.size, 8);
    poll(window, 3_200, 4_100);
    poll(window, 4_100, 4_200);
    assert.deepEqual([window.isHeld, window.size], [false, 4]);
  });

  it('does not wait for a long visibility timeout anew where a receive with a short one is lost', () => {
    const window = new Window(LIMITS);
    window.receiveLost(5 * VISIBILITY);
    for (let at = 0; at < 9_000; at += 1_000) {
      if (at === 4_000) window.receiveLost(VISIBILITY);
      assert.equal(window.isHeld, true);
      poll(window, at, at + 1_000);
    }
    // Anew, it would have lasted until 12,500.
    poll(window, 9_000, 9_100);
    assert.equal(window.isHeld, false);
  });

  it('counts what is not deleted, and waits for what can not be, instead of keeping its receipts', () => {
    const window = new Window(LIMITS);
    receive(window, 0, [
      ['a', key(1), 'r1'],
      ['b', key(2), 'r2'],
      ['c', key(3), 'r3'],
    ]);
    for (const n of [1, 2, 3]) window.uploaded(key(n));
    assert.equal(window.undeleted, 3);
    const [deletion] = window.takeDue(1);
    assert.ok(deletion);
    assert.deepEqual([window.due, window.undeleted], [2, 3]);
    window.deletionAnswered(deletion, true, 1);
    assert.equal(window.undeleted, 2);
    window.unsettleDue(1);
    assert.deepEqual([window.due, window.undeleted, window.unsettled], [0, 0, 2]);
    assert.ok(window.state().messages.every(([, , receipt]) => receipt === ''));
    assert.deepEqual(receive(window, 2, [['b', key(2), 'r4']]), ['redelivery']);
    assert.deepEqual(window.takeDue(10), [{ messageId: 'b', receipt: 'r4' }]);
  });

  it('keeps no more keys than it can carry, however often receives are lost', () => {
    const window = new Window({ ...LIMITS, mostKeysHeld: 6 });
    for (let n = 1; n <= 20; n += 1) {
      window.receiveLost(VISIBILITY);
      settle(window, n, n);
      assert.ok(window.size <= 7, `${window.size} keys`);
    }
    assert.equal(receive(window, 30, [['again', key(20), 'r']])[0], 'repeat');
  });

  it('is full where too many messages are unsettled', () => {
    const window = new Window(LIMITS);
    for (let n = 0; n < LANE_LIMITS.mostUnsettled; n += 1) {
      receive(window, 0, [[`m${n}`, key(n), 'r']]);
      window.uploaded(key(n));
    }
    assert.equal(window.isFull, false);
    for (let left = LANE_LIMITS.mostUnsettled; left > 0; left -= 100) deleteDue(window, 1, false);
    assert.equal(window.isFull, true);
  });

  it('knows how many bytes continue-as-new carries at most', () => {
    const window = new Window(LIMITS);
    const at = Date.UTC(2026, 0, 31);
    for (let n = 0; n < 500; n += 1) {
      receive(window, at, [[`b3e8bd77-2520-46a8-9c43-${String(n).padStart(12, '0')}`, key(n), '']]);
      window.uploaded(key(n));
    }
    for (let left = 500; left > 0; left -= 100) deleteDue(window, at + 1, left > 300);
    const carried = JSON.stringify(window.state()).length + window.packKeys().length;
    assert.ok(window.unsettled > 100);
    assert.ok(window.bytes >= carried - 200 && window.bytes < 2 * carried, `${window.bytes} for ${carried}`);
  });

  it('is the same after continue-as-new', () => {
    const window = new Window(LIMITS);
    for (let n = 1; n <= 3; n += 1) settle(window, n, n);
    receive(window, 5, [
      ['held', key(4), 'r4'],
      ['late', key(5), 'r5'],
    ]);
    window.uploaded(key(5));
    deleteDue(window, 5, false);
    receive(window, 6, [['copy', key(1), 'c']]);
    window.receiveLost(VISIBILITY);

    const state = JSON.parse(JSON.stringify(window.state())) as ReturnType<Window['state']>;
    const next = new Window(LIMITS, state, window.packKeys(), [key(4)]);
    assert.deepEqual(next.packKeys(), window.packKeys());
    assert.deepEqual(next.state(), window.state());
    assert.deepEqual(next.takeDue(10), [{ messageId: 'copy', receipt: 'c' }]);
    assert.equal(next.unsettled, 1);
    assert.deepEqual(receive(next, 8, [['held', key(4), 'newer']]), ['redelivery']);
  });

  it('writes every event once, though what can not be deleted is more than it remembers and comes back late', () => {
    fc.assert(
      fc.property(fc.array(turn, { minLength: 20, maxLength: 100, size: 'max' }), (turns) => {
        const backlog = new Backlog();
        for (const each of turns) backlog.run(each);
        backlog.drain();
        assert.equal(new Set(backlog.rows).size, backlog.rows.length);
        assert.ok(backlog.windowSize <= LIMITS.keys, 'bounded once all is settled');
      }),
      { numRuns: 60 },
    );
  });

  it('writes every event once, whatever the queue does', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 100, maxLength: 500 }), fc.boolean(), (steps, carries) => {
        const world = new World(carries);
        for (const each of steps) world.act(each);
        world.drain();
        assert.deepEqual(world.repeated, [], 'written twice');
        assert.deepEqual(world.missing(), [], 'lost');
        assert.equal(world.queueSize, 0);
        assert.ok(world.windowSize <= ROOMY.keys, 'bounded once all is settled');
      }),
      { numRuns: 300 },
    );
  });
});

interface Turn {
  publish: number;
  receive: number;
  /** How long the receive takes. */
  ms: number;
  deletes: boolean;
}

const turn: fc.Arbitrary<Turn> = fc.record({
  publish: fc.nat(12),
  receive: fc.integer({ min: 1, max: 6 }),
  ms: fc.integer({ min: 100, max: 500 }),
  deletes: fc.boolean(),
});

/** A queue that brings a hidden message back behind its backlog, as ElasticMQ does, and a lane with little room. */
class Backlog {
  readonly rows: string[] = [];
  readonly #limits = { ...LIMITS, mostUnsettled: 3 };
  #window = new Window(this.#limits);
  #now = 10_000;
  #published = 0;
  #receipts = 0;
  /** `at` is when a message came, or came back: its place. */
  #queue: { key: string; at: number }[] = [];

  get windowSize(): number {
    return this.#window.size;
  }

  run({ publish, receive, ms, deletes }: Turn): void {
    for (let n = 0; n < publish; n += 1) {
      this.#published += 1;
      this.#queue.push({ key: key(this.#published), at: this.#now });
    }
    this.#receive(receive, ms);
    for (const deletion of this.#window.takeDue(100)) {
      if (deletes) this.#queue = this.#queue.filter((message) => message.key !== deletion.messageId);
      this.#window.deletionAnswered(deletion, deletes, this.#now);
    }
    const state = JSON.parse(JSON.stringify(this.#window.state())) as ReturnType<Window['state']>;
    this.#window = new Window(this.#limits, state, this.#window.packKeys());
  }

  drain(): void {
    while (this.#queue.length > 0) this.run({ publish: 0, receive: 6, ms: 100, deletes: true });
    for (let n = 0; n < 40; n += 1) this.run({ publish: 0, receive: 6, ms: 100, deletes: true });
  }

  #receive(count: number, ms: number): void {
    const from = this.#now;
    const visible = this.#queue.filter(({ at }) => at <= from).sort((one, other) => one.at - other.at);
    this.#now += ms;
    for (const message of visible.slice(0, count)) {
      this.#receipts += 1;
      const receive = { from, until: this.#now };
      const verdict = admitOne(this.#window, [message.key, message.key, `r${this.#receipts}`], receive);
      if (verdict === 'new') this.rows.push(message.key);
      this.#window.uploaded(message.key);
      message.at = this.#now + VISIBILITY;
    }
    this.#window.receiveAnswered({ from, until: this.#now }, visible[count]?.at ?? from);
  }
}

/** What happens to a lane, in the model below. Numbers choose among what is there. */
type Step =
  | { do: 'publish'; events: number }
  | { do: 'repeat'; which: number; as: Again }
  | { do: 'receive'; count: number; order: number; lost: boolean }
  /** A receive begins whose answer comes later. SQS may hand out what is hidden, once more. */
  | { do: 'open'; count: number; twice: boolean }
  | { do: 'answer'; lost: boolean }
  /** Messages are received and left in the queue. */
  | { do: 'release'; count: number }
  /** The oldest rows, in one batch. */
  | { do: 'upload'; rows: number }
  | { do: 'delete'; works: number }
  | { do: 'wait'; ms: number }
  | { do: 'continueAsNew' }
  /** So many new events pass through the lane without a fault: they push older keys out. */
  | { do: 'flow'; count: number };

/** What a message that repeats another one carries of it, or of it and the one before. */
const AGAIN = ['the same', 'reversed', 'one twice', 'the first half', 'both', 'both, reversed'] as const;
type Again = (typeof AGAIN)[number];

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      events: fc.integer({ min: 1, max: MOST_EVENTS }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('repeat' as const),
      which: fc.nat(2),
      as: fc.constantFrom(...AGAIN),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('receive' as const),
      count: fc.integer({ min: 1, max: 5 }),
      order: fc.nat(10),
      lost: fc.oneof(
        { weight: 4, arbitrary: fc.constant(false) },
        { weight: 1, arbitrary: fc.constant(true) },
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('open' as const),
      count: fc.integer({ min: 1, max: 3 }),
      twice: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('answer' as const), lost: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('release' as const), count: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('upload' as const), rows: fc.integer({ min: 1, max: 12 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), works: fc.nat(3) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 1_200 }) }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'continueAsNew' }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('flow' as const), count: fc.integer({ min: 1, max: 15 }) }),
  },
);

interface QueuedMessage {
  id: string;
  keys: string[];
  sentAt: number;
  visibleAt: number;
  receipt: string;
}

type Handed = Omit<QueuedMessage, 'visibleAt'>;

/** It was not handed out yet, or stands as if it was not. */
const isNew = ({ receipt }: QueuedMessage): boolean => receipt === '';

/**
 * A queue as unkind as SQS, and the least lane. Deletions fail, or answer success to a stale receipt and delete nothing; receives
 * are lost after they hid messages. The source repeats only what is among its last two events: what the window is for.
 */
class World {
  #now = 1_000;
  #window = new Window(ROOMY);
  readonly #carries: boolean;
  #queue: QueuedMessage[] = [];
  /** Keys of the events, message by message. */
  #published: string[][] = [];
  #events = 0;
  #waiting: string[] = [];
  #lake = new Set<string>();
  #receipts = 0;
  #underWay: { number: number; from: number; received: Handed[] }[] = [];
  readonly repeated: string[] = [];

  constructor(carries: boolean) {
    this.#carries = carries;
  }

  get queueSize(): number {
    return this.#queue.length;
  }

  get windowSize(): number {
    return this.#window.size;
  }

  missing(): string[] {
    return this.#published.flat().filter((published) => !this.#lake.has(published));
  }

  act(each: Step): void {
    this.#now += 1;
    if (each.do === 'publish') this.#publish(each.events);
    else if (each.do === 'repeat') this.#repeat(each.which, each.as);
    else if (each.do === 'receive') this.#receive(each);
    else if (each.do === 'open') this.#open(each);
    else if (each.do === 'answer') this.#answer(each.lost);
    else if (each.do === 'release') this.#release(each.count);
    else if (each.do === 'upload') this.#upload(each.rows);
    else if (each.do === 'delete') this.#delete(each.works);
    else if (each.do === 'wait') this.#now += each.ms;
    else if (each.do === 'flow') this.#flow(each.count);
    else if (this.#carries) this.#continueAsNew();
  }

  /** Everything works from now on; ends when the queue and the window are still. */
  drain(): void {
    while (this.#underWay.length > 0) this.#answer(false);
    for (let round = 0; round < 30; round += 1) {
      this.#receive({ count: 1_000, order: 0, lost: false });
      this.#upload();
      this.#delete(0);
      // An empty poll of some length.
      this.#now += 1;
      const from = this.#now;
      this.#now += 400;
      if (this.#visible().every(({ sentAt }) => sentAt > from)) {
        this.#window.receiveAnswered({ from, until: this.#now }, from);
      }
    }
  }

  #flow(count: number): void {
    for (let n = 0; n < count; n += 1) {
      this.#publish(1 + (n % MOST_EVENTS));
      const visible = this.#visible();
      // SQS may hand out new messages before one that came back. Before one that waits for long it would be beyond what a window can do.
      this.#take(visible.some((message) => this.#waitsForLong(message)) ? visible : visible.filter(isNew));
      this.#upload();
      this.#delete(0);
    }
  }

  /** Behind five messages of the largest kind, in which its keys are not. */
  #waitsForLong(message: QueuedMessage): boolean {
    const newest = Math.max(...message.keys.map((each) => parseInt(each, 16)));
    return !isNew(message) && this.#events - newest > 5 * MOST_EVENTS;
  }

  #publish(events: number): void {
    const keys = Array.from({ length: events }, (_, at) => key(this.#events + 1 + at));
    this.#events += events;
    this.#published.push(keys);
    this.#send(keys);
  }

  #repeat(which: number, as: Again): void {
    const last = this.#published.at(-1 - which) ?? [];
    const both = [...(this.#published.at(-2 - which) ?? []), ...last];
    const keys: Record<Again, string[]> = {
      'the same': last,
      reversed: last.toReversed(),
      'one twice': [...last, ...last.slice(0, 1)],
      'the first half': last.slice(0, Math.ceil(last.length / 2)),
      both,
      'both, reversed': both.toReversed(),
    };
    // A source repeats what is still in the queue or was sent last: further back is what the size of the window decides.
    const [oldest] = both;
    if (oldest !== undefined && !this.#isFar(oldest)) this.#send(keys[as]);
  }

  /** Keys published before this one that are still in the queue would be admitted later and push it out. */
  #isFar(digest: string): boolean {
    return this.#queue.some(({ keys }) => keys.some((other) => other < digest && !this.#lake.has(other)));
  }

  #send(keys: string[]): void {
    const id = `m${this.#receipts}`;
    this.#receipts += 1;
    this.#queue.push({ id, keys, sentAt: this.#now, visibleAt: this.#now, receipt: '' });
  }

  #visible(): QueuedMessage[] {
    return this.#queue.filter(({ visibleAt }) => visibleAt <= this.#now);
  }

  #receive({ count, order, lost }: { count: number; order: number; lost: boolean }): void {
    const visible = this.#visible();
    const first = visible.slice(0, count);
    const turn = order % (first.length || 1);
    const taken = [...first.slice(turn), ...first.slice(0, turn)];
    this.#hide(taken);
    if (lost) return this.#window.receiveLost(VISIBILITY);
    this.#admit(taken);
    const isEnd = taken.length === visible.length;
    const oldest = Math.min(
      ...visible.filter((message) => !taken.includes(message)).map(({ sentAt }) => sentAt),
    );
    this.#window.receiveAnswered(this.#instant(), isEnd ? this.#now : oldest);
  }

  #open({ count, twice }: { count: number; twice: boolean }): void {
    const number = this.#window.beginReceive();
    const taken = (twice ? this.#queue : this.#visible()).slice(0, count);
    this.#hide(taken);
    // The receipts that this receive gave: another one may hand them out once more.
    const received = taken.map((message) => ({ ...message }));
    this.#underWay.push({ number, from: this.#now, received });
  }

  #answer(lost: boolean): void {
    const answered = this.#underWay.shift();
    if (!answered) return;
    const { number, from, received } = answered;
    if (lost) this.#window.receiveLost(VISIBILITY);
    else {
      this.#admit(received, { from, until: this.#now });
      this.#window.receiveAnswered({ from, until: this.#now });
    }
    this.#window.endReceive(number);
  }

  #release(count: number): void {
    const taken = this.#visible().slice(0, count);
    this.#hide(taken);
    for (const message of taken) {
      message.visibleAt = this.#now;
      // It is as visible as one that was never received. One that SQS held back would be beyond what a window can do.
      message.receipt = '';
      this.#window.leftInQueue(message, receiveAt(this.#now));
    }
  }

  #take(messages: QueuedMessage[]): void {
    this.#hide(messages);
    this.#admit(messages);
    this.#window.receiveAnswered(this.#instant(), this.#now);
  }

  #hide(messages: QueuedMessage[]): void {
    for (const message of messages) {
      this.#receipts += 1;
      message.receipt = `r${this.#receipts}`;
      message.visibleAt = this.#now + VISIBILITY;
    }
  }

  #admit(messages: readonly Handed[], when = this.#instant()): void {
    for (const message of messages) {
      const verdicts = this.#window.admit(message, { ...when, visibilityMs: VISIBILITY });
      if (verdicts === 'redelivery') continue;
      this.#waiting.push(...message.keys.filter((_, at) => verdicts[at] === 'new'));
    }
  }

  #instant(): ReceiveSpan {
    return { from: this.#now, until: this.#now };
  }

  #upload(rows = Infinity): void {
    for (const digest of this.#waiting.splice(0, rows)) {
      if (this.#lake.has(digest)) this.repeated.push(digest);
      this.#lake.add(digest);
      this.#window.uploaded(digest);
    }
  }

  #delete(works: number): void {
    for (const deletion of this.#window.takeDue(10)) {
      const message = this.#queue.find(({ id }) => id === deletion.messageId);
      const isStale =
        message !== undefined && (message.receipt !== deletion.receipt || message.visibleAt <= this.#now);
      const fails = works === 3;
      if (!fails && !isStale) this.#queue = this.#queue.filter((other) => other !== message);
      // To a stale receipt SQS answers success and keeps the message.
      this.#window.deletionAnswered(deletion, !fails, this.#now);
    }
  }

  #continueAsNew(): void {
    // Receives under way are awaited first.
    while (this.#underWay.length > 0) this.#answer(false);
    const state = JSON.parse(JSON.stringify(this.#window.state())) as ReturnType<Window['state']>;
    this.#window = new Window(ROOMY, state, this.#window.packKeys(), this.#waiting);
  }
}
