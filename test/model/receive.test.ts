import assert from 'node:assert/strict';
import type { Received } from '../../src/lane/received';
import type { Outcome, ReceiveInput } from '../../src/lane/work';
import { Receive } from './receive';
import { calm, type Wanted } from './scenario';
import { type World, worldOf } from './world';

const INPUT: ReceiveInput = {
  queue: 'queue',
  lake: { bucket: 'lake', prefix: '' },
  paths: ['key', 'filler'],
  escapeFormulas: false,
  addedMembers: [],
  rows: 10,
  bytes: 10_000,
  waitSeconds: 2,
  collectMs: 1_000,
  visibilityTimeoutSeconds: 10,
};

function calmWorld(wanted: Wanted = {}): World {
  const sizes: Wanted = { 'events-per-message': 1, 'row-bytes': 50 };
  return worldOf({
    seed: 1,
    scale: 50,
    wanted: { ...calm(), ...sizes, order: 'sent', rejects: 0, ...wanted },
  });
}

function receive(world: World, input: Partial<ReceiveInput> = {}): Outcome<Received> {
  const told: Outcome<Received>[] = [];
  new Receive(world, { ...INPUT, ...input }, (outcome) => told.push(outcome)).poll();
  while (told.length === 0 && world.time.step());
  const [outcome] = told;
  assert.ok(outcome);
  return outcome;
}

function received(world: World, input: Partial<ReceiveInput> = {}): Received {
  const outcome = receive(world, input);
  assert.ok(outcome.ok);
  return outcome.value;
}

describe('A receive of the model', () => {
  it('brings what is wanted, and tells the newest that it saw', () => {
    const world = calmWorld();
    const sentAt = world.time.now;
    for (let event = 0; event < 12; event += 1) world.queue.send([event]);
    const { messages, reached, lostPolls } = received(world);
    assert.equal(messages.length, 10);
    assert.equal(reached, sentAt);
    assert.equal(lostPolls, 0);
  });

  it('waits for a first message, and tells when an empty poll began', () => {
    const world = calmWorld();
    const begun = world.time.now;
    const { messages, reached, until } = received(world);
    assert.deepEqual(messages, []);
    assert.equal(reached, begun);
    assert.ok(until >= begun + INPUT.waitSeconds * 1_000);
  });

  it('hides what a lost poll was handed', () => {
    const world = calmWorld({ 'lost-polls': 1 });
    world.queue.send([1]);
    assert.equal(receive(world).ok, false);
    assert.deepEqual(world.queue.depth(), { visible: 0, notVisible: 1 });
  });

  it('is handed nothing where it is refused, and says so', () => {
    const world = calmWorld({ 'refused-polls': 1 });
    world.queue.send([1]);
    const outcome = receive(world);
    assert.equal(!outcome.ok && outcome.isRefused, true);
    assert.deepEqual(world.queue.depth(), { visible: 1, notVisible: 0 });
  });

  it('hides what is in an answer that is lost', () => {
    const world = calmWorld({ 'lost-answers': 1 });
    world.queue.send([1]);
    assert.equal(receive(world, { visibilityTimeoutSeconds: 30 }).ok, false);
    assert.deepEqual(world.queue.depth(), { visible: 0, notVisible: 1 });
  });

  it('releases what is too large together, but takes a first message whatever its size', () => {
    const world = calmWorld({ 'events-per-message': 3, 'row-bytes': 500 });
    world.queue.send([1, 2, 3]);
    world.queue.send([4, 5, 6]);
    const { messages, leftInQueue } = received(world, { bytes: 1_000, rows: 6 });
    assert.deepEqual(
      messages.map(({ events }) => events),
      [3],
    );
    assert.equal(leftInQueue.length, 1);
    assert.deepEqual(world.queue.depth(), { visible: 1, notVisible: 1 });
  });

  it('keeps what can not become rows, or leaves its message in the queue', () => {
    const world = calmWorld({ rejects: 1, unkept: 0.3 });
    for (let event = 0; event < 20; event += 1) world.queue.send([event]);
    const { messages, events, leftInQueue } = received(world, { rows: 20 });
    assert.ok(events.every((event) => 'reason' in event));
    assert.equal(world.lake.rejected.size, messages.length);
    assert.equal(messages.length + leftInQueue.length, 20);
    assert.ok(leftInQueue.length > 0);
  });
});
