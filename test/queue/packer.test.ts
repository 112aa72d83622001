import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { encodeMessage } from '../../src/queue/message';
import { Packer, type PackerOptions } from '../../src/queue/packer';
import type { QueuedEvent } from '../../src/queue/queued-event';
import { BatchSender, type Outcome } from '../../src/queue/sender';
import { eventually } from '../support/eventually';
import { FakeQueue, HeldAnswers, type Take, takeAll } from '../support/fake-queue';
import { eventsIn } from '../support/received';

const KIBIBYTE = 1024;

class Packing {
  readonly outcomes = new Map<string, Outcome[]>();
  readonly queue: FakeQueue;
  readonly packer: Packer;
  readonly stop = new AbortController();

  constructor(take: Take = takeAll, options: Partial<PackerOptions> = {}) {
    this.queue = new FakeQueue(take);
    const sender = new BatchSender({
      queue: this.queue,
      backoffMs: 1,
      lingerMs: 1,
      signal: this.stop.signal,
      onFailure: () => {},
    });
    this.packer = new Packer({
      sender,
      most: 100,
      maximumBytes: 256 * KIBIBYTE,
      lingerMs: 60_000,
      ...options,
    });
  }

  async add(...events: QueuedEvent[]): Promise<void> {
    for (const event of events) {
      await this.packer.add({ event, alone: encodeMessage(event) }, (outcome) => {
        this.outcomes.set(event.key, [...(this.outcomes.get(event.key) ?? []), outcome]);
      });
    }
  }

  /** How many events each message has that is in the queue. */
  get sizes(): number[] {
    return this.queue.messages.map((message) => eventsIn(message).length);
  }

  get events(): QueuedEvent[] {
    return this.queue.messages.flatMap(eventsIn);
  }
}

const events = (count: number, text = '{}'): QueuedEvent[] =>
  Array.from({ length: count }, (_, index) => ({ key: `payload:${index}`, text }));

/** A text that packs to no less than it has. */
const incompressible = (bytes: number): string => randomBytes(bytes / 2).toString('hex');

const sentAll = (all: readonly QueuedEvent[]) => new Map(all.map(({ key }) => [key, ['sent']]));

describe('A packer', () => {
  it('fills messages, in the order of the events, and settles each of them once', async () => {
    const packing = new Packing();
    const all = events(250);
    await packing.add(...all);
    await packing.packer.flush();
    assert.deepEqual(packing.sizes, [100, 100, 50]);
    assert.deepEqual(packing.events, all);
    assert.deepEqual(packing.outcomes, sentAll(all));
  });

  it('sends what it has once the first event has waited for long enough', async () => {
    const packing = new Packing(takeAll, { lingerMs: 20 });
    await packing.add(...events(3));
    await eventually('they are sent', () => packing.outcomes.size === 3);
    assert.deepEqual(packing.sizes, [3]);
  });

  it('sends one event alone as plain JSON, and every one where a pack may hold one', async () => {
    const alone = new Packing();
    await alone.add(...events(1, '{"a":1}'));
    await alone.packer.flush();
    assert.deepEqual(alone.queue.bodies, ['{"a":1}']);
    assert.deepEqual(alone.queue.keys, ['payload:0']);
    const plain = new Packing(takeAll, { most: 1 });
    await plain.add(...events(3, '{"a":1}'));
    await plain.packer.flush();
    assert.deepEqual(plain.queue.bodies, Array(3).fill('{"a":1}'));
  });

  it('halves what is larger than 64 KiB, which SQS bills as one request, or than the queue takes', async () => {
    for (const [maximumBytes, least] of [
      [256 * KIBIBYTE, 4],
      [8 * KIBIBYTE, 32],
    ] as const) {
      const packing = new Packing(takeAll, { maximumBytes });
      const all = Array.from({ length: 64 }, (_, index) => ({
        key: `payload:${index}`,
        text: incompressible(6 * KIBIBYTE),
      }));
      await packing.add(...all);
      await packing.packer.flush();
      assert.deepEqual(packing.events, all);
      assert(packing.sizes.length >= least, `${packing.sizes.length} messages`);
      for (const { bytes, events } of packing.queue.messages) {
        assert(bytes <= Math.min(maximumBytes, 64 * KIBIBYTE) || events === 1, `${bytes} bytes`);
      }
    }
  });

  it('begins another pack before the texts of one are more than a receive may bring', async () => {
    const packing = new Packing();
    const all = events(100, JSON.stringify('x'.repeat(10_000)));
    await packing.add(...all);
    await packing.packer.flush();
    assert.deepEqual(packing.sizes, [26, 26, 26, 22]);
    assert.deepEqual(packing.events, all);
  });

  it('sends the events of a pack that SQS refuses each by itself', async () => {
    const refusing: Take = (messages) =>
      messages.map((message) => {
        const isBad = message.events > 1 || message.body.includes('bad');
        return isBad ? { ok: false, code: 'InvalidMessageContents', message: 'so there' } : { ok: true };
      });
    const packing = new Packing(refusing);
    const all = [...events(4), { key: 'payload:bad', text: '{"bad":1}' }];
    await packing.add(...all);
    await packing.packer.flush();
    assert.deepEqual(packing.events, all.slice(0, 4));
    const refused = [{ refused: 'InvalidMessageContents: so there' }];
    assert.deepEqual(
      packing.outcomes,
      new Map<string, unknown[]>([...sentAll(all.slice(0, 4)), ['payload:bad', refused]]),
    );
  });

  it('takes no more while SQS is slow', async () => {
    const held = new HeldAnswers();
    const packing = new Packing(held.take);
    let taken = 0;
    void (async () => {
      for (const event of events(10_000)) {
        await packing.add(event);
        taken += 1;
      }
    })();
    await eventually('four requests are under way', () => held.count === 4);
    const before = taken;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(taken, before);
    assert(taken <= 6_000, `${taken} events are taken`);
    packing.stop.abort();
  });
});
