import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { UploadInput } from '../../src/lane/work';
import { definitionOf } from '../support/definition';
import { digestOf, DrivenLane, HOPELESS, messageOf, PASSING } from '../support/driven-lane';

const VISIBILITY_MS = 8_000;

/** What happens in a world with a lane. Of what is under way, `which` chooses a piece. */
type Step =
  | { do: 'send'; events: number }
  /** The newest message once more, or the one before. */
  | { do: 'repeat'; which: number }
  | { do: 'receive'; which: number; how: 'works' | 'is lost' | 'can not work' | 'releases the last' }
  | { do: 'upload'; which: number; how: 'works' | 'is lost' | 'can not work' }
  | { do: 'delete'; which: number; how: 'works' | 'leaves some' | 'leaves all' | 'is lost' | 'can not work' }
  | { do: 'claim'; works: boolean }
  | { do: 'measure'; works: boolean }
  | { do: 'pass'; ms: number }
  | { do: 'ask'; what: 'pause' | 'resume' | 'flush' | 'stop' | 'start' }
  | { do: 'change'; rows: number }
  | { do: 'continueAsNew' };

const which = fc.nat(3);
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('send' as const), events: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('repeat' as const), which: fc.nat(1) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('receive' as const),
      which,
      how: fc.constantFrom('works', 'works', 'works', 'is lost', 'can not work', 'releases the last'),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('upload' as const),
      which,
      how: fc.constantFrom('works', 'works', 'works', 'is lost', 'can not work'),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('delete' as const),
      which,
      how: fc.constantFrom('works', 'works', 'works', 'leaves some', 'leaves all', 'is lost', 'can not work'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('claim' as const), works: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('measure' as const), works: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 1_000, 5_000, 30_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      what: fc.constantFrom('pause', 'resume', 'flush', 'stop', 'start'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('change' as const), rows: fc.integer({ min: 3, max: 12 }) }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'continueAsNew' }) },
);

interface Queued {
  id: string;
  events: readonly number[];
  sentAt: number;
  visibleAt: number;
  receipt: string;
}

const settingsOf = (rows: number) => ({ batch: { rows, flushAfterSeconds: 3 }, drainQuietSeconds: 0 });

/** One queue, one lake, and a lane between them. */
class World {
  readonly driven = new DrivenLane(settingsOf(5));
  /** By key of the object. */
  readonly lake = new Map<string, UploadInput>();
  readonly deletedTooEarly: string[] = [];
  readonly #tried = new Map<string, UploadInput>();
  #queue: Queued[] = [];
  #sent: (readonly number[])[] = [];
  #events = 0;
  #count = 0;

  /** All events that were sent, in order. */
  get published(): number[] {
    return Array.from({ length: this.#events }, (_, index) => index + 1);
  }

  /** The events of all rows in the lake, sorted. */
  get rows(): number[] {
    const all = [...this.lake.values()].flatMap(({ rows }) =>
      rows.map(([cell]) => Number(cell?.split(' ')[1])),
    );
    return all.sort((one, other) => one - other);
  }

  /** Those of rows beside which another key stands. */
  get wronglyKeyed(): number[] {
    return [...this.lake.values()].flatMap(({ rows, keys }) =>
      rows
        .map(([cell]) => Number(cell?.split(' ')[1]))
        .filter((event, index) => keys?.[index] !== digestOf(event)),
    );
  }

  get sequences(): number[] {
    return [...this.lake.keys()]
      .map((key) => Number(/-(\d{10})-/.exec(key)?.[1]))
      .sort((one, other) => one - other);
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0 && this.driven.status.rowsWaiting === 0;
  }

  act(step: Step): void {
    const { driven } = this;
    if (step.do === 'send') {
      this.#send(this.#next(step.events));
    } else if (step.do === 'repeat') {
      const again = this.#sent.at(-1 - step.which);
      if (again) this.#send(again);
    } else if (step.do === 'receive') this.#receive(step);
    else if (step.do === 'upload') this.#upload(step);
    else if (step.do === 'delete') this.#delete(step);
    else if (step.do === 'claim') {
      const [work] = driven.underWay('claim');
      if (work) driven.claimed(step.works ? undefined : HOPELESS, work);
    } else if (step.do === 'measure') {
      const [work] = driven.underWay('measure');
      if (work && step.works) driven.measured({ visible: this.#queue.length }, work);
      else if (work) driven.measureFailed(PASSING, work);
    } else if (step.do === 'pass') driven.pass(step.ms);
    else if (step.do === 'ask') driven.tell((lane) => lane[step.what]());
    else if (step.do === 'change') this.#change(step.rows);
    else this.#continueAsNew();
  }

  /** Everything works from now on, until all is in the lake. */
  drain(): void {
    this.driven.tell((lane) => lane.start());
    for (let round = 0; round < 200 && !this.isEmpty; round += 1) {
      this.#works();
      this.driven.pass(1_000);
    }
  }

  #works(): void {
    const { driven } = this;
    if (driven.underWay('claim').length > 0) driven.claimed();
    for (let n = driven.underWay('receive').length; n > 0; n -= 1) this.#receive({ which: 0, how: 'works' });
    while (driven.underWay('upload').length > 0) this.#upload({ which: 0, how: 'works' });
    while (driven.underWay('delete').length > 0) this.#delete({ which: 0, how: 'works' });
    if (driven.underWay('measure').length > 0) driven.measured({ visible: this.#queue.length });
  }

  #next(count: number): number[] {
    const events = Array.from({ length: count }, (_, index) => this.#events + 1 + index);
    this.#events += count;
    return events;
  }

  #send(events: readonly number[]): void {
    const { now } = this.driven;
    this.#count += 1;
    this.#sent.push(events);
    this.#queue.push({ id: `m${this.#count}`, events, sentAt: now, visibleAt: now, receipt: '' });
  }

  #receive({ which: nth, how }: Pick<Step & { do: 'receive' }, 'which' | 'how'>): void {
    const { driven } = this;
    const works = driven.underWay('receive');
    const work = works[nth % works.length];
    if (!work) return;
    const { now } = driven;
    const visible = this.#queue.filter(({ visibleAt }) => visibleAt <= now);
    const most = work.input.backlogRows ?? work.input.rows;
    const taken: Queued[] = [];
    for (let room = most; room > 0 && taken.length < visible.length;) {
      const [message] = visible.slice(taken.length);
      room -= message?.events.length ?? 0;
      if (message && (room >= 0 || taken.length === 0)) taken.push(message);
    }
    for (const message of taken) {
      this.#count += 1;
      message.receipt = `r${this.#count}`;
      message.visibleAt = now + VISIBILITY_MS;
    }
    if (how === 'is lost') return driven.receiveFailed(PASSING, work);
    if (how === 'can not work') return driven.receiveFailed(HOPELESS, work);
    const left = how === 'releases the last' ? taken.splice(-1) : [];
    for (const message of left) message.visibleAt = now;
    const [next] = visible.slice(taken.length);
    const messages = taken.map(({ events, id, receipt, sentAt }) => ({
      ...messageOf(id, ...events),
      receipt,
      sentAt,
    }));
    const answer = {
      leftInQueue: left.map(({ id, events, sentAt }) => ({ id, sentAt, keys: events.map(digestOf) })),
      reached: next ? next.sentAt : now,
      behind: next !== undefined,
    };
    driven.received(messages, answer, work);
  }

  #upload({ which: nth, how }: Pick<Step & { do: 'upload' }, 'which' | 'how'>): void {
    const works = this.driven.underWay('upload');
    const work = works[nth % works.length];
    if (!work) return;
    const { input } = work;
    assert.deepEqual(
      this.#tried.get(String(work.sequence)) ?? input,
      input,
      'each try is of the same object',
    );
    this.#tried.set(String(work.sequence), input);
    // The answer may be lost of what was written.
    if (how !== 'can not work') this.lake.set(input.key, input);
    this.driven.uploaded(how === 'works' ? undefined : HOPELESS, work);
  }

  #delete({ which: nth, how }: Pick<Step & { do: 'delete' }, 'which' | 'how'>): void {
    const { driven } = this;
    const works = driven.underWay('delete');
    const work = works[nth % works.length];
    if (!work) return;
    const left = work.deletions.flatMap((_, place) => {
      return how === 'leaves all' || (how === 'leaves some' && place % 2 === 0) ? [place] : [];
    });
    for (const [place, { messageId, receipt }] of work.deletions.entries()) {
      if (how !== 'can not work' && !left.includes(place)) this.#deleteOne(messageId, receipt);
    }
    if (how === 'can not work') driven.deleted(HOPELESS, work);
    else if (how === 'is lost') driven.deleted(PASSING, work);
    else driven.deleted({ ok: true, value: { left, at: driven.now } }, work);
  }

  /** To a stale receipt SQS answers success, and keeps the message. */
  #deleteOne(messageId: string, receipt: string): void {
    const message = this.#queue.find(({ id }) => id === messageId);
    if (!message || message.receipt !== receipt || message.visibleAt <= this.driven.now) return;
    this.#queue = this.#queue.filter((other) => other !== message);
    const inLake = new Set(this.rows);
    const isKept = (n: number) => inLake.has(n) || this.#queue.some(({ events }) => events.includes(n));
    if (!message.events.every(isKept)) this.deletedTooEarly.push(message.id);
  }

  #change(rows: number): void {
    const { driven } = this;
    if (!driven.lane.isChanging) driven.tell((lane) => lane.want(definitionOf(settingsOf(rows))));
  }

  #continueAsNew(): void {
    const { driven } = this;
    driven.windUp();
    for (let round = 0; round < 100 && !driven.lane.mayEnd; round += 1) {
      this.#works();
      driven.pass(1_000);
    }
    driven.continueAsNew();
  }
}

describe('A lane, whatever comes of its work', () => {
  it('writes each event once, deletes none too early, and numbers its objects without holes', () => {
    fc.assert(
      fc.property(fc.array(steps, { minLength: 30, maxLength: 150, size: 'max' }), (all) => {
        const world = new World();
        for (const step of all) world.act(step);
        world.drain();
        assert.deepEqual(world.rows, world.published);
        assert.deepEqual(world.wronglyKeyed, []);
        assert.equal(world.isEmpty, true);
        assert.deepEqual(world.deletedTooEarly, []);
        assert.deepEqual(
          world.sequences,
          world.sequences.map((_, index) => index + 1),
        );
      }),
      { numRuns: 40 },
    );
  });
});
