import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ListObjectsV2Command, type ListObjectsV2CommandOutput, S3Client } from '@aws-sdk/client-s3';
import type { PipelineStatus } from '../../src/cli/status';
import type { LakeReport } from '../../src/verify/lake-audit';
import { type Audit, type AuditRequest, auditLake } from '../../local/audit';
import { ensurePythonEnvironment } from '../../local/python';
import { packageRoot } from '../../src/package-root';
import {
  type SimulatedStream,
  type SimulatedStreamOptions,
  startSimulatedStream,
} from '../../local/simulated-stream';
import { type Stack, startStack } from '../../local/stack';
import { startTemporalServer } from '../../local/temporal-server';

/** What Temporal knows; with files beside it that begin with its name. */
const DATABASE = 'temporal.db';

const SLUICE = join(packageRoot, 'bin/sluice.js');

/** A worker process in a process group of its own, as `sluice worker` starts it. */
export interface WorkerProcess {
  /** Resolves to the exit code, or the signal's name. */
  exited: Promise<number | string>;
  signal(name: NodeJS.Signals): void;
}

export interface WorkerOptions {
  /** Default: both. */
  roles?: string[];
  /** Settings that only this one has. */
  settings?: Record<string, string>;
  /** A file that its log is added to. Default: this process's stderr with SLUICE_TEST_LOG, else one that goes with the pipeline. */
  log?: string;
}

export interface PipelineOptions {
  /** Settings of the Temporal server by name, for instance `{ 'limit.historyCount.suggestContinueAsNew': 100 }`. */
  dynamicConfig?: Record<string, string | number | boolean>;
  /** Milliseconds after which a command is killed, so that its call rejects. Default: never. */
  commandTimeoutMs?: number;
}

export interface Output {
  stdout: string;
  stderr: string;
}

/** What publishes the events of a pipeline. */
export interface Published {
  ledger: AuditRequest['ledger'];
  close(): Promise<void>;
}

/** The built product on an embedded stack, used as people use it: worker processes and the command line. */
export class Pipeline<Stream extends Published = SimulatedStream> {
  readonly stream: Stream;
  readonly s3: S3Client;
  readonly #folder: string;
  readonly #stack: Stack;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #options: PipelineOptions;
  readonly #workers = new Set<WorkerProcess>();
  #workersBegun = 0;
  readonly #closing = new AbortController();
  #temporal: Stack['temporal'];

  private constructor(
    folder: string,
    stack: Stack,
    stream: Stream,
    settings: Record<string, string>,
    options: PipelineOptions,
  ) {
    this.#folder = folder;
    this.#stack = stack;
    this.#options = options;
    this.#temporal = stack.temporal;
    this.stream = stream;
    this.#environment = {
      PATH: process.env.PATH,
      ...stack.environment,
      SLUICE_DRAIN_QUIET: '1s',
      SLUICE_HEARTBEAT_TIMEOUT: '5s',
      ...settings,
    };
    this.s3 = new S3Client({
      endpoint: stack.moto.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      forcePathStyle: true,
    });
  }

  static async create(
    events: SimulatedStreamOptions,
    settings: Record<string, string>,
    options: PipelineOptions = {},
  ): Promise<Pipeline> {
    const stream = await startSimulatedStream(events);
    return await Pipeline.of(stream, { SLUICE_SOURCE_URL: stream.url, ...settings }, options);
  }

  /** @param settings SLUICE_SOURCE_URL, which names what publishes, among them */
  static async of<Stream extends Published>(
    stream: Stream,
    settings: Record<string, string>,
    options: PipelineOptions = {},
  ): Promise<Pipeline<Stream>> {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-'));
    const stack = await startStack({ databaseFile: join(folder, DATABASE) });
    const pipeline = new Pipeline(folder, stack, stream, settings, options);
    if (options.dynamicConfig) {
      // The embedded stack knows no settings of the server.
      await pipeline.killTemporal();
      await pipeline.restartTemporal();
    }
    return pipeline;
  }

  get motoUrl(): string {
    return this.#stack.moto.url;
  }

  /** The same after a restart. */
  get temporalAddress(): string {
    return this.#temporal.address;
  }

  /** Temporal's web UI; at another port once Temporal was restarted. */
  get webUrl(): string {
    return this.#temporal.webUrl;
  }

  startWorker(...roles: string[]): WorkerProcess {
    return this.startWorkerWith({ roles });
  }

  startWorkerWith({ roles = [], settings = {}, log }: WorkerOptions): WorkerProcess {
    const told = log ?? join(this.#folder, `worker-${(this.#workersBegun += 1)}.log`);
    const file = openSync(told, 'a');
    const child = spawn(process.execPath, [SLUICE, 'worker', ...roles], {
      env: { ...this.#environment, ...settings },
      cwd: this.#folder,
      detached: true,
      stdio: ['ignore', 'ignore', process.env.SLUICE_TEST_LOG && log === undefined ? 'inherit' : file],
    });
    closeSync(file);
    let isAsked = false;
    const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
    const worker: WorkerProcess = {
      exited,
      signal: (name) => {
        isAsked = true;
        const hasEnded = child.exitCode !== null || child.signalCode !== null;
        if (child.pid !== undefined && !hasEnded) process.kill(-child.pid, name);
      },
    };
    this.#workers.add(worker);
    child.once('exit', (code, signal) => {
      this.#workers.delete(worker);
      if (isAsked) return;
      console.error(`A worker ended by itself, with ${code ?? signal}. Its last words:\n${lastWords(told)}`);
    });
    return worker;
  }

  /** `sluice …`; rejects when it exits with another code than 0. */
  async sluice(...args: string[]): Promise<string> {
    return (await this.sluiceWith({}, ...args)).stdout;
  }

  /** `sluice …` with other settings; rejects, with `code` and `stderr`, when it exits with another code than 0. */
  async sluiceWith(settings: Record<string, string>, ...args: string[]): Promise<Output> {
    return await this.#run(SLUICE, args, settings);
  }

  /** `temporal …`, the CLI of the embedded stack; rejects when it exits with another code than 0. */
  async temporal(...args: string[]): Promise<Output> {
    const { temporal } = await ensurePythonEnvironment();
    return await this.#run(temporal, args, {});
  }

  async #run(file: string, args: string[], settings: Record<string, string>): Promise<Output> {
    const running = promisify(execFile)(file, args, {
      env: { ...this.#environment, ...settings },
      cwd: this.#folder,
      timeout: this.#options.commandTimeoutMs ?? 0,
      killSignal: 'SIGKILL',
      signal: this.#closing.signal,
    });
    // Nobody is there to answer what it asks.
    running.child.stdin?.end();
    return await running;
  }

  /** What `sluice verify` finds, whatever it exits with. */
  async verify(...args: string[]): Promise<LakeReport> {
    const text = await this.sluice('verify', '--json', ...args).catch((error: Partial<Output>) => {
      if (error.stdout) return error.stdout;
      throw error;
    });
    return JSON.parse(text) as LakeReport;
  }

  async status(): Promise<PipelineStatus> {
    return JSON.parse(await this.sluice('status', '--json')) as PipelineStatus;
  }

  async killTemporal(): Promise<void> {
    await this.#temporal.kill();
  }

  async restartTemporal(): Promise<void> {
    const { port } = this.#temporal;
    const { dynamicConfig } = this.#options;
    const databaseFile = join(this.#folder, DATABASE);
    this.#temporal = await startTemporalServer({ port, databaseFile, dynamicConfig });
  }

  /** Temporal is there again, at the same address, and knows nothing any more. */
  async loseTemporal(): Promise<void> {
    await this.killTemporal();
    const files = await readdir(this.#folder);
    const ofDatabase = files.filter((name) => name.startsWith(DATABASE));
    await Promise.all(ofDatabase.map((name) => rm(join(this.#folder, name))));
    await this.restartTemporal();
  }

  /** When the cursor was last written to the lake, in epoch milliseconds; 0: never. */
  async cursorKeptAt(): Promise<number> {
    const { Contents = [] } = await this.list(`${this.#environment.SLUICE_PREFIX ?? ''}/_sluice/cursor.json`);
    return Contents[0]?.LastModified?.getTime() ?? 0;
  }

  async list(prefix: string): Promise<ListObjectsV2CommandOutput> {
    return await this.s3.send(new ListObjectsV2Command({ Bucket: 'sse-bucket', Prefix: prefix }));
  }

  async audit(): Promise<Audit> {
    return await auditLake({
      s3: this.s3,
      bucket: this.#environment.SLUICE_BUCKET ?? 'sse-bucket',
      prefix: this.#environment.SLUICE_PREFIX ?? '',
      ledger: this.stream.ledger,
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const worker of this.#workers) worker.signal('SIGKILL');
    await Promise.all([...this.#workers].map(({ exited }) => exited));
    await this.stream.close();
    await this.#temporal.stop();
    await this.#stack.stop();
    this.s3.destroy();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Of a log; nothing where it is gone already. */
function lastWords(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(-4_000);
  } catch {
    return '';
  }
}
