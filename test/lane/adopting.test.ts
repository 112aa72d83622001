import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { toAdopt } from '../../src/lane/carried';
import { deadLaneMs } from '../../src/lane/adopting';
import { LIMITS } from '../../src/lane/limits';
import {
  BEGAN,
  digestOf,
  DrivenLane,
  eventsOf,
  HOPELESS,
  messageOf,
  messagesOf,
  OTHERS,
  THREE,
} from '../support/driven-lane';

const REPLACES = { queue: 'default/run-1', lake: 'default/run-1' };
const HOUR_MS = 3_600_000;

/** A visibility timeout is 120 s, unless it is said. */
const WAIT_MS = deadLaneMs(120_000);

const digests = (...events: number[]) => events.map(digestOf).join('');

function adopting(overrides: ConstructorParameters<typeof DrivenLane>[0] = THREE): DrivenLane {
  const lane = new DrivenLane(
    { queue: { name: 'queue', visibilityTimeoutSeconds: 120 }, ...overrides },
    { carried: toAdopt(REPLACES) },
  );
  return lane;
}

/** A lane that has read these events' rows in the lake. */
function adopted(...events: number[]): DrivenLane {
  return readBy(adopting(), events);
}

function readBy(lane: DrivenLane, events: readonly number[]): DrivenLane {
  lane.claimed();
  lane.pass(WAIT_MS);
  lane.adopted({ ok: true, value: { keys: digests(...events) } });
  return lane;
}

describe('A lane that takes the place of another', () => {
  it('claims what that one had, waits until nothing of it is under way, reads the lake, and only then receives', () => {
    const lane = adopting();
    assert.deepEqual(lane.next('claim'), { kind: 'claim', replaces: REPLACES });
    lane.claimed();
    assert.deepEqual([lane.doing, lane.waits, lane.status.adopting], [[], ['adopting'], 'waiting']);
    lane.pass(WAIT_MS - 1);
    assert.deepEqual(lane.doing, []);
    lane.pass(1);
    assert.deepEqual([lane.doing, lane.status.adopting], [['adopt'], 'reading']);
    const { keys, life } = lane.next('adopt').input;
    assert.deepEqual([keys, life.lane], [LIMITS.adoptedKeys, 0]);
    lane.adopted({ ok: true, value: { keys: digests(1) } });
    assert.deepEqual([lane.doing, lane.status.adopting], [['receive'], undefined]);
  });

  it('waits for a visibility timeout and for an upload under way, whichever is longer', () => {
    assert.ok(deadLaneMs(1_000) >= 65_000);
    assert.ok(deadLaneMs(600_000) >= 600_000);
  });

  it('writes no row that is in the lake, and every other', () => {
    const lane = adopted(1, 2, 3);
    lane.received(messagesOf(6));
    assert.deepEqual(eventsOf(lane.next('upload')), [4, 5, 6]);
    assert.equal(lane.status.counts.repeats, 3);
  });

  it('counts from 1', () => {
    const lane = adopted(1);
    lane.received(messagesOf(3, 10));
    assert.equal(lane.next('upload').sequence, 1);
  });

  it('dates its objects no earlier than the newest that it found', () => {
    const lane = adopting();
    lane.claimed();
    lane.pass(WAIT_MS);
    lane.adopted({ ok: true, value: { keys: '', newestHour: BEGAN + 5 * HOUR_MS } });
    lane.received(messagesOf(3));
    assert.match(lane.next('upload').input.key, /date=2026-01-31\/hour=17\//);
  });

  it('lets no key go until all that the other had received is back', () => {
    const WINDOW = 100;
    const lane = readBy(adopting({ ...THREE, windowKeys: WINDOW }), [1, 2, 3]);
    // More than the window holds, while what was hidden may still come.
    for (let first = 1_000; first < 1_000 + 2 * WINDOW; first += 20) {
      lane.received(messagesOf(20, first));
      lane.finish();
    }
    lane.received([messageOf('back', 1)]);
    assert.equal(lane.status.counts.repeats, 1);
  });

  it('takes over from nobody once it has read the lake', () => {
    const lane = adopted(1);
    lane.tell((told) => told.resume());
    assert.deepEqual(lane.next('claim'), { kind: 'claim' });
  });

  it('parks where the lake can not be read, and reads it when it is resumed, without waiting again', () => {
    const lane = adopting();
    lane.claimed();
    lane.pass(WAIT_MS);
    lane.adopted(HOPELESS);
    assert.deepEqual([lane.status.activity, lane.doing], ['parked', []]);
    lane.tell((told) => told.resume());
    lane.claimed();
    assert.deepEqual(lane.doing, ['adopt']);
    lane.adopted();
    assert.deepEqual([lane.status.activity, lane.doing], ['running', ['receive']]);
  });

  it('is carried over in the middle only when nothing is under way, and goes on with it', () => {
    const lane = adopting();
    lane.claimed();
    lane.windUp();
    assert.equal(lane.lane.mayEnd, false, 'it waits');
    lane.pass(WAIT_MS);
    assert.equal(lane.lane.mayEnd, false, 'it reads');
    lane.adopted(HOPELESS);
    lane.continueAsNew();
    lane.tell((told) => told.resume());
    lane.claimed();
    lane.adopted({ ok: true, value: { keys: digests(7) } });
    lane.received(messagesOf(3, 7));
    assert.equal(lane.status.counts.repeats, 1);
  });

  it('carries what it read', () => {
    const lane = adopted(1, 2);
    lane.windUp();
    lane.received([]);
    lane.continueAsNew();
    // Each run looks whether the queue is still its own.
    lane.claimed();
    lane.received(messagesOf(2));
    assert.equal(lane.status.counts.repeats, 2);
  });

  it('reads where its settings said when it began, and takes others afterwards', () => {
    const lane = adopting();
    lane.tell((told) => told.want(OTHERS));
    lane.claimed();
    lane.pass(WAIT_MS);
    assert.equal(lane.next('adopt').input.lake.prefix, 'raw');
    lane.adopted();
    assert.deepEqual([lane.status.version, lane.status.definition.lake.prefix], [2, 'new']);
  });

  it('drains the queue where it is stopped meanwhile', () => {
    const lane = adopting();
    lane.claimed();
    lane.tell((told) => told.stop());
    lane.claimed();
    lane.pass(WAIT_MS);
    lane.adopted({ ok: true, value: { keys: digests(1) } });
    assert.deepEqual([lane.status.activity, lane.doing], ['stopping', ['receive']]);
  });
});

describe('What a lane is told of the lake', () => {
  it('decides for each event whether it becomes a row: in the lake or in an object of its own, once', () => {
    const events = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(fc.uniqueArray(events), fc.array(events, { maxLength: 30 }), (inLake, coming) => {
        const lane = adopted(...inLake);
        for (const [index, event] of coming.entries()) lane.received([messageOf(`m${index}`, event)]);
        lane.tell((told) => told.flush());
        lane.received([]);
        lane.finish();
        const written = lane.allBegun('upload').flatMap(eventsOf);
        assert.equal(new Set(written).size, written.length);
        assert.deepEqual(new Set(written), new Set(coming.filter((event) => !inLake.includes(event))));
      }),
    );
  });
});
