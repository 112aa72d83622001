import type { LaneLimits } from './limits';
import type { Deletion, DeleteWork, WaitWork } from './work';
import type { Window } from './window';

/**
 * The deletions of a lane. Messages whose rows are in the lake go at once, many together. Single copies wait a little for others.
 */
export class Deleting {
  readonly #limits: LaneLimits;
  #underWay = 0;
  /** The last deletion of several messages deleted none. */
  #fails = false;
  #wait: WaitWork | undefined;
  /** Copies to delete have waited long enough. */
  #isTime = false;

  constructor(limits: LaneLimits) {
    this.#limits = limits;
  }

  get underWay(): number {
    return this.#underWay;
  }

  get fails(): boolean {
    return this.#fails;
  }

  /** @param isUrgent nothing may wait for others */
  *work(window: Window, queue: string, isUrgent: boolean): Iterable<DeleteWork | WaitWork> {
    const { deletesAtOnce, deleteAt, deletions } = this.#limits;
    const mayDelete = () => window.due > 0 && (window.due >= deleteAt || this.#isTime || isUrgent);
    while (this.#underWay < deletesAtOnce && mayDelete()) {
      this.#underWay += 1;
      yield { kind: 'delete', queue, deletions: window.takeDue(deletions) };
    }
    if (window.due === 0) this.#isTime = false;
    else if (!this.#wait && window.due < deleteAt) yield this.#waitForOthers();
  }

  woke(wait: WaitWork): void {
    if (wait !== this.#wait) return;
    this.#wait = undefined;
    this.#isTime = true;
  }

  /**
   * @param left places of those that are not known to be gone; undefined: all
   * @returns whether the queue deletes nothing
   */
  answered(deletions: readonly Deletion[], left: ReadonlySet<number> | undefined): boolean {
    this.#underWay -= 1;
    const deleted = left === undefined ? 0 : deletions.length - left.size;
    if (deleted > 0) this.#fails = false;
    // A single message may fail for a reason of its own.
    const isFailure = deleted === 0 && (left === undefined || deletions.length >= this.#limits.deleteAt);
    this.#fails ||= isFailure;
    return isFailure;
  }

  #waitForOthers(): WaitWork {
    const { deleteAfterMs: ms } = this.#limits;
    this.#wait = { kind: 'wait', why: 'copies', ms, summary: 'copies to delete wait for others' };
    return this.#wait;
  }
}
