import { setTimeout as delay } from 'node:timers/promises';
import type { Client, Connection } from '@temporalio/client';
import { SimulatedStream } from '../../../local/simulated-stream';
import type { Pipeline } from '../../end-to-end/pipeline';
import { eventually } from '../../support/eventually';
import { FailingTopic } from './failing-topic';
import type { FaultProxy } from '../proxy/fault-proxy';
import { reachHistoryPoint } from './history-points';
import { type Action, type KillPoint, nameOf, type Planned, TRACKS } from './schedule';
import type { Point } from '../proxy/watchers';
import type { Worker, Workers } from './workers';

export interface Rig {
  pipeline: Pipeline<SimulatedStream | FailingTopic>;
  proxy: FaultProxy;
  workers: Workers;
  connection: Connection;
  temporal: Client;
  workflowIds: { ingest: string; batch: string };
  say: (line: string) => void;
  /** Ends all waiting. */
  signal: AbortSignal;
}

/** For a point that is to be reached, or a command that is to work. */
const PATIENCE_MS = 45_000;
/** Before a command that failed is tried again. */
const AGAIN_MS = 1_000;
/** Two attempts of one activity live side by side for so long after a worker is back. */
const OVERLAP_MS = 3_000;
/** A cursor that the lake keeps is as good as new for so long, in milliseconds. */
const FRESH_CURSOR_MS = 3_000;

/** Carries out a schedule from outside: by signals to processes, the proxies, the stream's server and the command line. */
export class Nemesis {
  /** How often each kind of action worked, by its name. */
  readonly happened: Record<string, number> = {};
  /** Actions whose turn came, by name; the last of each. */
  readonly #begun = new Map<string, Action>();
  readonly #rig: Rig;
  #begunAt = 0;

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  /** @param endMs since the beginning, in milliseconds: what has not begun by then is left out */
  async run(schedule: readonly Planned[], endMs: number): Promise<void> {
    this.#begunAt = performance.now();
    await Promise.all(
      TRACKS.map((track) =>
        this.#runTrack(
          schedule.filter((planned) => planned.track === track),
          endMs,
        ),
      ),
    );
  }

  /** Names of the actions whose turn came. */
  get begun(): Iterable<string> {
    return this.#begun.keys();
  }

  /** Does once more, one after the other, what had its turn and never worked: another action was in its way. */
  async makeUp(): Promise<void> {
    for (const [name, action] of this.#begun) {
      if (this.happened[name] === undefined) await this.#tryTo(action);
    }
  }

  /** Ends every fault that lasts, and leaves a worker, Temporal, the stream and the services as they should be. */
  async heal(): Promise<void> {
    const { pipeline, proxy, workers } = this.#rig;
    await proxy.heal();
    if (pipeline.stream instanceof FailingTopic) await pipeline.stream.heal();
    else pipeline.stream.unstall();
    await workers.settled();
    await workers.ensureOne();
    await this.#insist('unpause', () => this.#unpause());
    await this.#insist('resume', () => pipeline.sluice('resume'));
    await this.#insist('start', () => pipeline.sluice('start'));
  }

  get #stream(): SimulatedStream {
    const { stream } = this.#rig.pipeline;
    if (stream instanceof SimulatedStream) return stream;
    throw new TypeError('The source is no SSE stream');
  }

  get #topic(): FailingTopic {
    const { stream } = this.#rig.pipeline;
    if (stream instanceof FailingTopic) return stream;
    throw new TypeError('The source is no Kafka topic');
  }

  async #runTrack(track: readonly Planned[], endMs: number): Promise<void> {
    const { signal } = this.#rig;
    for (const { at, action } of track) {
      await delay(Math.max(0, at - this.#elapsedMs()), undefined, { signal });
      if (this.#elapsedMs() > endMs) return;
      this.#begun.set(nameOf(action), action);
      await this.#tryTo(action);
    }
  }

  async #tryTo(action: Action): Promise<void> {
    const { say, signal } = this.#rig;
    const name = nameOf(action);
    try {
      await this.#act(action);
      this.happened[name] = (this.happened[name] ?? 0) + 1;
      say(`${this.#time()} ${name}`);
    } catch (error) {
      signal.throwIfAborted();
      say(`${this.#time()} ${name}: not done (${reasonOf(error)})`);
    }
  }

  async #act(action: Action): Promise<unknown> {
    const { pipeline, proxy } = this.#rig;
    switch (action.kind) {
      case 'kill':
        return await this.#kill(action.downMs);
      case 'kill at':
        return await this.#killAt(action);
      case 'terminate':
        return this.#rig.workers.retire(await this.#rig.workers.setAside());
      case 'crash temporal':
        return await this.#crashTemporal(action);
      case 'lose temporal':
        return await this.#loseTemporal();
      case 'freeze':
        return await this.#freeze(action.forMs);
      case 'two workers':
        return await this.#twoWorkers(action.forMs);
      case 'wrong clock':
        return await this.#wrongClock(action);
      case 'cut off':
        return await this.#cutOff(action);
      case 'cut':
        return await this.#during(action.forMs, proxy.cut(action.service));
      case 'refuse receives':
        return await this.#during(action.forMs, proxy.refuseReceives());
      case 'end stream':
        return this.#stream.sendError('Ended on purpose.');
      case 'stall stream':
        this.#stream.stall();
        return await this.#during(action.forMs, () => this.#stream.unstall());
      case 'refuse id':
        this.#stream.refuseNextLastEventId();
        return await this.#refused(400);
      case 'refuse requests':
        this.#stream.refuseNext(action);
        return await this.#refused(action.status);
      case 'switch datacenter':
        return this.#stream.switchDatacenter();
      case 'crash broker':
        await this.#topic.crash();
        return await this.#during(action.awayMs, () => this.#topic.heal());
      case 'freeze broker':
        this.#topic.freeze();
        return await this.#during(action.forMs, () => this.#topic.heal());
      case 'cut broker':
        this.#topic.cut();
        return await this.#during(action.forMs, () => this.#topic.heal());
      case 'pause':
        return await this.#pause(action);
      case 'stop':
        return await this.#stop(action);
      case 'update':
        return await this.#insist('update', () => pipeline.sluiceWith(action.settings, 'update'));
      case 'flush':
        return await this.#insist('flush', () => pipeline.sluice('flush'));
      case 'pause activity':
        return await this.#pauseActivity(action.forMs);
      default:
        return await this.#onStint('reset', action.forgets ? ['--clear-heartbeat-details'] : []);
    }
  }

  async #kill(downMs: number): Promise<void> {
    const { workers } = this.#rig;
    await workers.ensureOne();
    await workers.kill(workers.ready.slice(0, 1));
    await this.#delay(downMs);
    await workers.ensureOne();
  }

  async #killAt({ point, afterMs, downMs }: Extract<Action, { kind: 'kill at' }>): Promise<void> {
    const { workers } = this.#rig;
    await workers.ensureOne();
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    try {
      await this.#reach(point, held);
      if (afterMs > 0) release();
      await this.#delay(afterMs);
      await workers.kill(workers.ready);
      await this.#delay(downMs);
    } finally {
      release();
      await workers.ensureOne();
    }
  }

  /** @param held while it is pending, the answer at a point of the proxy is held back */
  async #reach(point: KillPoint, held: Promise<void>): Promise<void> {
    const { connection, workflowIds, signal } = this.#rig;
    const ends = new AbortController();
    const end = () => ends.abort(new Error(`${point} was not reached`));
    const timer = setTimeout(end, PATIENCE_MS);
    signal.addEventListener('abort', end, { once: true });
    try {
      if (point === 'frozen' || point === 'continued') {
        await reachHistoryPoint(connection, point, Object.values(workflowIds), ends.signal);
      } else await this.#observe(point, held, ends.signal);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
    }
  }

  async #observe(point: Point, held: Promise<void>, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const end = this.#rig.proxy.observe(point, () => {
        end();
        resolve();
        return held;
      });
      signal.addEventListener('abort', () => {
        end();
        reject(signal.reason as Error);
      });
    });
  }

  async #crashTemporal({ awayMs, alsoKill }: Extract<Action, { kind: 'crash temporal' }>): Promise<void> {
    const { pipeline, workers } = this.#rig;
    await pipeline.killTemporal();
    try {
      await this.#delay(awayMs / 2);
      if (alsoKill) {
        await workers.kill(workers.ready.slice(0, 1));
        await workers.ensureOne();
      }
      await this.#delay(awayMs / 2);
    } finally {
      await pipeline.restartTemporal();
    }
  }

  /** Where S3 is away meanwhile, the cursor that the lake keeps is too old for any window, which is documented. */
  async #loseTemporal(): Promise<void> {
    const { pipeline } = this.#rig;
    const isFresh = async () => Date.now() - (await pipeline.cursorKeptAt()) <= FRESH_CURSOR_MS;
    await eventually('a cursor is kept in the lake', isFresh, 4 * PATIENCE_MS, this.#rig.signal);
    await pipeline.loseTemporal();
    await this.#insist('adopt', () => pipeline.sluice('start', '--adopt', '--yes'));
  }

  async #freeze(forMs: number): Promise<void> {
    const worker = await this.#rig.workers.setAside();
    worker.process.signal('SIGSTOP');
    await this.#during(forMs, () => worker.process.signal('SIGCONT'));
    await this.#leave(worker);
  }

  async #twoWorkers(forMs: number): Promise<void> {
    const { workers } = this.#rig;
    await workers.start();
    await this.#delay(forMs);
    workers.retire(await workers.setAside());
  }

  async #wrongClock({ hours, forMs }: Extract<Action, { kind: 'wrong clock' }>): Promise<void> {
    const { workers } = this.#rig;
    const worker = await workers.startAside({ clockAheadMs: hours * 3_600_000 });
    await this.#during(forMs, () => workers.retire(worker));
  }

  async #cutOff({ forMs, how }: Extract<Action, { kind: 'cut off' }>): Promise<void> {
    const worker = await this.#rig.workers.setAside();
    worker.link.cut(how);
    await this.#during(forMs, () => worker.link.mend());
    await this.#leave(worker);
  }

  /** A worker that is back has some time to do harm. */
  async #leave(worker: Worker): Promise<void> {
    await this.#delay(OVERLAP_MS);
    this.#rig.workers.retire(worker);
  }

  async #refused(status: number): Promise<void> {
    const stream = this.#stream;
    const before = stream.requests.length;
    stream.sendError('Ended on purpose.');
    await this.#eventually(`${status} is asked for`, () =>
      stream.requests.slice(before).some((request) => request.status === status),
    );
  }

  async #pause({ part, forMs, when }: Extract<Action, { kind: 'pause' }>): Promise<void> {
    const { pipeline } = this.#rig;
    if (when === 'stale deletion') await this.#staleDeletion();
    await this.#insist('pause', () => pipeline.sluice('pause', part));
    await this.#during(forMs, () => this.#insist('resume', () => pipeline.sluice('resume', part)));
  }

  async #staleDeletion(): Promise<void> {
    const { counts } = this.#rig.proxy;
    const stale = () => counts.expiredReceipt + counts.supersededReceipt;
    const before = stale();
    await this.#eventually('a deletion is stale', () => stale() > before);
  }

  async #stop({ wait, forMs }: Extract<Action, { kind: 'stop' }>): Promise<void> {
    const { pipeline } = this.#rig;
    try {
      await this.#insist('stop', () => pipeline.sluice('stop'));
      // Where it takes too long it is started again before it has drained.
      if (wait) await pipeline.sluice('stop', '--wait').catch(() => {});
      await this.#delay(forMs);
    } finally {
      await this.#insist('start', () => pipeline.sluice('start'));
    }
  }

  async #pauseActivity(forMs: number): Promise<void> {
    await this.#onStint('pause');
    await this.#during(forMs, () => this.#insist('unpause', () => this.#unpause()));
  }

  /** `temporal activity …` on the consumer's activity. */
  async #onStint(command: string, flags: readonly string[] = []): Promise<void> {
    const { pipeline, workflowIds } = this.#rig;
    await this.#insist(command, async () => {
      const id = (await this.#pendingStint())?.activityId;
      if (!id) throw new Error('no stint is running');
      const stint = ['--workflow-id', workflowIds.ingest, '--activity-id', id];
      await pipeline.temporal('activity', command, ...stint, ...flags, '--address', pipeline.temporalAddress);
    });
  }

  async #unpause(): Promise<void> {
    if ((await this.#pendingStint())?.paused) await this.#onStint('unpause');
  }

  async #pendingStint() {
    const { temporal, workflowIds } = this.#rig;
    const { raw } = await temporal.workflow.getHandle(workflowIds.ingest).describe();
    return raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'consumeStream');
  }

  /** Tries again what fails while Temporal or the workers are away. */
  async #insist(what: string, work: () => Promise<unknown>): Promise<void> {
    const { signal } = this.#rig;
    const deadline = performance.now() + 4 * PATIENCE_MS;
    for (;;) {
      try {
        await work();
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (performance.now() > deadline)
          throw new Error(`${what} does not work: ${reasonOf(error)}`, { cause: error });
      }
      // A command is a process that takes a second of CPU: one that fails at once must not take them all.
      await this.#delay(AGAIN_MS);
    }
  }

  async #eventually(what: string, holds: () => boolean): Promise<void> {
    await eventually(what, holds, PATIENCE_MS, this.#rig.signal);
  }

  /** @param end what ends it, also when the waiting is cut short */
  async #during(forMs: number, end: () => unknown): Promise<void> {
    try {
      await this.#delay(forMs);
    } finally {
      await end();
    }
  }

  /** For as long as a fault lasts: what is waited for is {@link eventually} there. */
  async #delay(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.#rig.signal });
  }

  #elapsedMs(): number {
    return performance.now() - this.#begunAt;
  }

  #time(): string {
    return `${(this.#elapsedMs() / 1_000).toFixed(1).padStart(6)} s `;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
}
