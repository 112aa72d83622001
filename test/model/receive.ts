import { type Received, type ReceivedMessage, takenApart } from '../../src/lane/received';
import type { Outcome, ReceiveInput } from '../../src/lane/work';
import { bytesOf, cellsOf, isRejected, keyOf } from './events';
import { type Handed, nameOf } from './queue';
import type { World } from './world';

const MESSAGES_PER_POLL = 10;

/** Of the releases, those that fail. */
const FAILED_RELEASES = 0.1;

/** Batches that wait in the queue where it is said to have a backlog. */
const BACKLOG_BATCHES = 8;

type Event = ReceivedMessage['events'][number];

/**
 * One run of the activity `receiveMessages`: it polls until it has what is wanted, tells what it was handed, and when, as far
 * as the worker knows. Polls may be refused, which hands out nothing, or lose their answers; and so may the whole.
 */
export class Receive {
  readonly #world: World;
  readonly #input: ReceiveInput;
  readonly #clock: () => number;
  readonly #tell: (outcome: Outcome<Received>) => void;
  readonly #isAnswerLost: boolean;
  /** All rows have as many. */
  readonly #rowBytes: number;
  readonly #messages: ReceivedMessage[] = [];
  readonly #facts: Omit<Received, 'messages' | 'events'> = {
    leftInQueue: [],
    from: 0,
    until: 0,
    behind: false,
    lostPolls: 0,
    refusedPolls: 0,
  };
  /** Events of the messages. */
  readonly #brought: number[] = [];
  #isFullOfBytes = false;
  #collectUntil = Infinity;

  constructor(world: World, input: ReceiveInput, tell: (outcome: Outcome<Received>) => void) {
    this.#world = world;
    this.#input = input;
    this.#tell = tell;
    this.#clock = world.clocks.pick();
    this.#rowBytes = bytesOf(cellsOf(0, input.paths, world.filler));
    this.#isAnswerLost = world.random.chance(world.scenario['lost-answers']);
  }

  /** The next poll begins. */
  poll(): void {
    const { time, random, faults } = this.#world;
    const begun = this.#clock();
    const seconds = this.#brought.length === 0 ? this.#input.waitSeconds : 1;
    const until = time.now + seconds * 1_000;
    const isLost = random.chance(this.#world.scenario['lost-polls']);
    const isRefused = random.chance(this.#world.scenario['refused-polls']);
    const look = (): void => {
      if (faults.isAway('queue')) return this.#queueIsGone();
      if (isRefused || this.#isThrottled()) return this.#pollRefused(begun);
      if (faults.isAway('receives')) return this.#pollLost(begun);
      const handed = this.#take();
      if (handed.length === 0 && time.now < until) return time.after(random.integer(50, 300), look);
      if (isLost || this.#world.faults.isAway('answers')) return this.#pollLost(begun);
      this.#polled(begun, handed);
    };
    time.after(random.integer(3, 20), look);
  }

  #queueIsGone(): void {
    const { time, random, claim } = this.#world;
    time.after(random.integer(1, 200), () => {
      claim.lose();
      this.#tell({ ok: false, problem: 'there is no such queue', isFinal: true, isRefused: true });
    });
  }

  #isThrottled(): boolean {
    const { faults, random } = this.#world;
    return faults.isAway('throttling') && random.chance(0.3);
  }

  #take(): Handed[] {
    return this.#world.queue.receive(this.#size(), this.#input.visibilityTimeoutSeconds * 1_000);
  }

  /** Messages that fit, were each as large as those before. */
  #size(): number {
    const { messageEvents = 1 } = this.#input;
    const events = this.#messages.length === 0 ? messageEvents : this.#brought.length / this.#messages.length;
    return Math.min(MESSAGES_PER_POLL, Math.max(1, Math.ceil(this.#room() / events)));
  }

  /** Rows that are still wanted. */
  #room(): number {
    const { rows, backlogRows = rows } = this.#input;
    return (this.#facts.behind ? backlogRows : rows) - this.#brought.length;
  }

  #pollLost(begun: number): void {
    this.#facts.lostPolls += 1;
    this.#answered(begun);
    if (this.#brought.length > 0) this.#finish();
    else this.#fail('a poll was lost', this.#world.random.integer(1, 200));
  }

  #pollRefused(begun: number): void {
    this.#facts.refusedPolls += 1;
    this.#answered(begun);
    if (this.#brought.length > 0) this.#finish();
    else this.#fail('a poll was refused', this.#world.random.integer(1, 50), true);
  }

  #answered(begun: number): void {
    this.#facts.from ||= begun;
    // As the activity does: a clock may have been mended meanwhile.
    this.#facts.until = Math.max(this.#facts.from, this.#clock());
  }

  #polled(begun: number, handed: readonly Handed[]): void {
    const { time, queue } = this.#world;
    this.#answered(begun);
    if (handed.length === 0) this.#reach(begun);
    else if (this.#collectUntil === Infinity) this.#collectUntil = time.now + this.#input.collectMs;
    const isFull = handed.length === this.#size();
    const wasLeft = this.#sort(handed);
    this.#facts.behind = isFull && !wasLeft && queue.visible > BACKLOG_BATCHES * this.#input.rows;
    if (!this.#wantsMore()) return this.#finish();
    const pauseMs = this.#facts.behind ? 5 : this.#world.random.integer(20, 500);
    time.after(pauseMs, () => this.poll());
  }

  #wantsMore(): boolean {
    const { lostPolls, refusedPolls } = this.#facts;
    if (this.#isFullOfBytes || lostPolls + refusedPolls > 0 || this.#brought.length === 0) return false;
    return this.#room() > 0 && this.#world.time.now < this.#collectUntil;
  }

  /** @returns whether messages were released */
  #sort(handed: readonly Handed[]): boolean {
    const { random, scenario } = this.#world;
    const isCut = handed.length > 1 && random.chance(scenario.releases);
    const fitting = isCut ? random.integer(1, handed.length - 1) : handed.length;
    const excess: Handed[] = [];
    for (const [index, message] of handed.entries()) {
      if (index >= fitting || !this.#fits(message)) excess.push(message);
      else this.#add(message);
    }
    this.#release(excess);
    return excess.length > 0;
  }

  /** The first message is taken whatever its size: nobody else would take it. */
  #fits({ events }: Handed): boolean {
    const bytes = (this.#brought.length + events.length) * this.#rowBytes;
    return this.#brought.length === 0 || bytes <= this.#input.bytes;
  }

  #add({ id, receipt, events, sentAt }: Handed): void {
    const { lake, random, scenario, trace } = this.#world;
    this.#reach(sentAt);
    this.#facts.oldestSentAt = Math.min(this.#facts.oldestSentAt ?? Infinity, sentAt);
    const rejected = events.filter((event) => isRejected(event, scenario.rejects));
    if (rejected.length > 0 && random.chance(scenario.unkept)) {
      this.#leave({ id, events, sentAt });
      trace.tell(events, () => `${nameOf(id)} stays in the queue: what it rejects can't be kept`);
      return;
    }
    for (const event of rejected) lake.keepRejected(event);
    this.#messages.push({ id, receipt, sentAt, events: events.map((event) => this.#read(event)) });
    this.#brought.push(...events);
  }

  #leave({ id, events, sentAt }: Pick<Handed, 'id' | 'events' | 'sentAt'>): void {
    this.#facts.leftInQueue.push({ id, sentAt, keys: events.map(keyOf) });
  }

  #read(event: number): Event {
    const { scenario, filler } = this.#world;
    const key = keyOf(event);
    if (isRejected(event, scenario.rejects)) return { key, reason: 'not-json' };
    return { key, cells: cellsOf(event, this.#input.paths, filler), bytes: this.#rowBytes };
  }

  #release(excess: readonly Handed[]): void {
    if (excess.length === 0) return;
    const { queue, random, trace } = this.#world;
    this.#isFullOfBytes = true;
    const isFailure = random.chance(FAILED_RELEASES);
    if (isFailure) this.#facts.lostPolls += 1;
    for (const handed of excess) {
      const { id, receipt, events } = handed;
      this.#leave(handed);
      if (isFailure) trace.tell(events, () => `${nameOf(id)} can't be released`);
      else queue.release(receipt);
    }
  }

  #reach(time: number): void {
    this.#facts.reached = Math.max(this.#facts.reached ?? 0, time);
  }

  /** An answer that is lost is missed at once, or when its heartbeat is. */
  #finish(): void {
    const { random, time, trace } = this.#world;
    trace.tell(this.#brought, () => `its receive is ${this.#isAnswerLost ? 'lost' : 'answered'}`);
    if (this.#isAnswerLost) {
      this.#fail(
        'the answer was lost',
        random.chance(0.5) ? random.integer(1, 50) : random.integer(5_000, 15_000),
      );
      return;
    }
    time.after(random.integer(1, 30), () =>
      this.#tell({ ok: true, value: { ...takenApart(this.#messages), ...this.#facts } }),
    );
  }

  #fail(problem: string, afterMs: number, isRefused = false): void {
    this.#world.time.after(afterMs, () => this.#tell({ ok: false, problem, isFinal: false, isRefused }));
  }
}
