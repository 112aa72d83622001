import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  type Cursor,
  cursorTime,
  describeCursor,
  furthest,
  notAhead,
  parsePositions,
  type Position,
  type Positions,
  resumeRequest,
  REWIND_MS,
} from '../../src/sources/cursor';
import { partitionName } from '../../src/event/place';

const SINCE = 1_700_000_000_000;
const eqiad = 'eqiad.mediawiki.recentchange/0';
const codfw = 'codfw.mediawiki.recentchange/0';

const timestamps = fc.integer({ min: SINCE - 10_000, max: SINCE + 10_000 });
const partitions = fc.constantFrom('a/0', 'a/1', 'b/0');

function fold(seen: readonly Positions[], own = 'a/0'): Positions {
  return seen.reduce((known, positions) => furthest(known, positions, { own, since: SINCE }), {});
}

function cursorAt(positions: Positions, rest: Partial<Cursor> = {}): Cursor {
  return { since: SINCE, positions, recent: {}, ...rest };
}

function asked(cursor: Cursor): unknown {
  const request = resumeRequest(cursor);
  assert('lastEventId' in request);
  return JSON.parse(request.lastEventId);
}

describe('How far a cursor is', () => {
  it('is told by the newest of its times, and never before its beginning', () => {
    const told = (cursor: Cursor) => cursorTime(cursor) === describeCursor(cursor) && cursorTime(cursor);
    const at = (time: number) => new Date(time).toISOString();
    assert.equal(told(cursorAt({})), at(SINCE));
    assert.equal(told(cursorAt({ 'a/0': { timestamp: SINCE + 5 }, 'a/1': { offset: 7 } })), at(SINCE + 5));
    assert.equal(told(cursorAt({ 'a/0': { offset: 7 } }, { time: SINCE + 9 })), at(SINCE + 9));
    assert.equal(told(cursorAt({ 'a/0': { offset: 7 } }, { time: SINCE - 9 })), at(SINCE));
  });

  it('is no time in 1970 where the earliest event is wanted and none was read', () => {
    for (const positions of [{}, { 'a/0': { offset: 7 } }]) {
      const cursor = cursorAt(positions, { since: 0 });
      assert.deepEqual([cursorTime(cursor), describeCursor(cursor)], [undefined, 'the beginning']);
    }
  });
});

describe('An id of EventStreams', () => {
  it('states one position per topic partition, as a timestamp or as an offset', () => {
    const id = JSON.stringify([
      { topic: 'eqiad.mediawiki.recentchange', partition: 0, timestamp: 5 },
      { topic: 'codfw.mediawiki.recentchange', partition: 0, offset: -1 },
      { topic: 'with/slash', partition: 3, offset: 0 },
    ]);
    assert.deepEqual(parsePositions(id), {
      [eqiad]: { timestamp: 5 },
      [codfw]: { offset: -1 },
      'with/slash/3': { offset: 0 },
    });
  });

  const others: Record<string, string> = {
    'no id at all': '',
    'a number': '17',
    'no JSON': '[{"topic"',
    'an object': '{"topic":"a","partition":0,"offset":1}',
    'an empty list': '[]',
    'a list of null': '[null]',
    'a topic that is no text': '[{"topic":1,"partition":0,"offset":1}]',
    'no partition': '[{"topic":"a","offset":1}]',
    'a negative partition': '[{"topic":"a","partition":-1,"offset":1}]',
    'neither offset nor timestamp': '[{"topic":"a","partition":0}]',
    'an offset below latest': '[{"topic":"a","partition":0,"offset":-2}]',
    'a timestamp with a fraction': '[{"topic":"a","partition":0,"timestamp":1.5}]',
    'one good entry and one bad': '[{"topic":"a","partition":0,"offset":1},{"topic":"b"}]',
  };
  for (const [what, id] of Object.entries(others)) {
    it(`is not ${what}`, () => assert.equal(parsePositions(id), undefined));
  }

  it('is read without throwing, whatever the text', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (id) => void parsePositions(id)));
  });
});

describe('Positions', () => {
  it('are the maximum per partition, whatever the order of the events', () => {
    const ids = fc.array(
      fc.dictionary(
        partitions,
        timestamps.map((timestamp) => ({ timestamp })),
        { noNullPrototype: true },
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(ids, fc.infiniteStream(fc.nat()), (seen, order) => {
        const maximum: Record<string, Position> = {};
        for (const positions of seen) {
          for (const [name, { timestamp }] of Object.entries(positions)) {
            const before = maximum[name];
            const most = before && 'timestamp' in before ? Math.max(before.timestamp, timestamp) : timestamp;
            maximum[name] = { timestamp: most };
          }
        }
        const shuffled = seen
          .map((positions) => ({ positions, at: order.next().value ?? 0 }))
          .sort((a, b) => a.at - b.at)
          .map(({ positions }) => positions);
        assert.deepEqual({ ...fold(seen) }, maximum);
        assert.deepEqual({ ...fold(shuffled) }, maximum);
      }),
    );
  });

  it('never give up a timestamp for "latest", nor for an offset that another partition\'s event names', () => {
    const offset = fc.integer({ min: -1, max: 1e12 }).map((offset) => ({ offset }));
    fc.assert(
      fc.property(partitions, partitions, timestamps, offset, (own, other, timestamp, hearsay) => {
        fc.pre(own !== other || hearsay.offset === -1);
        const known = { [other]: { timestamp } };
        assert.equal(furthest(known, { [other]: hearsay }, { own, since: SINCE }), known);
      }),
    );
  });

  it('begin at `since` for a partition that is only known by hearsay', () => {
    const seen = { [eqiad]: { timestamp: SINCE + 5 }, [codfw]: { offset: 123 }, 'third/0': { offset: -1 } };
    assert.deepEqual(furthest({}, seen, { own: eqiad, since: SINCE }), {
      [eqiad]: { timestamp: SINCE + 5 },
      [codfw]: { timestamp: SINCE },
      'third/0': { timestamp: SINCE },
    });
  });

  it("move by the offset of the event's own partition, and never back", () => {
    const seen = [4, 9, 7].map((offset) => ({ 'a/0': { offset } }));
    assert.deepEqual(fold(seen), { 'a/0': { offset: 9 } });
  });

  it('are the same object where an event moves nothing, and are never changed in place', () => {
    const known = Object.freeze({ 'a/0': Object.freeze({ timestamp: SINCE }) });
    assert.equal(furthest(known, { 'a/0': { timestamp: SINCE - 1 } }, { own: 'a/0', since: SINCE }), known);
    assert.notEqual(
      furthest(known, { 'a/0': { timestamp: SINCE + 1 } }, { own: 'a/0', since: SINCE }),
      known,
    );
  });

  it('are so many as a request can name, and those that are known still move', () => {
    const named = (count: number) => ({ [`topic-${count}/0`]: { timestamp: SINCE + count } });
    const known = fold(Array.from({ length: 2_000 }, (_, count) => named(count)));
    assert(JSON.stringify(known).length <= 16 * 1024);
    assert(Object.keys(known).length > 200);
    const moved = { 'topic-0/0': { timestamp: SINCE + 9_000 } };
    const next = furthest(known, { ...named(5_000), ...moved }, { own: 'topic-5000/0', since: SINCE });
    assert.deepEqual(next, { ...known, ...moved });
  });

  it('are never ahead of the clock, or a reconnect would skip what is published until then', () => {
    const offset = { 'b/0': { offset: 9e15 } };
    const ahead = {
      'a/0': { timestamp: Number.MAX_SAFE_INTEGER },
      'a/1': { timestamp: SINCE - 1 },
      ...offset,
    };
    assert.deepEqual(notAhead(ahead, SINCE), {
      'a/0': { timestamp: SINCE },
      'a/1': { timestamp: SINCE - 1 },
      ...offset,
    });
    const past = { 'a/0': { timestamp: SINCE } };
    assert.equal(notAhead(past, SINCE), past);
  });
});

describe('A request to resume', () => {
  it('asks by time while nothing is known, and by the last id of a source that is not Wikimedia', () => {
    assert.deepEqual(resumeRequest(cursorAt({})), { since: SINCE });
    assert.deepEqual(resumeRequest(cursorAt({}, { lastEventId: '17' })), { lastEventId: '17' });
  });

  it('goes two seconds back in each partition that has a timestamp, and in no other', () => {
    const cursor = cursorAt({
      [eqiad]: { timestamp: SINCE + 60_000 },
      'a/with/slash/12': { timestamp: SINCE + 30_000 },
      'counted/0': { offset: 77 },
    });
    assert.deepEqual(asked(cursor), [
      { topic: 'eqiad.mediawiki.recentchange', partition: 0, timestamp: SINCE + 60_000 - REWIND_MS },
      { topic: 'a/with/slash', partition: 12, timestamp: SINCE + 30_000 - REWIND_MS },
      { topic: 'counted', partition: 0, offset: 77 },
    ]);
  });

  // It once resumed at a `since` that was ahead of the source's clock, and skipped all up to there.
  it('never goes behind the position itself, and back before `since` only where the position is', () => {
    fc.assert(
      fc.property(timestamps, (timestamp) => {
        const [entry] = asked(cursorAt({ 'a/0': { timestamp } })) as [{ timestamp: number }];
        assert(entry.timestamp <= timestamp);
        assert(entry.timestamp >= Math.min(timestamp, SINCE));
      }),
    );
  });

  it('leaves the cursor as it is: the rewind is never stored', () => {
    const cursor = cursorAt({ [eqiad]: { timestamp: SINCE + 60_000 } });
    const before = structuredClone(cursor);
    resumeRequest(cursor);
    assert.deepEqual(cursor, before);
  });

  it('names every partition as it was named in the ids, so that the server knows it again', () => {
    const topics = fc.array(fc.tuple(fc.string(), fc.nat(99)), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(topics, (named) => {
        const positions = Object.fromEntries(
          named.map(([topic, partition]) => [partitionName(topic, partition), { timestamp: SINCE + 5_000 }]),
        );
        const again = parsePositions(JSON.stringify(asked(cursorAt(positions)))) ?? {};
        assert.deepEqual(Object.keys(again).sort(), Object.keys(positions).sort());
      }),
    );
  });
});
