import { log } from '@temporalio/activity';
import { describeError } from '../clients/aws-errors';
import { keepCursor, type KeptCursor, type KeptProgress } from '../lake/kept-cursor';
import type { LakeStore } from '../lake/store';
import type { Queue, QueueAttributes } from '../queue/queue';
import type { Lease } from './lease';

export interface CursorKeeperOptions {
  store: Pick<LakeStore, 'lake' | 'replace'>;
  queue: Pick<Queue, 'name' | 'attributes'>;
  /** Nobody else may write the cursor meanwhile. */
  lease: Pick<Lease, 'held'>;
  pipeline: string;
  source: KeptCursor['source'];
  /** Events sent after which the cursor is written before its time. */
  everyEvents: number;
  /** Default: {@link KEEP_EVERY_MS}. */
  everyMs?: number;
}

/** What a stint tells of itself, as far as it matters here. */
type Progress = KeptProgress & { counts: { sent: number } };

/** Milliseconds between two writings, at most. */
const KEEP_EVERY_MS = 60_000;

/** A stint that ends waits so long for its cursor to be written, in milliseconds. */
const LAST_MS = 2_000;

/**
 * Keeps the cursor of a stint in the lake, for who takes the pipeline over when Temporal has forgotten it: who goes on from there is sent
 * again what came since, and that must fit the window. One that can't be written is tried again when the next heartbeat was acknowledged,
 * and is no reason to end a stint.
 */
export class CursorKeeper {
  readonly #options: Required<CursorKeeperOptions>;
  readonly #stop = new AbortController();
  #queueIs: QueueAttributes | undefined;
  #keeping: Promise<void> | undefined;
  /** Told once, until it works again. */
  #hasFailed = false;
  #kept: { at: number; sent: number; cursor: string } | undefined;

  constructor(options: CursorKeeperOptions) {
    this.#options = { everyMs: KEEP_EVERY_MS, ...options };
  }

  /** A heartbeat with this was acknowledged. Writes it, where the last one is too old. */
  told(progress: Progress): void {
    if (this.#keeping || !this.#isDue(progress)) return;
    this.#keeping = this.#keep(progress).finally(() => (this.#keeping = undefined));
  }

  /** The stint ends here. Waits a little until it is written. */
  async end(progress: Progress): Promise<void> {
    const timer = setTimeout(() => this.close(), LAST_MS);
    try {
      await this.#keeping;
      if (placeIn(progress) !== this.#kept?.cursor) await this.#keep(progress);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Writes nothing more. */
  close(): void {
    this.#stop.abort();
  }

  #isDue(progress: Progress): boolean {
    if (!this.#kept) return true;
    const { at, sent, cursor } = this.#kept;
    if (progress.counts.sent - sent >= this.#options.everyEvents) return true;
    return performance.now() - at >= this.#options.everyMs && placeIn(progress) !== cursor;
  }

  /** Never rejects. */
  async #keep(progress: Progress): Promise<void> {
    const { store, lease } = this.#options;
    const { signal } = this.#stop;
    if (signal.aborted) return;
    try {
      const kept = await this.#describe(progress, signal);
      await keepCursor(store, kept, { abortSignal: await lease.held(signal) });
      this.#hasFailed = false;
      this.#kept = { at: performance.now(), sent: progress.counts.sent, cursor: placeIn(progress) };
    } catch (error) {
      if (signal.aborted || this.#hasFailed) return;
      this.#hasFailed = true;
      log.warn('The cursor was not written to the lake; who adopts it meanwhile is sent more again', {
        error: describeError(error),
      });
    }
  }

  async #describe({ cursor, completeness, gaps }: Progress, signal: AbortSignal): Promise<KeptCursor> {
    const { queue, pipeline, source } = this.#options;
    // Once a stint: of a queue that was made again meanwhile, what was sent before is not there.
    this.#queueIs ??= await queue.attributes({ abortSignal: signal });
    const { createdAt } = this.#queueIs;
    const { url, key } = source;
    return {
      pipeline,
      source: { url, ...(key === undefined ? {} : { key }) },
      queue: { name: queue.name, ...(createdAt === undefined ? {} : { createdAt }) },
      time: new Date().toISOString(),
      cursor,
      completeness,
      gaps,
    };
  }
}

function placeIn({ cursor, gaps }: KeptProgress): string {
  const { positions, lastEventId, time } = cursor;
  return JSON.stringify([positions, lastEventId, time, gaps]);
}
