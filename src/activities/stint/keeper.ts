import { setTimeout as delay } from 'node:timers/promises';
import { log } from '@temporalio/activity';
import { type Backoff, backoffMs } from '../../backoff';
import { describeError, isTransient } from '../../clients/aws-errors';
import { keepGap } from '../../lake/gap-objects';
import { keepCanary, keepRejected } from '../../lake/kept';
import type { LakeStore, RequestOptions } from '../../lake/store';
import type { Gap } from '../../sources/gaps';
import type { SourceEvent } from '../../sources/source';
import { blockedUnlessTransient } from './ended';
import type { Why } from './judge';

export interface KeeperOptions {
  store: Pick<LakeStore, 'lake' | 'putIfAbsent'>;
  /** The source's URL, which each object names. */
  source: string;
  /** Asked before each try with {@link signal}; resolves when it may be made, to what gives it up. */
  mayBegin: (signal: AbortSignal) => Promise<AbortSignal>;
  /** Ends all tries. */
  signal: AbortSignal;
  /** Called when something can't be kept. */
  onFailure: (error: unknown) => void;
}

/** Between tries to write to the lake. */
const BACKOFF: Backoff = { first: 200, most: 10_000 };

/** Writes to the lake what a stint has beside messages, again and again until it is written. */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #aside = new Set<Promise<void>>();

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** @returns whether the object was written; else {@link KeeperOptions.onFailure} was told, as with the other methods */
  async rejected({ id, text, record, read }: SourceEvent, { reason, detail }: Why): Promise<boolean> {
    const { store, source } = this.#options;
    const rejected = { reason, detail, source, id, key: read.key, text, record };
    return await this.#keep('a rejected event', (options) => keepRejected(store, rejected, options));
  }

  async canary({ id, text, read: { key } }: SourceEvent): Promise<boolean> {
    const { store, source } = this.#options;
    return await this.#keep('a canary event', (options) =>
      keepCanary(store, { source, id, key, text }, options),
    );
  }

  async gap(gap: Gap): Promise<boolean> {
    const { store, source } = this.#options;
    return await this.#keep('a gap', (options) => keepGap(store, { source, ...gap }, options));
  }

  /** Lets something be kept while the caller goes on. */
  aside(keeping: Promise<void>): void {
    const kept = keeping.finally(() => this.#aside.delete(kept));
    this.#aside.add(kept);
  }

  /** Resolves when nothing is kept aside any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#aside);
  }

  async #keep(what: string, write: (options: RequestOptions) => Promise<void>): Promise<boolean> {
    const { store, signal, mayBegin, onFailure } = this.#options;
    const writeOnce = async () => await write({ abortSignal: await mayBegin(signal) });
    try {
      await untilWritten(what, writeOnce, signal);
      return true;
    } catch (error) {
      onFailure(blockedUnlessTransient(error, `write ${what} to the bucket ${store.lake.bucket}`));
      return false;
    }
  }
}

async function untilWritten(what: string, write: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await write();
    } catch (error) {
      if (!isTransient(error)) throw error;
      log.warn(`Could not write ${what} yet`, { error: describeError(error) });
      await delay(backoffMs(failures, BACKOFF), undefined, { signal });
    }
  }
}
