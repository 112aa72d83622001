import type { PipelineDefinition } from '../../src/pipeline/definition';
import { definitionOf } from '../support/definition';
import { COLUMNS } from './events';
import { Host } from './host';
import { judge, problemsOf } from './judge';
import { People } from './people';
import type { Scenario } from './scenario';
import { BEGIN, type World, worldOf, type WorldOptions } from './world';

/** One run, told to people. */
export interface RunReport {
  seed: number;
  /** What must not be; empty: the lane kept its promise. */
  problems: string[];
  scenario: Scenario;
  counts: RunCounts;
}

export interface RunCounts {
  events: number;
  messages: number;
  redelivered: number;
  repeats: number;
  lostReceives: number;
  refusedReceives: number;
  /** Runs of the workflow. */
  runs: number;
  /** Of the largest state that one run handed to the next. */
  carriedBytes: number;
  /** Of virtual time. */
  minutes: number;
  /** Lanes whose place another one took. */
  adopted: number;
}

/** Milliseconds after the end of all faults in which the lane must have stopped. */
const PATIENCE_MS = 12 * 3_600_000;

/** Somebody who wants it stopped says so again, in milliseconds. */
const SAY_AGAIN_MS = 60_000;

/** How often it is looked at, in milliseconds. */
const LOOK_MS = 1_000;

/** One life of a lane: events, faults and people until all is published, then peace, and a stop. The same for the same seed. */
export function runOnce(options: WorldOptions): RunReport {
  const { seed } = options;
  const world = worldOf(options);
  const definition = definitionIn(world.scenario);
  const host = new Host(world, definition);
  const problems = problemsIn(world, host, definition);
  return { seed, problems, scenario: world.scenario, counts: countsOf(world, host) };
}

function problemsIn(world: World, host: Host, definition: PipelineDefinition): string[] {
  try {
    world.ingest.start();
    plan(world, host, new People(world, host, definition));
    host.begin();
    return problemsOf(judge(world, host, new Ending(world, host).run()));
  } catch (error) {
    return [`the lane threw: ${error instanceof Error ? error.message : String(error)}`];
  }
}

function definitionIn({ visibility, rows, flush, window, ...scenario }: Scenario): PipelineDefinition {
  const definition = definitionOf();
  return {
    ...definition,
    queue: { name: 'queue', visibilityTimeoutSeconds: visibility },
    lake: { ...definition.lake, columns: [...(COLUMNS[0] ?? [])] },
    packEvents: scenario['events-per-message'],
    batch: { rows, flushAfterSeconds: flush },
    windowKeys: window,
    drainQuietSeconds: 5,
  };
}

function plan({ time, random, scenario, spanMs, ingest }: World, host: Host, people: People): void {
  for (let crash = 0; crash < scenario.crashes; crash += 1) {
    time.after(random.integer(0, spanMs), () => ingest.crash());
  }
  for (let adoption = 0; adoption < scenario.adoptions; adoption += 1) {
    time.after(random.integer(0, spanMs), () => host.lose());
  }
  people.begin();
}

/** Lets a lane stop when all is over, and sees whether it does. */
class Ending {
  readonly #world: World;
  readonly #host: Host;
  /** Epoch milliseconds, from which on no fault and no person begins anything. */
  readonly #peaceAt: number;
  #saidAt = 0;
  #isStopped = false;

  constructor(world: World, host: Host) {
    this.#world = world;
    this.#host = host;
    this.#peaceAt = world.time.now + world.spanMs;
  }

  /** @returns whether the lane came to rest */
  run(): boolean {
    const { time } = this.#world;
    this.#look();
    while (!this.#isStopped && time.now < this.#peaceAt + PATIENCE_MS && time.step());
    return this.#isStopped;
  }

  #look(): void {
    const { time, ingest, faults, claim } = this.#world;
    time.after(LOOK_MS, () => this.#look());
    if (time.now < this.#peaceAt || !ingest.isDone || this.#host.isGone) return;
    faults.heal();
    claim.heal();
    const { activity } = this.#host.lane.status();
    this.#isStopped = activity === 'stopped' && this.#saidAt > 0;
    if (this.#isStopped || activity === 'stopping' || time.now - this.#saidAt < SAY_AGAIN_MS) return;
    this.#saidAt = time.now;
    // A lane that somebody stopped before must drain what came since.
    this.#host.signal('start');
    this.#host.signal('stop');
  }
}

function countsOf({ time, queue, ingest }: World, host: Host): RunCounts {
  const { redelivered, repeats, lostReceives, refusedReceives } = host.lane.status().counts;
  return {
    events: ingest.sent,
    messages: queue.sent,
    redelivered,
    repeats,
    lostReceives,
    refusedReceives,
    runs: host.continued + 1,
    carriedBytes: host.carriedBytes,
    minutes: (time.now - BEGIN) / 60_000,
    adopted: host.adopted,
  };
}
