import { isDeepStrictEqual } from 'node:util';
import type { PipelineDefinition } from '../../src/pipeline/definition';
import { type CarriedLane, toAdopt } from '../../src/lane/carried';
import { Lane } from '../../src/lane/lane';
import type { WaitWork, Work } from '../../src/lane/work';
import { Activities } from './activities';
import type { World } from './world';

/** Events that each takes in a history. */
const ACTIVITY_EVENTS = 3;
const TIMER_EVENTS = 2;
const MESSAGE_EVENTS = 1;

/** Of the first lane, as a number. */
const FIRST_INCARNATION = 0x0a1b2c3d;

/** Temporal is away for so long at most before the lake is adopted, in milliseconds. */
const LONGEST_GONE_MS = 180_000;
const SHORTLY_GONE_MS = 2_000;

/** Plays the workflow `batch`: it does what the lane wants, and lets it continue as new when its history is long. */
export class Host {
  readonly #world: World;
  #activities: Activities;
  #definition: PipelineDefinition;
  #lane: Lane;
  #history = 0;
  /** Trickle waits, which may end early. */
  #trickles = new Set<WaitWork>();
  /** Settings that wait until others hold. */
  #updates: PipelineDefinition[] = [];
  #isGone = false;
  /** A run has ended, and the next has not begun. */
  #isBetweenRuns = false;
  /** Lanes whose place another one took. */
  adopted = 0;
  /** Runs that ended. */
  continued = 0;
  /** Of the largest state that was carried. */
  carriedBytes = 0;
  /** What was carried and is no JSON. */
  notJson = 0;
  /** Events of the longest history. */
  longestHistory = 0;

  constructor(world: World, definition: PipelineDefinition) {
    this.#world = world;
    this.#activities = new Activities(world);
    this.#definition = definition;
    this.#lane = this.#newLane(definition);
    world.trace.suffix = () => {
      const { windowKeys, unsettled, counts } = this.#lane.status();
      return `window ${windowKeys}, unsettled ${unsettled}, visible ${world.queue.visible}, rows ${counts.rows}`;
    };
  }

  get lane(): Lane {
    return this.#lane;
  }

  /** Temporal is lost, and no other lane has taken the place of this one. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Temporal's state is lost. After a while another lane goes on where the lake ends. */
  lose(): void {
    if (this.#isGone) return;
    const { time, random, trace, ingest } = this.#world;
    trace.tellAll(() => 'Temporal is lost');
    this.#isGone = true;
    this.#activities.abandon();
    // At once, while what the lane had begun is under way, or long after.
    const goneMs = random.integer(100, random.chance(0.5) ? SHORTLY_GONE_MS : LONGEST_GONE_MS);
    ingest.lose(goneMs);
    time.after(goneMs, () => this.#adopt());
  }

  #adopt(): void {
    this.adopted += 1;
    this.#activities = new Activities(this.#world);
    this.#history = 0;
    this.#trickles = new Set();
    this.#updates = [];
    this.#isBetweenRuns = false;
    this.#isGone = false;
    this.#lane = this.#newLane(
      this.#definition,
      toAdopt({ queue: 'the one before', lake: 'the one before' }),
    );
    this.#goOn();
  }

  begin(): void {
    this.#goOn();
  }

  signal(name: 'start' | 'stop' | 'pause' | 'resume' | 'flush'): void {
    if (this.#isGone) return;
    this.#world.trace.tellAll(() => name);
    this.#history += MESSAGE_EVENTS;
    this.#lane[name]();
    this.#goOn();
  }

  update(wanted: PipelineDefinition): void {
    this.#definition = wanted;
    if (this.#isGone) return;
    this.#world.trace.tellAll(() => 'update');
    this.#history += MESSAGE_EVENTS;
    this.#updates.push(wanted);
    this.#goOn();
  }

  #newLane(definition: PipelineDefinition, carried?: CarriedLane, settledKeys?: Uint8Array): Lane {
    return new Lane(definition, {
      life: { lane: 0, incarnation: (FIRST_INCARNATION + this.adopted).toString(16).padStart(8, '0') },
      now: this.#world.time.now,
      limits: this.#world.limits,
      ...(carried === undefined ? {} : { carried }),
      ...(settledKeys === undefined ? {} : { settledKeys }),
    });
  }

  #goOn(): void {
    if (this.#isBetweenRuns || this.#isGone) return;
    if (this.#history >= this.#world.scenario.history) this.#lane.windUp();
    this.#update();
    this.#endTrickles();
    for (const work of this.#lane.takeWork()) this.#start(work);
    this.longestHistory = Math.max(this.longestHistory, this.#history);
    if (this.#lane.mayEnd && this.#updates.length === 0) return this.#continueAsNew();
    const alarm = this.#lane.takeAlarm();
    if (alarm) this.#start(alarm);
  }

  #update(): void {
    if (this.#lane.isChanging) return;
    const wanted = this.#updates.shift();
    if (wanted) this.#lane.want(wanted);
  }

  #endTrickles(): void {
    for (const wait of this.#trickles) if (this.#lane.hasEnded(wait)) this.#woke(wait);
  }

  #woke(wait: WaitWork): void {
    this.#trickles.delete(wait);
    this.#lane.woke(wait);
  }

  #start(work: Work): void {
    this.#history += work.kind === 'wait' ? TIMER_EVENTS : ACTIVITY_EVENTS;
    switch (work.kind) {
      case 'claim':
        return this.#activities.claim(
          work,
          this.#told((outcome) => this.#lane.claimed(work, outcome)),
        );
      case 'adopt':
        return this.#activities.adopt(
          work,
          this.#told((outcome) => this.#lane.adopted(work, outcome)),
        );
      case 'receive':
        return this.#activities.receive(
          work,
          this.#told((outcome) => this.#lane.received(work, outcome)),
        );
      case 'upload':
        return this.#activities.upload(
          work,
          this.#told((outcome) => this.#lane.uploaded(work, outcome)),
        );
      case 'delete':
        return this.#activities.delete(
          work,
          this.#told((outcome) => this.#lane.deleted(work, outcome)),
        );
      case 'measure':
        return this.#activities.measure(
          work,
          this.#told((outcome) => this.#lane.measured(work, outcome)),
        );
      case 'wait':
        return this.#wait(work);
    }
  }

  #wait(wait: WaitWork): void {
    const lane = this.#lane;
    if (wait.why === 'trickle') this.#trickles.add(wait);
    this.#world.time.after(wait.ms, () => {
      const isOver = wait.why === 'trickle' && !this.#trickles.has(wait);
      // A timer ends with its run.
      if (isOver || this.#isGone || lane !== this.#lane) return;
      this.#woke(wait);
      this.#goOn();
    });
  }

  /** The lane hears it, and goes on. */
  #told<T>(hear: (outcome: T) => void): (outcome: T) => void {
    const lane = this.#lane;
    return (outcome) => {
      if (this.#isGone || lane !== this.#lane) return;
      hear(outcome);
      this.#goOn();
    };
  }

  #continueAsNew(): void {
    const { time, random, trace } = this.#world;
    const carried = this.#lane.carried();
    const keys = this.#lane.settledKeys();
    const json = JSON.stringify({ definition: this.#lane.definition, carried });
    const read = JSON.parse(json) as { definition: PipelineDefinition; carried: CarriedLane };
    if (!isDeepStrictEqual(read.carried, carried)) this.notJson += 1;
    this.carriedBytes = Math.max(this.carriedBytes, json.length + keys.length);
    this.continued += 1;
    this.#history = 0;
    this.#trickles = new Set();
    trace.tellAll(() => 'continues as new');
    this.#lane = this.#newLane(read.definition, read.carried, Uint8Array.from(keys));
    this.#isBetweenRuns = true;
    const lane = this.#lane;
    time.after(random.integer(5, 50), () => {
      if (this.#isGone || lane !== this.#lane) return;
      this.#isBetweenRuns = false;
      this.#goOn();
    });
  }
}
