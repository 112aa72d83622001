import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { WorkerOptions, WorkerProcess } from '../../end-to-end/pipeline';
import { startTemporalLink, type TemporalLink } from './temporal-link';

export interface Worker {
  name: string;
  process: WorkerProcess;
  link: TemporalLink;
}

export interface WorkersOptions {
  /** Starts one process. */
  start: (options: WorkerOptions) => WorkerProcess;
  temporalAddress: string;
  /** Of AWS. */
  endpoint: string;
  /** The log of a worker. */
  logOf: (name: string) => string;
}

/** Makes the clock of the process that loads it wrong. */
const WRONG_CLOCK = join(__dirname, 'wrong-clock.cjs');

/** How long a worker may take to end after SIGTERM: its own limit is 40 s. */
const LONGEST_END_MS = 45_000;

/** The fleet: each worker has its own way to Temporal. */
export class Workers {
  /** Ends that nobody asked for. */
  readonly surprises: string[] = [];
  readonly #options: WorkersOptions;
  /** Whoever is to be killed is among these, the oldest first. */
  readonly #ready = new Set<Worker>();
  /** Frozen, cut off, or about to end. */
  readonly #aside = new Set<Worker>();
  readonly #ending = new Set<Promise<unknown>>();
  readonly #killAll = () => this.#signalAll();
  #started = 0;

  constructor(options: WorkersOptions) {
    this.#options = options;
    // A process that ends in any way but by SIGKILL leaves none behind.
    process.once('exit', this.#killAll);
  }

  get ready(): readonly Worker[] {
    return [...this.#ready];
  }

  async start(): Promise<void> {
    this.#ready.add(await this.#start());
  }

  /** Starts one that is apart from the others. @param clockAheadMs milliseconds by which its clock is wrong */
  async startAside({ clockAheadMs }: { clockAheadMs: number }): Promise<Worker> {
    const worker = await this.#start({
      NODE_OPTIONS: `--require ${WRONG_CLOCK}`,
      CLOCK_AHEAD_MS: String(clockAheadMs),
    });
    this.#aside.add(worker);
    return worker;
  }

  /** At least one is there, or is being started. */
  async ensureOne(): Promise<void> {
    if (this.#ready.size === 0) await this.start();
  }

  /** Takes the oldest away from the others, and starts one in its place. */
  async setAside(): Promise<Worker> {
    await this.ensureOne();
    const [worker] = this.#ready;
    if (!worker) throw new Error('There is no worker');
    this.#ready.delete(worker);
    this.#aside.add(worker);
    await this.ensureOne();
    return worker;
  }

  async kill(workers: readonly Worker[]): Promise<void> {
    for (const worker of workers) {
      this.#ready.delete(worker);
      this.#aside.add(worker);
      worker.process.signal('SIGKILL');
    }
    await Promise.all(workers.map(({ process }) => process.exited));
  }

  /** Ends one that was set aside by SIGTERM, in its own time. */
  retire(worker: Worker): void {
    const ending = this.#end(worker).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  /** Resolves when all that were to end have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#ending);
  }

  async close(): Promise<void> {
    const all = [...this.#ready, ...this.#aside];
    await this.kill(all);
    process.off('exit', this.#killAll);
  }

  async #start(more: Record<string, string> = {}): Promise<Worker> {
    const { start, temporalAddress, endpoint, logOf } = this.#options;
    this.#started += 1;
    const name = `worker-${this.#started}`;
    const link = await startTemporalLink(temporalAddress);
    const settings = {
      TEMPORAL_ADDRESS: link.address,
      AWS_ENDPOINT_URL: endpoint,
      AWS_ENDPOINT_URL_SQS: endpoint,
      ...more,
    };
    const worker = { name, link, process: start({ settings, log: logOf(name) }) };
    void worker.process.exited.then((code) => this.#ended(worker, code));
    return worker;
  }

  async #end({ name, process }: Worker): Promise<void> {
    process.signal('SIGTERM');
    const isLate = await Promise.race([
      process.exited.then(() => false),
      delay(LONGEST_END_MS, true, { ref: false }),
    ]);
    if (!isLate) return;
    this.surprises.push(`${name} did not end within ${LONGEST_END_MS / 1_000} s of SIGTERM`);
    process.signal('SIGKILL');
    await process.exited;
  }

  #ended(worker: Worker, code: number | string): void {
    if (this.#ready.delete(worker)) {
      this.surprises.push(`${worker.name} ended by itself (${code})`);
      void this.ensureOne();
    }
    this.#aside.delete(worker);
    void worker.link.close();
  }

  #signalAll(): void {
    for (const { process } of [...this.#ready, ...this.#aside]) process.signal('SIGKILL');
  }
}
