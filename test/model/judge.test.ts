import assert from 'node:assert/strict';
import type { UploadWork } from '../../src/lane/work';
import { cellsOf, isKeyed, isRejected, keyOf } from './events';
import { judge, problemsOf } from './judge';
import { calm } from './scenario';
import { type World, worldOf } from './world';

const EVENTS = 12;
const HOST = { notJson: 0, carriedBytes: 0, longestHistory: 0 };
const COLUMNS = ['key', 'filler'];

/** All events are sent, and a lane wrote none. */
function worldOfSent({ rejects = 0 } = {}): World {
  const wanted = { ...calm(), events: EVENTS, backlog: 1, 'events-per-message': 1, rejects };
  const world = worldOf({ seed: 1, scale: 50, wanted });
  world.ingest.start();
  while (!world.ingest.isDone && world.time.step());
  return world;
}

function deleteAll({ queue }: World): void {
  for (const { receipt } of queue.receive(EVENTS, 1_000)) queue.delete(receipt);
}

function object(
  sequence: number,
  events: readonly number[],
  columns = COLUMNS,
  hour = 'date=2026-01-31/hour=12',
): UploadWork {
  const rows = events.map((event) => cellsOf(event, COLUMNS, '.'));
  const keys = events.map(keyOf);
  const place = { kind: 'none', at: [] } as const;
  const input = {
    bucket: 'lake',
    key: `raw/${hour}/batch-0a1b2c3d-${String(sequence).padStart(10, '0')}-${'0'.repeat(16)}.csv`,
    version: 1,
    columns,
    place,
    rows,
  };
  return { kind: 'upload', sequence, input: isKeyed(columns) ? { ...input, keys } : input };
}

const from = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/** The messages are deleted first, as a lane does that has written what it will. */
function problems(world: World, isStopped = true): string[] {
  if (isStopped) deleteAll(world);
  return problemsOf(judge(world, HOST, isStopped));
}

describe('The judge of the model', () => {
  it('finds nothing where each event stands in one row', () => {
    const world = worldOfSent();
    world.lake.put(object(1, from(0, 5)));
    world.lake.put(object(2, from(6, 11)));
    assert.deepEqual(problems(world), []);
  });

  it('takes an object that is written again for one', () => {
    const world = worldOfSent();
    world.lake.put(object(1, from(0, 11)));
    assert.equal(world.lake.put(object(1, from(0, 11))), true);
    assert.deepEqual(problems(world), []);
  });

  it('finds events that are lost, once the lane has stopped', () => {
    const world = worldOfSent();
    world.lake.put(object(1, from(1, 11)));
    assert.deepEqual(problems(world, false), ['never stopped']);
    assert.deepEqual(problems(world), ['1 lost (0)', '1 deleted before they were in the lake (0)']);
  });

  it('finds events in two rows', () => {
    const world = worldOfSent();
    world.lake.put(object(1, from(0, 11)));
    world.lake.put(object(2, [3]));
    assert.deepEqual(problems(world), ['1 repeated (3)']);
  });

  it('finds a hole in the sequence', () => {
    const world = worldOfSent();
    world.lake.put(object(1, from(0, 5)));
    world.lake.put(object(3, from(6, 11)));
    assert.deepEqual(problems(world), ['1 holes in the sequence, or numbers that stand twice']);
  });

  it('finds receives from a queue that the lane has not claimed, or knows to be gone', () => {
    const world = worldOfSent();
    world.lake.put(object(1, from(0, 11)));
    world.claim.receiveBegins();
    world.claim.take();
    world.claim.receiveBegins();
    world.claim.lose();
    world.claim.receiveBegins();
    assert.deepEqual(problems(world), ['2 receives from a queue that was not claimed']);
  });

  it('finds an object that is tried again with another content', () => {
    const world = worldOfSent();
    world.lake.put(object(1, from(0, 11)));
    assert.equal(world.lake.put(object(1, from(0, 10))), false);
    assert.deepEqual(problems(world), ['1 objects tried with another content']);
  });

  it('finds rows that do not fit their columns', () => {
    const world = worldOfSent();
    world.lake.put(object(1, from(0, 5)));
    world.lake.put(object(2, from(6, 11), ['filler', 'kind', 'key']));
    assert.deepEqual(problems(world, false), ['never stopped', '6 rows that do not fit their columns']);
  });

  it('finds rows with the key of another, and those without one', () => {
    const world = worldOfSent();
    const { input, ...work } = object(1, from(0, 5));
    const { keys = [], ...without } = input;
    world.lake.put({ ...work, input: { ...input, keys: keys.toReversed() } });
    world.lake.put({ ...work, sequence: 2, input: { ...without, key: `${input.key}-2` } });
    assert.deepEqual(problems(world, false), ['never stopped', '12 rows that do not fit their columns']);
  });

  it('finds an object that is dated before an earlier one', () => {
    const world = worldOfSent();
    world.lake.put(object(1, from(0, 5), COLUMNS, 'date=2026-02-01/hour=00'));
    world.lake.put(object(2, from(6, 11), COLUMNS, 'date=2026-01-31/hour=23'));
    assert.deepEqual(problems(world), ['1 objects dated before an earlier one']);
  });

  it('finds rejected events that became rows, or were not kept', () => {
    const rejects = 0.3;
    const world = worldOfSent({ rejects });
    const rejected = from(0, 11).filter((event) => isRejected(event, rejects));
    const [written, notKept, ...kept] = rejected;
    assert.ok(written !== undefined && notKept !== undefined);
    for (const event of [written, ...kept]) world.lake.keepRejected(event);
    world.lake.put(object(1, [...from(0, 11).filter((event) => !rejected.includes(event)), written]));
    assert.deepEqual(problems(world), [
      `2 rejected events written or not kept (${written}, ${notKept})`,
      `1 deleted before they were in the lake (${notKept})`,
    ]);
  });

  it('finds messages that were deleted before their rows were in the lake', () => {
    const world = worldOfSent();
    world.lake.put(object(1, from(0, 10)));
    deleteAll(world);
    world.lake.put(object(2, [11]));
    assert.deepEqual(problems(world), ['1 deleted before they were in the lake (11)']);
  });

  it('finds messages that a stopped lane left, and states that can not be handed over', () => {
    const world = worldOfSent();
    world.lake.put(object(1, from(0, 11)));
    deleteAll(world);
    world.queue.send([1]);
    const verdict = judge(world, { notJson: 2, carriedBytes: 2_000_000, longestHistory: 60_000 }, true);
    assert.deepEqual(problemsOf(verdict), [
      '1 messages left in the queue',
      '2 states that are no JSON',
      'a state of 2000000 bytes',
      'a history of 60000 events',
    ]);
  });
});
