import type { LaneLife } from '../lake/layout';
import type { PipelineDefinition } from '../pipeline/definition';
import type { LaneLimits } from './limits';
import type { AdoptWork, Replaced, WaitWork } from './work';

/** A lane that goes on where another one's objects end. JSON: it travels through continue-as-new until the lake is read. */
export interface CarriedAdopting {
  /** The lanes whose queue and lake it takes. */
  replaces: Replaced;
  /** Whether it waited long enough to read the lake. */
  hasWaited: boolean;
}

/** What is still to be done of it, for people. */
export type AdoptingStage = 'waiting' | 'reading';

/**
 * For so long, in milliseconds, a lane may write whose workflow is gone: an attempt of an upload is ended by its worker after 60 s, and may
 * have a request under way.
 */
const LAST_UPLOAD_MS = 90_000;

/**
 * Milliseconds after which nothing of a dead lane is under way any more: its uploads have ended, and what its receives had hidden is
 * back. A tenth more, since clocks differ.
 */
export function deadLaneMs(visibilityMs: number): number {
  return Math.round(Math.max(LAST_UPLOAD_MS, visibilityMs) * 1.1);
}

/**
 * Takes over what another lane wrote: its workflow is gone, and with it the knowledge of what is in the lake. First it waits until
 * nothing of that lane is under way, and then it reads: what is written behind its back would be written twice. Pure.
 */
export class Adopting {
  #state: CarriedAdopting | undefined;
  #wait: WaitWork | undefined;
  #isReading = false;

  constructor(carried?: CarriedAdopting) {
    this.#state = carried;
  }

  /** There is nothing to take over, or it is done. */
  get isOver(): boolean {
    return this.#state === undefined;
  }

  get isUnderWay(): boolean {
    return this.#wait !== undefined || this.#isReading;
  }

  /** Whose queue and lake may be claimed. */
  get replaces(): Replaced | undefined {
    return this.#state?.replaces;
  }

  get stage(): AdoptingStage | undefined {
    if (!this.#state) return undefined;
    return this.#state.hasWaited ? 'reading' : 'waiting';
  }

  *work(
    { queue, lake, name }: PipelineDefinition,
    life: LaneLife,
    { adoptedKeys }: Pick<LaneLimits, 'adoptedKeys'>,
  ): Iterable<WaitWork | AdoptWork> {
    if (!this.#state || this.isUnderWay) return;
    if (!this.#state.hasWaited) {
      const ms = deadLaneMs(queue.visibilityTimeoutSeconds * 1_000);
      this.#wait = {
        kind: 'wait',
        why: 'adopting',
        ms,
        summary: 'until the lane before it has nothing under way',
      };
      yield this.#wait;
      return;
    }
    this.#isReading = true;
    const { bucket, prefix, acl } = lake;
    yield {
      kind: 'adopt',
      input: {
        pipeline: name,
        lake: { bucket, prefix, ...(acl === undefined ? {} : { acl }) },
        life,
        keys: adoptedKeys,
      },
    };
  }

  woke(wait: WaitWork): void {
    if (wait !== this.#wait) return;
    this.#wait = undefined;
    if (this.#state) this.#state = { ...this.#state, hasWaited: true };
  }

  /** The lake was read, or could not be. */
  ended(isRead: boolean): void {
    this.#isReading = false;
    if (isRead) this.#state = undefined;
  }

  carried(): { adopting?: CarriedAdopting } {
    return this.#state ? { adopting: this.#state } : {};
  }
}
