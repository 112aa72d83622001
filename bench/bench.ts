import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Say } from './cache';
import type { BenchContext } from './cases/context';
import { measureHeap } from './cases/heap';
import { measureLane } from './cases/lane';
import { measurePacking } from './cases/packing';
import { measurePipeline } from './cases/pipeline';
import { measureIngest, measureProcess } from './cases/throughput';
import { commitHere, thisMachine } from './machine';
import { startBento, startPackedBento } from './peers/bento';
import { startScripts } from './peers/scripts';
import { startSluice } from './peers/sluice';
import { labelOf, type Measurement, WARM_UP } from './plan';
import { appendResult, type Figures, readResults, type Result } from './results';
import { type Servers, type ServersName, startServers } from './servers/servers';

/** An SQS may quote the whole request that it refuses. */
const LONGEST_ERROR = 500;

const PEERS = {
  sluice: startSluice,
  scripts: startScripts,
  bento: startBento,
  'bento-packed': startPackedBento,
};

export interface BenchOptions {
  plan: readonly Measurement[];
  rounds: number;
  /** Results are added to it, and what it has is not measured again. Default: they are kept in memory. */
  file?: string | undefined;
  /** A folder for CPU profiles of Sluice's worker processes; making them costs time. Default: none are made. */
  profile?: string | undefined;
  /** No further measurement begins. */
  signal?: AbortSignal;
  say: Say;
}

/**
 * Measures each thing of a plan once in every round, so that peers meet the same machine. One that fails is told, and left out.
 *
 * @returns what was measured, with what the file had of this plan
 */
export async function bench({ plan, rounds, file, profile, signal, say }: BenchOptions): Promise<Result[]> {
  const known = file === undefined ? [] : await readResults(file);
  const results: Result[] = [];
  const stage = new Stage(say, profile);
  const about = { commit: await commitHere(), machine: thisMachine() };
  try {
    for (let round = 1; round <= rounds; round += 1) {
      for (const measurement of plan) {
        if (signal?.aborted) return results;
        const label = labelOf(measurement);
        const found = known.find((result) => result.label === label && result.round === round);
        if (found) {
          results.push(found);
          continue;
        }
        const figures = await stage.measure(measurement, label, round);
        if (!figures) continue;
        const result = { label, measurement, round, at: new Date().toISOString(), ...about, figures };
        if (file !== undefined) await appendResult(file, result);
        results.push(result);
      }
    }
    return results;
  } finally {
    await stage.clear();
  }
}

/** Keeps one pair of servers up, as long as the next measurement wants the same. */
class Stage {
  readonly #say: Say;
  readonly #nodeOptions: readonly string[];
  #servers: Servers | undefined;
  #folder: string | undefined;

  constructor(say: Say, profile: string | undefined) {
    this.#say = say;
    this.#nodeOptions =
      profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${path.resolve(profile)}`];
  }

  /** @returns undefined when it failed */
  async measure(measurement: Measurement, label: string, round: number): Promise<Figures | undefined> {
    const folder = await mkdtemp(path.join(tmpdir(), 'sluice-bench-'));
    try {
      const measured = await MEASURES[measurement.kind](
        {
          peers: PEERS,
          servers: measurement.servers === 'none' ? NO_SERVERS : await this.#serversOf(measurement.servers),
          folder,
          name: `bench-${Date.now()}`,
          nodeOptions: this.#nodeOptions,
          say: this.#say,
        },
        measurement,
      );
      // Of nothing there is no median: such a figure was not measured.
      const figures = Object.fromEntries(
        Object.entries(measured).filter(([, value]) => Number.isFinite(value)),
      );
      this.#say(`round ${round}: ${label}: ${shortly(figures)}`);
      await rm(folder, { recursive: true, force: true });
      return figures;
    } catch (error) {
      this.#say(`round ${round}: ${label}: failed, see ${folder}: ${String(error).slice(0, LONGEST_ERROR)}`);
      // Whatever state it left is not the next one's.
      await this.clear();
      return undefined;
    }
  }

  async clear(): Promise<void> {
    await this.#servers?.stop();
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
    this.#servers = undefined;
    this.#folder = undefined;
  }

  async #serversOf(name: ServersName): Promise<Servers> {
    if (this.#servers?.name === name) return this.#servers;
    await this.clear();
    this.#folder = await mkdtemp(path.join(tmpdir(), 'sluice-bench-servers-'));
    this.#servers = await startServers(name, this.#folder, this.#say);
    await warmUp(this.#servers, this.#say);
    return this.#servers;
  }
}

/** ElasticMQ takes two to three times the CPU for a message until its JVM has compiled what it does: whoever came first would pay. */
async function warmUp(servers: Servers, say: Say): Promise<void> {
  if (servers.name !== 'fast') return;
  const context = { servers, name: 'bench-warm-up', say, peers: PEERS, folder: '', nodeOptions: [] };
  await measurePacking(context, WARM_UP);
}

const NO_SERVERS: Servers = { name: 'fast', endpoints: { sqs: '', s3: '' }, pids: {}, stop: async () => {} };

const MEASURES: Readonly<
  Record<Measurement['kind'], (context: BenchContext, measurement: Measurement) => Promise<Figures>>
> = {
  ingest: measureIngest,
  process: measureProcess,
  pipeline: measurePipeline,
  heap: measureHeap,
  lane: measureLane,
  packing: measurePacking,
};

/** What a person wants to see at once. */
function shortly(figures: Figures): string {
  const shown = ['perSecond', 'p50Ms', 'p99Ms', 'sqsRequestsPerEvent', 'lost', 'repeated'];
  return shown
    .filter((name) => figures[name] !== undefined)
    .map((name) => `${name} ${round3(figures[name] ?? NaN)}`)
    .join(', ');
}

function round3(value: number): number {
  return Number(value.toPrecision(3));
}
