import assert from 'node:assert/strict';
import { seededRandom } from '../../local/simulated-stream/random';
import { type Handed, type Order, Queue, type QueueHabits } from './queue';
import { Trace } from './trace';
import { VirtualTime } from './virtual-time';

const VISIBILITY_MS = 1_000;

class Stage {
  readonly time = new VirtualTime(0);
  readonly queue: Queue;

  constructor(
    order: Order,
    { slip = 0, stale = 'nothing', releasesBehind = false }: Partial<QueueHabits> = {},
  ) {
    const trace = new Trace(this.time, undefined, () => {});
    this.queue = new Queue(this.time, seededRandom(1), { order, slip, stale, releasesBehind }, trace);
  }

  send(from: number, to: number): void {
    for (let event = from; event <= to; event += 1) this.queue.send([event]);
  }

  receive(most: number): Handed[] {
    return this.queue.receive(most, VISIBILITY_MS);
  }

  /** @returns the events, in the order in which they are handed out */
  events(most: number): number[] {
    return this.receive(most).flatMap(({ events }) => events);
  }

  pass(ms: number): void {
    this.time.after(ms, () => {});
    this.time.step();
  }
}

describe('The queue of the model', () => {
  it('hands out in the order of sending, and hides what it has handed out', () => {
    const stage = new Stage('sent');
    stage.send(1, 3);
    assert.deepEqual(stage.events(2), [1, 2]);
    assert.deepEqual(stage.events(2), [3]);
    assert.deepEqual(stage.events(2), []);
    assert.deepEqual(stage.queue.depth(), { visible: 0, notVisible: 3 });
  });

  it('brings a message back at its old place, in the order `sent`', () => {
    const stage = new Stage('sent');
    stage.send(1, 3);
    assert.deepEqual(stage.events(1), [1]);
    stage.pass(VISIBILITY_MS);
    stage.send(4, 4);
    assert.deepEqual(stage.events(4), [1, 2, 3, 4]);
  });

  it('brings it back behind what was sent while it was hidden, and before what is sent later, in the order `back`', () => {
    const stage = new Stage('back');
    stage.send(1, 3);
    assert.deepEqual(stage.events(1), [1]);
    stage.send(4, 4);
    stage.pass(VISIBILITY_MS);
    stage.send(5, 5);
    assert.deepEqual(stage.events(5), [2, 3, 4, 1, 5]);
  });

  it('brings it back only when it is asked, behind all, in the order `asked`', () => {
    const stage = new Stage('asked');
    stage.send(1, 3);
    assert.deepEqual(stage.events(1), [1]);
    stage.pass(VISIBILITY_MS);
    stage.send(4, 4);
    assert.deepEqual(stage.queue.depth(), { visible: 3, notVisible: 1 });
    assert.deepEqual(stage.events(1), [2]);
    stage.send(5, 5);
    assert.deepEqual(stage.events(4), [3, 4, 1, 5]);
  });

  it('lets a message be overtaken by no more events than it may slip, in the order `noisy`', () => {
    const slip = 5;
    const stage = new Stage('noisy', { slip });
    stage.send(1, 400);
    const events = Array.from({ length: 400 }, () => stage.events(1)).flat();
    const overtaken = events.map(
      (event, place) => events.slice(0, place).filter((other) => other > event).length,
    );
    assert.equal(events.length, 400);
    assert.ok(Math.max(...overtaken) > 0);
    assert.ok(Math.max(...overtaken) <= slip);
  });

  it('deletes with the newest receipt, within its visibility timeout', () => {
    const stage = new Stage('sent');
    stage.send(1, 1);
    const [message] = stage.receive(1);
    assert.ok(message);
    stage.pass(VISIBILITY_MS - 1);
    stage.queue.delete(message.receipt);
    assert.equal(stage.queue.size, 0);
  });

  for (const stale of ['nothing', 'delete'] as const) {
    const size = stale === 'nothing' ? 1 : 0;
    it(`has ${size} messages after a deletion too late, where stale ones are answered with success and do: ${stale}`, () => {
      const stage = new Stage('sent', { stale });
      stage.send(1, 1);
      const [message] = stage.receive(1);
      assert.ok(message);
      stage.pass(VISIBILITY_MS);
      stage.queue.delete(message.receipt);
      assert.equal(stage.queue.size, size);
    });

    it(`has ${size} messages after a deletion with an old receipt, where stale ones do: ${stale}`, () => {
      const stage = new Stage('sent', { stale });
      stage.send(1, 1);
      const [message] = stage.receive(1);
      assert.ok(message);
      stage.pass(VISIBILITY_MS);
      assert.equal(stage.receive(1).length, 1);
      stage.queue.delete(message.receipt);
      assert.equal(stage.queue.size, size);
    });
  }

  for (const releasesBehind of [false, true]) {
    const order = releasesBehind ? [2, 1] : [1, 2];
    it(`hands out a released message at once, ${releasesBehind ? 'behind the others' : 'at its old place'}`, () => {
      const stage = new Stage('back', { releasesBehind });
      stage.send(1, 2);
      const [message] = stage.receive(1);
      assert.ok(message);
      stage.queue.release(message.receipt);
      assert.deepEqual(stage.events(2), order);
    });
  }
});
