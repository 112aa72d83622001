import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { cutOff, judged, type LogMemory, newestEpoch, remembered } from '../../../src/sources/kafka/epochs';

/** A log as the epochs of its entries, of which none goes back. */
type Log = readonly number[];

/** What was read of a log, from its beginning. */
function readAll(log: Log): LogMemory & { next: number } {
  const memory = log.reduce<LogMemory>((known, epoch, offset) => remembered(known, epoch, offset), {});
  return { ...memory, next: log.length };
}

/** What the leader of a log answers (Kafka's LeaderEpochFileCache). */
function endOf(log: Log, asked: number): { epoch: number; offset: number } {
  const end = log.findIndex((epoch) => epoch > asked);
  const offset = end === -1 ? log.length : end;
  return { epoch: log[offset - 1] ?? asked, offset };
}

/** Asks until it is known. @returns undefined where the log is whole */
function cutOf(
  read: LogMemory & { next: number },
  leader: Log,
): { at: number; isExact: boolean } | undefined {
  let asked = newestEpoch(read);
  for (let questions = 0; questions < 10; questions += 1) {
    assert(asked !== undefined);
    const judgement = judged(read, asked, endOf(leader, asked));
    if (judgement.is === 'whole') return undefined;
    if (judgement.is === 'cut') return { at: judgement.at, isExact: judgement.isExact };
    assert(judgement.is === 'ask' && judgement.epoch < asked, JSON.stringify(judgement));
    asked = judgement.epoch;
  }
  throw new Error('asked again and again');
}

/** Entries of epochs, each larger than the one before. */
const tenures = (most: number) =>
  fc.array(fc.record({ skipped: fc.nat(2), length: fc.integer({ min: 1, max: 5 }) }), {
    minLength: 1,
    maxLength: most,
  });

function grown(log: Log, more: readonly { skipped: number; length: number }[], from: number): number[] {
  const entries = [...log];
  let epoch = from;
  for (const { skipped, length } of more) {
    epoch += 1 + skipped;
    for (let count = 0; count < length; count += 1) entries.push(epoch);
  }
  return entries;
}

describe('Whether a leader has what was read', () => {
  it('is so where it has the same log, or more', () => {
    fc.assert(
      fc.property(tenures(6), tenures(3), (ours, more) => {
        const log = grown([], ours, -1);
        const leader = grown(log, more, log.at(-1) ?? 0);
        assert.equal(cutOf(readAll(log), log), undefined);
        assert.equal(cutOf(readAll(log), leader), undefined);
      }),
    );
  });

  // Both went on by themselves from where one was no longer followed by the other.
  it('is not so where its log went another way, however long it grew, and from where is told exactly', () => {
    fc.assert(
      fc.property(tenures(4), fc.nat(8), tenures(2), tenures(2), (before, back, ours, theirs) => {
        const shared = grown([], before, -1);
        const common = shared.slice(0, Math.max(1, shared.length - back));
        const last = common.at(-1) ?? 0;
        // No epoch has two leaders; the part of its own that the other kept is of an epoch that both have.
        const own = shared.at(-1) ?? 0;
        const read = readAll(grown(common, ours, own));
        const newest = newestEpoch(read) ?? 0;
        const kept = [...common, ...Array<number>(3).fill(last)];
        for (const leader of [common, kept, grown(common, theirs, newest), grown(kept, theirs, newest)]) {
          assert.deepEqual(cutOf(read, leader), { at: common.length, isExact: true });
        }
      }),
    );
  });

  it('is told as far as epochs are remembered: with less, what is cut off may have been read further back', () => {
    const leader = [1, 1, 1, 9];
    assert.deepEqual(cutOf(readAll([1, 1, 2, 2, 3]), leader), { at: 2, isExact: true });
    assert.deepEqual(cutOf(readAll([1, 1, 2, 2, 3, 4, 5]), leader), { at: 3, isExact: false });
    assert.deepEqual(cutOf(readAll([1, 1, 2, 2, 3, 4, 5, 6]), leader), { at: 3, isExact: false });
  });

  it('is not known where it knows of no such epoch', () => {
    assert.deepEqual(judged({ epochs: [[4, 0]], next: 9 }, 4, { epoch: -1, offset: -1 }), { is: 'unknown' });
  });

  it('is asked no further back than where reading began, and with no end where a leader answers nonsense', () => {
    const read = { epochs: [[4, 100]], next: 120 } as const;
    assert.deepEqual(judged(read, 4, { epoch: 2, offset: 300 }), { is: 'cut', at: 100, isExact: false });
    assert.deepEqual(judged(read, 4, { epoch: 9, offset: 300 }), { is: 'whole' });
  });
});

describe('What is remembered of a log', () => {
  it('is where its newest epochs begin', () => {
    let memory: LogMemory = {};
    for (const [epoch, offset] of [
      [-1, 0],
      [0, 1],
      [0, 2],
      [3, 3],
      [2, 4],
      [4, 5],
      [6, 6],
    ] as const) {
      memory = remembered(memory, epoch, offset);
    }
    assert.deepEqual(memory, {
      epochs: [
        [3, 3],
        [4, 5],
        [6, 6],
      ],
    });
  });

  it('is what is before a cut, and how many there were', () => {
    const memory = {
      epochs: [
        [3, 10],
        [4, 20],
      ],
    } as const;
    assert.deepEqual(cutOff(memory, 20), { epochs: [[3, 10]], cuts: 1 });
    assert.deepEqual(cutOff({ ...memory, cuts: 1 }, 10), { cuts: 2 });
  });
});
