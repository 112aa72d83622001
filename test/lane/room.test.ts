import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { LIMITS } from '../../src/lane/limits';
import { hasRoomForBytes, type Load, receiveSize, trickleMs } from '../../src/lane/room';

const { receiveBytes, trickleBytes, receiptBytes, entryBytes, trickleRows, stateBytes, mostStateBytes } =
  LIMITS;

/** Of a row that is to come, beside its cells. */
const rowBytes = receiptBytes + entryBytes;

/** Batches of 100 rows, and a lane that holds nothing. */
const EMPTY: Load = {
  batchRows: 100,
  visibilityTimeoutMs: 120_000,
  waiting: { rows: 0, bytes: 0 },
  frozen: { rows: 0, bytes: 0 },
  receives: { underWay: 0, rows: 0 },
  window: { isFull: false, bytes: 0, undeleted: 0 },
  hasBacklog: false,
  deletionsFail: false,
  isStill: false,
};

const sizeOf = (load: Partial<Load>) => receiveSize({ ...EMPTY, ...load }, LIMITS);

const rows = (count: number) => ({ rows: count, bytes: 0 });
const windowOf = (window: Partial<Load['window']>) => ({ ...EMPTY.window, ...window });
/** Takes all room for bytes. */
const FULL_OF_BYTES = windowOf({ bytes: stateBytes });

interface Case {
  when: string;
  load: Partial<Load>;
  /** Rows wanted, and in a backlog at most; undefined: nothing is received. */
  receives: [rows: number, most: number] | undefined;
}

const CASES: readonly Case[] = [
  { when: 'nothing waits', load: {}, receives: [100, 100] },
  { when: '30 rows wait', load: { waiting: rows(30) }, receives: [70, 70] },
  { when: '230 rows wait', load: { waiting: rows(230) }, receives: [70, 70] },
  { when: 'whole batches wait', load: { waiting: rows(200) }, receives: [100, 100] },
  { when: 'a receive is under way', load: { receives: { underWay: 1, rows: 100 } }, receives: undefined },
  { when: 'seven batches are in its hands', load: { frozen: rows(700) }, receives: [100, 100] },
  { when: 'eight batches are in its hands', load: { frozen: rows(800) }, receives: undefined },
  {
    when: '30 rows wait behind seven batches',
    load: { frozen: rows(700), waiting: rows(30) },
    receives: [70, 70],
  },

  { when: 'there is a backlog', load: { hasBacklog: true }, receives: [100, 300] },
  { when: '30 rows wait in a backlog', load: { hasBacklog: true, waiting: rows(30) }, receives: [100, 300] },
  {
    when: 'a backlog meets room for two batches and a half',
    load: { hasBacklog: true, frozen: rows(550) },
    receives: [100, 200],
  },
  {
    when: 'a backlog meets room for half a batch',
    load: { hasBacklog: true, frozen: rows(750) },
    receives: undefined,
  },
  {
    when: 'three receives are under way in a backlog',
    load: { hasBacklog: true, receives: { underWay: 3, rows: 300 } },
    receives: [100, 300],
  },
  {
    when: 'four receives are under way in a backlog',
    load: { hasBacklog: true, receives: { underWay: 4, rows: 400 } },
    receives: undefined,
  },
  {
    when: 'the receives under way in a backlog may bring seven batches',
    load: { hasBacklog: true, receives: { underWay: 3, rows: 700 } },
    receives: [100, 100],
  },
  {
    when: 'a batch has more rows than a receive brings in a backlog',
    load: { hasBacklog: true, batchRows: 1_000 },
    receives: [1_000, 1_000],
  },
  {
    when: 'a batch has few rows, in a backlog',
    load: { hasBacklog: true, batchRows: 10 },
    receives: [10, 80],
  },

  { when: 'the window is full', load: { window: windowOf({ isFull: true }) }, receives: [10, 10] },
  { when: 'deletions fail', load: { deletionsFail: true }, receives: [10, 10] },
  {
    when: 'deletions fail in a backlog',
    load: { deletionsFail: true, hasBacklog: true },
    receives: [10, 10],
  },
  {
    when: 'a receive is under way, deletions fail, and there is a backlog',
    load: { deletionsFail: true, hasBacklog: true, receives: { underWay: 1, rows: 10 } },
    receives: undefined,
  },
  {
    when: '1,499 messages are to be deleted',
    load: { window: windowOf({ undeleted: 1_499 }) },
    receives: [100, 100],
  },
  {
    when: '1,500 messages are to be deleted',
    load: { window: windowOf({ undeleted: 1_500 }) },
    receives: undefined,
  },
  {
    when: '1,500 messages are to be deleted, and deletions fail',
    load: { window: windowOf({ undeleted: 1_500 }), deletionsFail: true },
    receives: undefined,
  },
];

describe('What a lane may receive', () => {
  for (const { when, load, receives } of CASES) {
    const [wanted, most] = receives ?? [];
    const inBacklog = most === wanted ? '' : `, and up to ${most} of a backlog`;
    it(`is ${receives ? `${wanted} rows${inBacklog}` : 'nothing'} when ${when}`, () => {
      const size = sizeOf(load);
      assert.deepEqual(size && [size.rows, size.most], receives);
      if (size) assert.equal(size.bytes, receiveBytes);
    });
  }

  it('is nothing where another receive would not fit into what continue-as-new carries', () => {
    const room = stateBytes - receiveBytes - trickleRows * rowBytes;
    const sizeWith = (bytes: number, isStill: boolean) => sizeOf({ window: windowOf({ bytes }), isStill });
    assert.equal(sizeWith(room, true)?.rows, trickleRows, 'as many as fit');
    assert.equal(sizeWith(room, false), undefined, 'the end of what is under way makes room for a batch');
    assert.equal(
      sizeOf({ window: windowOf({ bytes: room + 1 }), waiting: rows(1), isStill: true }),
      undefined,
    );
  });

  it('leaves room for the rows, for their receipts, and for all that receives under way may bring', () => {
    const load = {
      ...EMPTY,
      waiting: { rows: 10, bytes: 5_000 },
      frozen: { rows: 20, bytes: 7_000 },
      receives: { underWay: 2, rows: 40 },
    };
    const taken = 12_000 + 30 * receiptBytes + 40 * rowBytes + 2 * receiveBytes + trickleRows * rowBytes;
    const hasRoom = (bytes: number) => hasRoomForBytes({ ...load, window: windowOf({ bytes }) }, LIMITS);
    assert.equal(hasRoom(stateBytes - taken - receiveBytes), true);
    assert.equal(hasRoom(stateBytes - taken - receiveBytes + 1), false);
  });

  it('is a trickle, of one row of the largest kind, where all room is taken by messages that only receiving lets leave', () => {
    const starved = { window: FULL_OF_BYTES, isStill: true };
    const least = { rows: trickleRows, most: trickleRows, bytes: trickleBytes };
    assert.deepEqual(sizeOf(starved), least);
    assert.deepEqual(sizeOf({ ...starved, deletionsFail: true }), least);
  });

  for (const [what, load] of [
    ['something is under way', { isStill: false }],
    ['rows wait, whose upload makes room', { waiting: rows(1) }],
    ['a batch is frozen, whose upload makes room', { frozen: rows(1) }],
    [
      'there is something to delete, which makes room',
      { window: windowOf({ bytes: stateBytes, undeleted: 1 }) },
    ],
    ['no argument of continue-as-new could be longer', { window: windowOf({ bytes: mostStateBytes }) }],
  ] satisfies [string, Partial<Load>][]) {
    it(`is nothing where all room is taken, and ${what}`, () => {
      assert.equal(sizeOf({ window: FULL_OF_BYTES, isStill: true, ...load }), undefined);
    });
  }
});

describe('The wait after a receive of a trickle', () => {
  const waitOf = (load: Partial<Load>) => trickleMs({ ...EMPTY, ...load }, LIMITS);
  const isFull = windowOf({ isFull: true });

  it('is a second where only the window is full', () => {
    assert.equal(waitOf({ window: isFull }), 1_000);
  });

  it('lets 2,000 messages come while one is waited for that could not be deleted, and a second pass at least', () => {
    // An hour and a half in 200 receives of ten.
    assert.equal(waitOf({ deletionsFail: true, visibilityTimeoutMs: 3_600_000 }), (1.5 * 3_600_000) / 200);
    assert.equal(waitOf({ deletionsFail: true }), 1_000);
  });

  it('is as long where there is no room for bytes', () => {
    const window = { ...isFull, bytes: stateBytes };
    assert.equal(waitOf({ window, visibilityTimeoutMs: 3_600_000 }), (1.5 * 3_600_000) / 200);
  });

  it('is fifteen seconds where deletions fail and the window is full', () => {
    assert.equal(waitOf({ window: isFull, deletionsFail: true }), 15_000);
  });
});

const upTo = (max: number) => fc.integer({ min: 0, max });
const held = fc.record({ rows: upTo(9_000), bytes: upTo(stateBytes) });

const anyLoad: fc.Arbitrary<Load> = fc.record({
  batchRows: fc.oneof(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 1_000 })),
  visibilityTimeoutMs: fc.integer({ min: 1, max: 720 }).map((minutes) => minutes * 60_000),
  waiting: held,
  frozen: held,
  receives: fc.record({ underWay: upTo(5), rows: upTo(2_000) }),
  window: fc.record({ isFull: fc.boolean(), bytes: upTo(2 * stateBytes), undeleted: upTo(2_000) }),
  hasBacklog: fc.boolean(),
  deletionsFail: fc.boolean(),
  isStill: fc.boolean(),
});

/** Loads of which many leave a little room. */
const anyLightLoad: fc.Arbitrary<Load> = fc
  .tuple(anyLoad, fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([load, ofRows, ofBytes]) => {
    const inHand = Math.floor(ofRows * LIMITS.batches * load.batchRows);
    const waiting = Math.floor(inHand / 3);
    return {
      ...load,
      waiting: { rows: waiting, bytes: waiting * 10 },
      frozen: { rows: inHand - waiting, bytes: (inHand - waiting) * 10 },
      receives: { underWay: load.receives.underWay, rows: load.receives.underWay * 10 },
      window: { ...load.window, bytes: Math.floor(ofBytes * stateBytes) },
    };
  });

const loads = fc.oneof(anyLoad, anyLightLoad);

describe('Whatever a lane holds, what it may receive', () => {
  const always = (holds: (load: Load, size: NonNullable<ReturnType<typeof receiveSize>>) => void) => {
    let seen = 0;
    fc.assert(
      fc.property(loads, (load) => {
        const size = receiveSize(load, LIMITS);
        if (!size) return;
        seen += 1;
        holds(load, size);
      }),
      { numRuns: 2_000 },
    );
    assert(seen > 100, `it may receive something with ${seen} of the loads`);
  };

  it('is something, and in a backlog no less', () => {
    always((_load, { rows: wanted, most, bytes }) => {
      assert(wanted > 0 && most >= wanted && bytes > 0);
    });
  });

  it('never makes more rows than eight batches, a trickle of ten aside', () => {
    always(({ batchRows, waiting, frozen, receives, window, deletionsFail }, { most }) => {
      const inHand = waiting.rows + frozen.rows + receives.rows;
      if (window.isFull || deletionsFail) assert.equal(most, LIMITS.trickleRows);
      else assert(inHand + most <= LIMITS.batches * batchRows, `${inHand} and ${most} rows`);
    });
  });

  it('makes whole batches in a backlog, and otherwise completes the one that waits', () => {
    always((load, size) => {
      const { batchRows, waiting, hasBacklog, window, deletionsFail } = load;
      const roomy = receiveSize(load, { ...LIMITS, stateBytes: Infinity });
      assert(roomy && size.most <= roomy.most, 'fewer only for want of room');
      if (window.isFull || deletionsFail) return;
      const { most, rows: wanted } = roomy;
      if (hasBacklog) assert.deepEqual([most % batchRows, wanted], [0, batchRows]);
      else assert.deepEqual([(waiting.rows + most) % batchRows, wanted], [0, most]);
    });
  });

  it('fits into what continue-as-new carries, with receipts and keys', () => {
    always((load, { bytes, most }) => {
      const { waiting, frozen, receives, window } = load;
      const receipts = (waiting.rows + frozen.rows) * receiptBytes + (receives.rows + most) * rowBytes;
      const inHand =
        window.bytes + waiting.bytes + frozen.bytes + receipts + receives.underWay * receiveBytes;
      if (bytes === receiveBytes) assert(inHand + bytes <= stateBytes);
      else assert(load.isStill && inHand < mostStateBytes);
    });
  });

  it('is one receive at a time but in a backlog, where there are four', () => {
    always(({ receives, hasBacklog, window, deletionsFail }) => {
      const isTrickle = window.isFull || deletionsFail;
      assert(receives.underWay < (hasBacklog && !isTrickle ? 4 : 1));
    });
  });

  it('waits for deletions that are behind', () => {
    always(({ window }) => assert(window.undeleted < LIMITS.mostUndeleted));
  });
});
