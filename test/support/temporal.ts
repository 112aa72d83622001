import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  makeTelemetryFilterString,
  NativeConnection,
  Runtime,
  type Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import type { BatchActivities, IngestActivities } from '../../src/activities';
import { startTemporalServer, type TemporalServer } from '../../local/temporal-server';
import { dataConverter } from '../../src/clients/payload-codec';
import { bundleOptions } from '../../src/workers/bundle';
import { createWorker, type Role } from '../../src/workers/workers';

/** Of clients and Workers, in place of this machine's name: histories are recorded. */
const identity = 'sluice-test';

let isInstalled = false;
let bundle: ReturnType<typeof bundleWorkflowCode> | undefined;

/** Once per process; a Runtime that went away with its last Worker comes back with these options. */
export function installRuntime(): void {
  if (isInstalled) return;
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    shutdownSignals: [],
    telemetryOptions: {
      logging: { filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }), forward: {} },
    },
  });
  isInstalled = true;
}

/** The workflows' code, bundled once per process. */
export function workflowBundle(): ReturnType<typeof bundleWorkflowCode> {
  bundle ??= bundleWorkflowCode({
    ...bundleOptions,
    logger: new DefaultLogger('ERROR'),
  });
  return bundle;
}

export interface TestTemporalOptions {
  /** Server settings by name, for instance `{ 'limit.historyCount.suggestContinueAsNew': 100 }`. */
  dynamicConfig?: Record<string, string | number | boolean>;
  /** Whether workflows outlive {@link TestTemporal.crash}. Default: they are kept in memory. */
  onDisk?: boolean;
}

export interface TestWorkerOptions {
  taskQueue: string;
  /** Fakes, or the role's own with fakes of what they work with. */
  activities: BatchActivities | IngestActivities;
  options?: Partial<WorkerOptions>;
  /** Default: one that all Workers share. */
  connection?: NativeConnection;
}

/** A Worker that runs until it is stopped. */
export class TestWorker {
  /** When it is gone. */
  readonly gone: Promise<void>;
  readonly #worker: Worker;

  constructor(worker: Worker) {
    this.#worker = worker;
    this.gone = worker.run();
  }

  /** Asks it to end, as SIGTERM does. */
  shutdown(): void {
    if (this.#worker.getState() === 'RUNNING') this.#worker.shutdown();
  }

  async stop(): Promise<void> {
    this.shutdown();
    await this.gone;
  }
}

/** A Temporal dev server of a test file's own, with a client and Workers. */
export class TestTemporal {
  readonly #options: TestTemporalOptions;
  #folder: string | undefined;
  #server: TemporalServer | undefined;
  #clientConnection: Connection | undefined;
  #workerConnection: NativeConnection | undefined;
  #workers: TestWorker[] = [];

  constructor(options: TestTemporalOptions) {
    this.#options = options;
  }

  /** Host and port. */
  get address(): string {
    return started(this.#server).address;
  }

  get client(): Client {
    return new Client({ connection: started(this.#clientConnection), identity, dataConverter });
  }

  async start(): Promise<void> {
    if (this.#options.onDisk) this.#folder = await mkdtemp(path.join(tmpdir(), 'sluice-temporal-'));
    await Promise.all([this.#startServer(), workflowBundle()]);
    const { address } = started(this.#server);
    this.#clientConnection = await Connection.connect({ address });
    installRuntime();
    this.#workerConnection = await NativeConnection.connect({ address });
  }

  /** Runs a Worker of one role, which differs from the real one in nothing that is not named here. */
  async runWorker(role: Role, worker: TestWorkerOptions): Promise<TestWorker> {
    const { taskQueue, activities, options, connection = started(this.#workerConnection) } = worker;
    const running = new TestWorker(
      await createWorker(role, {
        connection,
        namespace: 'default',
        activities,
        options: {
          identity,
          taskQueue,
          workflowBundle: await workflowBundle(),
          // Fakes hear of a cancellation by the SDK's heartbeats alone.
          maxHeartbeatThrottleInterval: '1s',
          ...options,
        },
      }),
    );
    this.#workers.push(running);
    return running;
  }

  /** Ends the server with SIGKILL; resolves when it is gone. */
  async crash(): Promise<void> {
    await started(this.#server).kill();
  }

  /** Starts the server again, on the same port and database. */
  async restart(): Promise<void> {
    await this.#startServer(started(this.#server).port);
  }

  async stopWorkers(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.stop()));
  }

  async stop(): Promise<void> {
    await this.stopWorkers();
    await this.#workerConnection?.close();
    await this.#clientConnection?.close();
    await this.#server?.stop();
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true });
  }

  async #startServer(port?: number): Promise<void> {
    const { dynamicConfig } = this.#options;
    const databaseFile = this.#folder === undefined ? undefined : path.join(this.#folder, 'temporal.db');
    this.#server = await startTemporalServer({ port, databaseFile, dynamicConfig });
  }
}

/** A server for the tests of the `describe` that calls this: started before them, stopped after them. */
export function testTemporal(options: TestTemporalOptions = {}): TestTemporal {
  const temporal = new TestTemporal(options);
  before(async function () {
    // The first call on a machine makes the Python environment.
    this.timeout('5m');
    await temporal.start();
  });
  after(() => temporal.stop());
  return temporal;
}

function started<T>(thing: T | undefined): T {
  if (thing === undefined) throw new Error('Temporal is not started yet: use it in hooks and tests only');
  return thing;
}
