import { setMaxListeners } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { GetQueueAttributesCommand, GetQueueUrlCommand, SQSClient } from '@aws-sdk/client-sqs';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import type { PipelineStatus } from '../../src/cli/status';
import { startSimulatedStream, type SimulatedStream } from '../../local/simulated-stream';
import { ingestWorkflowId } from '../../src/pipeline/names';
import { dataConverter } from '../../src/clients/payload-codec';
import { type Output, Pipeline } from '../end-to-end/pipeline';
import { eventually } from '../support/eventually';
import { historiesOf } from '../support/history';
import { FailingTopic } from './nemesis/failing-topic';
import { type FaultProxy, startFaultProxy } from './proxy/fault-proxy';
import type { FaultKind } from './rules/faults';
import { examineLake, idleProblems, type LakeFindings, lakeProblems } from './judge/judge';
import { MADE_FOR_A_QUERY } from '../../src/workflows/query-guard';
import { Nemesis } from './nemesis/nemesis';
import { describe, type Planned, planSchedule, type SourceName } from './nemesis/schedule';
import { type StrictSqs, startStrictSqs } from './proxy/strict-sqs';
import { Workers } from './nemesis/workers';

/** `fauxqs` is the stricter one. */
export const SQS_SERVERS = ['moto', 'fauxqs'] as const;
export type SqsServerName = (typeof SQS_SERVERS)[number];

export interface RunOptions {
  seed: number;
  /** For how long there are faults. */
  minutes: number;
  /** The server behind the proxy. Default: moto. */
  sqs?: SqsServerName;
  /** Default: sse. */
  source?: SourceName;
  /** Whether Temporal loses its database, and the pipeline is adopted. Default: false. */
  adopts?: boolean;
  say: (line: string) => void;
  /** Ends the run early; it rejects. */
  signal?: AbortSignal;
}

/** What was published, and what of it is in the lake. */
interface LakeNumbers {
  events: number;
  rows: number;
  objects: number;
  rejected: number;
  lost: number;
  repeated: number;
  changed: number;
  unknown: number;
}

/** What a run came to. JSON. */
export interface RunReport extends LakeNumbers {
  seed: number;
  minutes: number;
  sqs: SqsServerName;
  source: SourceName;
  adopts: boolean;
  passed: boolean;
  /** Why it did not pass. */
  problems: string[];
  seconds: number;
  /** What the schedule did, by name. */
  actions: Record<string, number>;
  /** What the fault proxy did. */
  faults: Record<string, number>;
  /** What the lane recognised, and what it knows to have lost. */
  recognised: { repeats: number; redelivered: number; lostReceives: number };
  /** Workers that ended without being asked to. */
  surprises: string[];
  /** Logs and histories of a run that did not pass. */
  folder?: string;
}

const PIPELINE = 'chaos';
const BUCKET = 'sse-bucket';
const QUEUE = 'sse_queue';
const MOTO_ACCOUNT = '123456789012';
const PREFIX = 'lake/chaos';
const EVENTS_PER_SECOND = 20;
const BROKEN_PER_MINUTE = 3;

/** Small and short, so that what would take a day to outrun them happens in minutes. */
const SETTINGS = {
  SLUICE_PIPELINE: PIPELINE,
  SLUICE_PREFIX: PREFIX,
  SLUICE_BATCH_ROWS: '20',
  // At 20 events a second larger ones would leave too few messages for faults of messages to happen. People change it.
  SLUICE_PACK: '2',
  SLUICE_WINDOW: '500',
  SLUICE_VISIBILITY_TIMEOUT: '7s',
  SLUICE_FLUSH_AFTER: '5s',
  // Longer than the counts of the proxy lag.
  SLUICE_DRAIN_QUIET: '3s',
  SLUICE_HEARTBEAT_TIMEOUT: '5s',
};

const COUNTS_LAG_MS = 1_500;

/** A workflow continues as new every ten seconds or so, in place of every few hours. */
const SHORT_HISTORIES = { 'limit.historyCount.suggestContinueAsNew': 150 };

const RATES: Readonly<Record<FaultKind, number>> = {
  resetBefore: 0.02,
  failedBefore: 0.02,
  unavailable: 0.02,
  throttled: 0.02,
  resetAfter: 0.02,
  failedAfter: 0.02,
  slow: 0.04,
  entryFailed: 0.02,
  entryThrottled: 0.02,
  copied: 0.1,
  revived: 0.1,
  shuffled: 0.5,
  withheld: 0.1,
  conflict: 0.2,
};

/** What a run must have seen of the proxy, or it counts as spared. */
const FAULTS = [...Object.keys(RATES), 'stale deletion'];

/** Temporal's cause of a failed workflow task when something came in while it continued as new: it does so again. */
const UNHANDLED_COMMAND = 1;

const COMMAND_TIMEOUT_MS = 60_000;
/** Actions that are late may begin so long after the last minute, and events go on for as long. */
const LATE_MS = 10_000;
/** Without a single new row, before the lake is judged as it is. */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 2_000;

/**
 * Runs the built product for some minutes while workers, Temporal, SQS, S3 and the source fail, lets it drain, and
 * judges the lake.
 */
export async function chaosRun(options: RunOptions): Promise<RunReport> {
  const folder = await mkdtemp(join(tmpdir(), `sluice-chaos-${options.seed}-`));
  const run = await Run.begin(options, folder);
  try {
    const report = await run.report();
    if (!report.passed) {
      await run.keepHistories();
      return { ...report, folder };
    }
    await rm(folder, { recursive: true });
    return report;
  } finally {
    await run.close();
  }
}

type ChaosPipeline = Pipeline<SimulatedStream | FailingTopic>;

/** What a run is made of. */
interface Parts {
  folder: string;
  pipeline: ChaosPipeline;
  proxy: FaultProxy;
  strict: StrictSqs | undefined;
}

class Run {
  readonly #options: RunOptions;
  readonly #folder: string;
  readonly #schedule: Planned[];
  readonly #problems: string[] = [];
  readonly #begunAt = performance.now();
  readonly #signal: AbortSignal;
  readonly #ends = new AbortController();
  readonly #pipeline: ChaosPipeline;
  readonly #proxy: FaultProxy;
  readonly #workers: Workers;
  readonly #connection: Connection;
  readonly #temporal: Client;
  readonly #nemesis: Nemesis;
  readonly #sqs: SQSClient;
  readonly #strict: StrictSqs | undefined;
  readonly #workflowIds: Readonly<Record<'ingest' | 'batch', string>>;

  private constructor(options: RunOptions, { folder, pipeline, proxy, strict }: Parts) {
    this.#options = options;
    this.#folder = folder;
    this.#pipeline = pipeline;
    this.#proxy = proxy;
    this.#strict = strict;
    this.#workflowIds = {
      ingest: ingestWorkflowId(PIPELINE),
      batch: `sluice-batch/${strict?.account ?? MOTO_ACCOUNT}/us-east-1/${QUEUE}`,
    };
    this.#signal = options.signal ? AbortSignal.any([options.signal, this.#ends.signal]) : this.#ends.signal;
    // Whoever waits listens.
    setMaxListeners(0, this.#signal);
    this.#schedule = planSchedule(options.seed, options.minutes, options);
    this.#workers = new Workers({
      start: (worker) => pipeline.startWorkerWith(worker),
      temporalAddress: pipeline.temporalAddress,
      endpoint: proxy.url,
      logOf: (name) => join(folder, `${name}.log`),
    });
    this.#connection = Connection.lazy({ address: pipeline.temporalAddress });
    this.#temporal = new Client({ connection: this.#connection, dataConverter });
    this.#sqs = new SQSClient({
      endpoint: strict?.url ?? pipeline.motoUrl,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      useQueueUrlAsEndpoint: false,
    });
    this.#nemesis = new Nemesis({
      pipeline,
      proxy,
      workers: this.#workers,
      connection: this.#connection,
      temporal: this.#temporal,
      workflowIds: this.#workflowIds,
      say: options.say,
      signal: this.#signal,
    });
  }

  static async begin(options: RunOptions, folder: string): Promise<Run> {
    const { seed, sqs } = options;
    const strict = sqs === 'fauxqs' ? await startStrictSqs() : undefined;
    const { stream, settings } = await startSource(options);
    const pipeline = await Pipeline.of(
      stream,
      { ...settings, ...SETTINGS, ...(strict ? { AWS_ENDPOINT_URL_SQS: strict.url } : {}) },
      { dynamicConfig: SHORT_HISTORIES, commandTimeoutMs: COMMAND_TIMEOUT_MS },
    );
    const proxy = await startFaultProxy({
      target: { sqs: strict?.url ?? pipeline.motoUrl, s3: pipeline.motoUrl },
      isBasicPlaneOnly: strict !== undefined,
      seed,
      rates: RATES,
      countsLagMs: COUNTS_LAG_MS,
    });
    return new Run(options, { folder, pipeline, proxy, strict });
  }

  async report(): Promise<RunReport> {
    const { seed, minutes, sqs = 'moto', source = 'sse', adopts = false, say } = this.#options;
    say(`seed ${seed}, ${minutes} min, ${source}, ${sqs}; logs in ${this.#folder}`);
    for (const planned of this.#schedule) say(`  ${describe(planned)}`);
    await this.#attempt('the run broke off', () => this.#fail());
    await this.#attempt('it did not drain', () => this.#drain());
    say('judging');
    const status = await this.#attempt('it tells no status', () => this.#pipeline.status());
    const lake = await this.#attempt('the lake can not be read', () => this.#examine());
    await this.#attempt('sluice verify', () => this.#verify());
    await this.#attempt('a workflow is broken', () => this.#requireSoundWorkflows());
    this.#problems.push(
      ...(lake ? lakeProblems(lake) : []),
      ...(await this.#whatWaits()),
      ...this.#idleness(status),
      ...this.#proxy.failures.map((failure) => `the fault proxy failed: ${String(failure)}`),
    );
    return {
      seed,
      minutes,
      sqs,
      source,
      adopts,
      passed: this.#problems.length === 0,
      problems: this.#problems,
      seconds: Math.round((performance.now() - this.#begunAt) / 1_000),
      ...numbersOf(lake),
      actions: this.#nemesis.happened,
      faults: { ...this.#proxy.counts },
      recognised: recognised(status),
      surprises: this.#workers.surprises,
    };
  }

  /** What fails is a problem of the run, and what comes after it is done all the same. */
  async #verify(): Promise<void> {
    const report = await this.#pipeline.verify('--grace', '0s');
    // Of some of the events that the stream breaks nobody can read the offset.
    const unchecked = report.unchecked.filter(({ reason }) => reason !== 'rejected-unreadable');
    if (!report.whole || unchecked.length > 0) throw new Error(JSON.stringify(report));
  }

  async #attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#signal.throwIfAborted();
      this.#problems.push(`${what}: ${textOf(error)}`);
      return undefined;
    }
  }

  /** For whoever looks for the reason. */
  async keepHistories(): Promise<void> {
    for (const [name, workflowId] of Object.entries(this.#workflowIds)) {
      const histories = await historiesOf(this.#temporal, workflowId);
      for (const [index, history] of histories.entries()) {
        await writeFile(join(this.#folder, `${name}-${index + 1}.json`), historyToJSON(history));
      }
    }
  }

  async close(): Promise<void> {
    this.#ends.abort();
    await this.#workers.close();
    await this.#proxy.close();
    await this.#connection.close();
    this.#sqs.destroy();
    await this.#pipeline.close();
    await this.#strict?.close();
  }

  async #fail(): Promise<void> {
    const { minutes, say } = this.#options;
    await this.#pipeline.sluice('provision');
    await this.#pipeline.sluice('start');
    await this.#workers.start();
    await this.#eventually('a first event', () => this.#pipeline.stream.ledger.published.length > 0);
    say('faults begin');
    await this.#nemesis.run(this.#schedule, minutes * 60_000 + LATE_MS);
    await this.#pipeline.stream.published;
    await this.#whilePublishing(async () => {
      await this.#nemesis.makeUp();
      await this.#untilEveryFaultHappened();
    });
    await this.#nemesis.heal();
    say('faults have ended');
  }

  /** What is to fail needs something to do. */
  async #whilePublishing(work: () => Promise<void>): Promise<void> {
    let last: unknown;
    const timer = setInterval(() => {
      last = this.#pipeline.stream.publish(EVENTS_PER_SECOND);
    }, 1_000);
    try {
      await work();
    } finally {
      clearInterval(timer);
    }
    // Into a topic they go one after the other.
    await last;
  }

  /** Of a short run, rare faults may be spared at first; what is still missing then is told by {@link #idleness}. */
  async #untilEveryFaultHappened(): Promise<void> {
    const happened = () => idleProblems(FAULTS, this.#proxyCounts()).length === 0;
    await this.#eventually('every fault', happened).catch(() => this.#signal.throwIfAborted());
  }

  #proxyCounts(): Record<string, number> {
    const { counts } = this.#proxy;
    return { ...counts, 'stale deletion': counts.expiredReceipt + counts.supersededReceipt };
  }

  async #drain(): Promise<void> {
    const { stream } = this.#pipeline;
    // One that nothing disturbed: the pipeline is alive, and not only its past.
    await stream.publish(1);
    await this.#untilNothingIsMissing();
    await this.#pipeline.sluice('stop', '--wait');
  }

  /** What ingest has not read when it stops stays in the source: so it is not stopped before. */
  async #untilNothingIsMissing(): Promise<void> {
    let missing = Infinity;
    let changedAt = performance.now();
    while (missing > 0 && performance.now() - changedAt < PATIENCE_MS) {
      // An audit reads the whole lake.
      await delay(LOOK_EVERY_MS, undefined, { signal: this.#signal });
      const audit = await this.#pipeline.audit();
      if (audit.missing.length < missing) changedAt = performance.now();
      missing = audit.missing.length;
    }
  }

  async #examine(): Promise<LakeFindings> {
    const { s3, stream } = this.#pipeline;
    return await examineLake({ s3, bucket: BUCKET, prefix: PREFIX, ledger: stream.ledger });
  }

  /** A replay that fails stops a workflow for good, or until its worker forgets it. */
  async #requireSoundWorkflows(): Promise<void> {
    for (const workflowId of Object.values(this.#workflowIds)) {
      const events = (await historiesOf(this.#temporal, workflowId)).flatMap(({ events }) => events ?? []);
      const failed = events.find(
        ({ workflowTaskFailedEventAttributes: failure }) =>
          failure &&
          Number(failure.cause) !== UNHANDLED_COMMAND &&
          failure.failure?.message !== MADE_FOR_A_QUERY,
      );
      const why = failed?.workflowTaskFailedEventAttributes?.failure?.message;
      if (failed) throw new Error(`${workflowId} at event ${String(failed.eventId)}: ${why}`);
    }
  }

  async #whatWaits(): Promise<string[]> {
    const { QueueUrl } = await this.#sqs.send(new GetQueueUrlCommand({ QueueName: QUEUE }));
    const { Attributes = {} } = await this.#sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
    );
    const waiting = Object.entries(Attributes).filter(
      ([name, count]) => name.startsWith('ApproximateNumberOfMessages') && Number(count) > 0,
    );
    return waiting.map(([name, count]) => `the queue is not empty: ${name} ${count}`);
  }

  #idleness(status: PipelineStatus | undefined): string[] {
    return [
      ...idleProblems(this.#nemesis.begun, this.#nemesis.happened),
      ...idleProblems(['worker killed'], { 'worker killed': killsIn(this.#nemesis.happened) }),
      ...idleProblems(FAULTS, this.#proxyCounts()),
      ...idleProblems(['repeats', 'redelivered', 'lostReceives'], recognised(status)),
    ];
  }

  async #eventually(what: string, holds: () => boolean): Promise<void> {
    await eventually(what, holds, PATIENCE_MS, this.#signal);
  }
}

async function startSource({ seed, minutes, source }: RunOptions): Promise<{
  stream: SimulatedStream | FailingTopic;
  settings: Record<string, string>;
}> {
  const events = {
    seed,
    events: Math.ceil(EVENTS_PER_SECOND * (minutes * 60 + LATE_MS / 1_000)),
    broken: Math.max(3, Math.round(BROKEN_PER_MINUTE * minutes)),
    ratePerSecond: EVENTS_PER_SECOND,
  };
  if (source === 'kafka') {
    const stream = await FailingTopic.start(events);
    return { stream, settings: stream.settings };
  }
  const stream = await startSimulatedStream({ ...events, retryMilliseconds: 200 });
  return { stream, settings: { SLUICE_SOURCE_URL: stream.url } };
}

function numbersOf(lake: LakeFindings | undefined): LakeNumbers {
  return {
    events: lake?.published ?? 0,
    rows: lake?.rows ?? 0,
    objects: lake?.objects ?? 0,
    rejected: lake?.rejected ?? 0,
    lost: lake?.missing.length ?? 0,
    repeated: lake?.repeated.length ?? 0,
    changed: lake?.changed.length ?? 0,
    unknown: lake?.unknown.length ?? 0,
  };
}

function recognised(status: PipelineStatus | undefined): RunReport['recognised'] {
  const { repeats = 0, redelivered = 0, lostReceives = 0 } = status?.batch.counts ?? {};
  return { repeats, redelivered, lostReceives };
}

function killsIn(happened: Readonly<Record<string, number>>): number {
  return Object.entries(happened).reduce(
    (sum, [name, count]) => (name.startsWith('kill') ? sum + count : sum),
    0,
  );
}

/** Of a command: what it wrote. */
function textOf(error: unknown): string {
  const { stdout = '', stderr = '', message = String(error) } = error as Partial<Output & Error>;
  return (stdout + stderr).trim() || message;
}
