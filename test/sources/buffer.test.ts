import assert from 'node:assert/strict';
import { EventBuffer } from '../../src/sources/buffer';

const numbered = (number: number) => ({ number });

describe('The buffer of a source', () => {
  let buffer: EventBuffer<{ number: number }>;
  let stop: AbortController;

  beforeEach(() => {
    buffer = new EventBuffer({ items: 3, bytes: 100 });
    stop = new AbortController();
  });

  /** Whether whoever fills the buffer may go on at once. */
  async function hasRoom(): Promise<boolean> {
    const giveUp = AbortSignal.timeout(0);
    await buffer.room(giveUp);
    return !giveUp.aborted;
  }

  async function take(count: number): Promise<number[]> {
    const taken: number[] = [];
    for await (const { number } of buffer.read(stop.signal)) if (taken.push(number) === count) break;
    return taken;
  }

  it('gives what was put, in this order, to a reader who was waiting and to one who comes later', async () => {
    const waiting = take(1);
    buffer.put(numbered(1), 1);
    assert.deepEqual(await waiting, [1]);
    buffer.put(numbered(2), 1);
    buffer.put(numbered(3), 1);
    assert.deepEqual(await take(2), [2, 3]);
  });

  it('has no room while it holds as many items as it may, or more', async () => {
    for (const number of [1, 2]) buffer.put(numbered(number), 0);
    assert(await hasRoom());
    for (const number of [3, 4]) buffer.put(numbered(number), 0);
    assert(!(await hasRoom()));
    await take(1);
    assert(!(await hasRoom()));
    await take(1);
    assert(await hasRoom());
  });

  it('has no room while it holds as many bytes as it may, or more', async () => {
    buffer.put(numbered(1), 99);
    assert(await hasRoom());
    buffer.put(numbered(2), 1_000);
    assert(!(await hasRoom()));
    await take(1);
    assert(!(await hasRoom()));
    await take(1);
    assert(await hasRoom());
  });

  it('lets go all who wait for room when there is some, and one who is to stop', async () => {
    buffer.put(numbered(1), 100);
    const others = Promise.all([buffer.room(stop.signal), buffer.room(stop.signal)]);
    const early = new AbortController();
    const one = buffer.room(early.signal);
    early.abort();
    await one;
    await take(1);
    await others;
  });

  it('fails after what it holds, with the first error', async () => {
    buffer.put(numbered(1), 1);
    buffer.fail(new Error('first'));
    buffer.fail(new Error('second'));
    const taken: number[] = [];
    await assert.rejects(async () => {
      for await (const { number } of buffer.read(stop.signal)) taken.push(number);
    }, /first/);
    assert.deepEqual(taken, [1]);
  });

  it('fails a reader who waits', async () => {
    const waiting = take(1);
    buffer.fail(new Error('gone'));
    await assert.rejects(waiting, /gone/);
  });

  it('ends the reading when it is stopped, and still has what was not taken', async () => {
    for (const number of [1, 2, 3]) buffer.put(numbered(number), 1);
    const taken: number[] = [];
    for await (const { number } of buffer.read(stop.signal)) {
      taken.push(number);
      stop.abort();
    }
    assert.deepEqual(taken, [1]);
    assert.deepEqual([...buffer.rest()], [numbered(2), numbered(3)]);
    assert(await hasRoom());
  });

  it('ends the reading of one who waits when it is stopped', async () => {
    const waiting = take(1);
    stop.abort();
    assert.deepEqual(await waiting, []);
  });

  it('lets go who waits for room when it is cleared', async () => {
    for (const number of [1, 2, 3]) buffer.put(numbered(number), 1);
    const room = buffer.room(stop.signal);
    buffer.clear();
    await room;
    assert.deepEqual([...buffer.rest()], []);
  });
});
