import assert from 'node:assert/strict';
import { seededRandom } from '../../local/simulated-stream/random';
import { Ingest, type IngestRules, RULES } from './ingest';
import { drawScenario, type Wanted } from './scenario';
import { VirtualTime } from './virtual-time';

const WINDOW = 300;
const EVENTS = 1_200;
const SEEDS = Array.from({ length: 50 }, (_, index) => index + 1);

/** @returns the events in the order in which they were sent */
function sentBy(seed: number, wanted: Wanted, rules: Partial<IngestRules> = {}): number[] {
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
  const ingest = new Ingest(time, random, scenario, queue, { ...RULES, ...rules });
  ingest.start();
  // A backlog is sent in less than a second.
  const spanMs = scenario.backlog > 0 ? 300 : 120_000;
  for (let crash = 0; crash < scenario.crashes; crash += 1) {
    time.after(random.integer(0, spanMs), () => ingest.crash());
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
  for (const wanted of [{}, { rate: 50, window: 100 }, { backlog: 1 }] satisfies Wanted[]) {
    it(`sends every event, some of them again, and no more than two bounds of others between: ${JSON.stringify(wanted)}`, () => {
      const { window = WINDOW } = wanted;
      for (const seed of SEEDS) {
        const sent = sentBy(seed, wanted);
        assert.equal(new Set(sent).size, EVENTS);
        assert.ok(sent.length > EVENTS);
        assert.ok(furthestApart(sent) <= (2 * window) / 3, `seed ${seed}: ${furthestApart(sent)} keys apart`);
      }
    });
  }

  for (const [without, rules] of Object.entries({
    'a lease': { leaseMs: Infinity },
    'a bound': { isBounded: false },
    'hearing what a dead stint told last': { hearsOfDead: false },
  })) {
    it(`without ${without} sends events again that no window recognises`, () => {
      const apart = SEEDS.map((seed) => furthestApart(sentBy(seed, { window: 100, laggard: 60 }, rules)));
      assert.ok(Math.max(...apart) > 100);
    });
  }

  it('packs as many events into a message as it may, and sometimes one twice', () => {
    const time = new VirtualTime(0);
    const random = seededRandom(2);
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
