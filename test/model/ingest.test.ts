import assert from 'node:assert/strict';
import { seededRandom } from '../../local/simulated-stream/random';
import { Ingest } from './ingest';
import { drawScenario, type Wanted } from './scenario';
import { VirtualTime } from './virtual-time';

const WINDOW = 300;
const EVENTS = 1_200;

/** @returns the events in the order in which they were sent */
function sentBy(seed: number, wanted: Wanted): number[] {
  const time = new VirtualTime(0);
  const random = seededRandom(seed);
  const sent: number[] = [];
  const queue = { send: (events: readonly number[]) => void sent.push(...events) };
  const scenario = drawScenario(random, 50, {
    events: EVENTS,
    window: WINDOW,
    rate: 10,
    backlog: 0,
    crashes: 7,
    ...wanted,
  });
  const ingest = new Ingest(time, random, scenario, queue);
  ingest.start();
  for (let crash = 0; crash < scenario.crashes; crash += 1) {
    time.after(random.integer(0, 120_000), () => ingest.crash());
  }
  while (!ingest.isDone && time.step());
  return sent;
}

/** @returns the most events that were sent for the first time between two copies of one */
function furthestApart(sent: readonly number[]): number {
  const first = new Set<number>();
  const lastAt = new Map<number, number>();
  let most = 0;
  for (const event of sent) {
    most = Math.max(most, first.size - (lastAt.get(event) ?? first.size));
    first.add(event);
    lastAt.set(event, first.size);
  }
  return most;
}

describe('The ingest of the model', () => {
  it('sends every event, some of them again, and what comes again is less than two stints old', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const sent = sentBy(seed, {});
      assert.equal(new Set(sent).size, EVENTS);
      assert.ok(sent.length > EVENTS);
      assert.ok(furthestApart(sent) < (2 * WINDOW) / 3, `seed ${seed}: ${furthestApart(sent)} keys apart`);
    }
  });

  it('sends events much later where a dead stint lags', () => {
    const apart = Array.from({ length: 20 }, (_, seed) => furthestApart(sentBy(seed, { laggard: 60 })));
    assert.ok(Math.max(...apart) > WINDOW);
  });

  it('packs as many events into a message as it may, and sometimes one twice', () => {
    const time = new VirtualTime(0);
    const random = seededRandom(1);
    const messages: (readonly number[])[] = [];
    const queue = { send: (events: readonly number[]) => void messages.push(events) };
    const wanted: Wanted = { events: EVENTS, 'events-per-message': 8, backlog: 1 };
    const ingest = new Ingest(time, random, drawScenario(random, 50, wanted), queue);
    ingest.start();
    while (!ingest.isDone && time.step());
    const sizes = new Set(messages.map(({ length }) => length));
    assert.deepEqual(
      [...sizes].sort((one, other) => one - other),
      [1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert.ok(messages.some((events) => new Set(events).size < events.length));
  });
});
