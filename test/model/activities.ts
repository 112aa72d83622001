import type { Received } from '../../src/lane/received';
import type {
  Adopted,
  AdoptWork,
  ClaimWork,
  Deleted,
  DeleteWork,
  MeasureWork,
  Outcome,
  QueueDepth,
  ReceiveWork,
  Uploaded,
  UploadWork,
} from '../../src/lane/work';
import { bytesOf } from './events';
import { Receive } from './receive';
import type { World } from './world';

type Tell<T> = (outcome: Outcome<T>) => void;

/** Deletions that one request takes long for: ten entries each, some requests at once. */
const DELETIONS_AT_ONCE = 40;

/** SQS keeps messages for so long at most. */
const RETENTION_SECONDS = 14 * 24 * 3_600;

/** Of the messages in `Failed`, those that are gone all the same. */
const DELETED_ALL_THE_SAME = 0.2;

/** Does a lane's work as the activities and Temporal do: it takes time, is tried again, fails, and answers late. */
export class Activities {
  readonly #world: World;
  #isAbandoned = false;

  constructor(world: World) {
    this.#world = world;
  }

  claim(_work: ClaimWork, tell: Tell<void>): void {
    this.#after(10, 110, () => {
      const isIts = !this.#world.faults.isAway('queue') && this.#world.claim.take();
      tell(isIts ? { ok: true, value: undefined } : { ok: false, problem: 'it is another’s', isFinal: true });
    });
  }

  /** Temporal is gone: what is under way ends, and is not tried again. */
  abandon(): void {
    this.#isAbandoned = true;
  }

  /** Tried until it works, or can't. */
  adopt(work: AdoptWork, tell: Tell<Adopted>): void {
    this.#after(50, 3_000, () => {
      const { faults, lake, random } = this.#world;
      if (faults.isAway('forbidden')) return tell({ ok: false, problem: 'S3 refuses it', isFinal: true });
      const adopted = lake.adopt(work.input);
      if (random.chance(0.1)) return this.adopt(work, tell);
      tell({ ok: true, value: adopted });
    });
  }

  /** Attempted once. */
  receive({ input }: ReceiveWork, tell: Tell<Received>): void {
    this.#world.claim.receiveBegins();
    const receive = new Receive(this.#world, input, tell);
    this.#after(5, 60, () => receive.poll());
  }

  /** Tried until it works, or can't. What was written may be written again. */
  upload(work: UploadWork, tell: Tell<Uploaded>): void {
    const { random, scenario } = this.#world;
    const isSlow = random.chance(scenario['slow-uploads']);
    const [least, most] = isSlow ? [1_000, this.#visibilityMs(1.5)] : [25, 360];
    this.#after(least, most, () => this.#tryUpload(work, tell));
  }

  #tryUpload(work: UploadWork, tell: Tell<Uploaded>): void {
    const { faults, random, scenario, lake, clocks } = this.#world;
    if (faults.isAway('uploads')) return this.#uploadAgain(15_000, work, tell);
    if (faults.isAway('forbidden')) return tell({ ok: false, problem: 'S3 refuses it', isFinal: true });
    const isWritten = lake.put(work);
    if (!isWritten) return tell({ ok: false, problem: 'the key holds another content', isFinal: true });
    if (random.chance(scenario['repeated-uploads'])) return this.#uploadAgain(11_000, work, tell);
    const clock = clocks.pick();
    const bytes = work.input.rows.reduce((sum, cells) => sum + bytesOf(cells), 0);
    this.#after(1, 20, () => tell({ ok: true, value: { bytes, at: clock() } }));
  }

  #uploadAgain(mostMs: number, work: UploadWork, tell: Tell<Uploaded>): void {
    this.#after(500, mostMs, () => {
      if (!this.#isAbandoned) this.#tryUpload(work, tell);
    });
  }

  /** Slow ones work at their beginning or at their end. Either way SQS answers success. */
  delete({ deletions }: DeleteWork, tell: Tell<Deleted>): void {
    const { random, scenario, faults, time } = this.#world;
    const requests = Math.ceil(deletions.length / DELETIONS_AT_ONCE);
    let ms = random.integer(5, 60) * requests;
    if (random.chance(scenario['slow-deletions']))
      ms += random.integer(this.#visibilityMs(0.3), this.#visibilityMs(2));
    if (faults.isAway('slow deletions'))
      ms += random.integer(this.#visibilityMs(0.8), this.#visibilityMs(1.4));
    const isDoneFirst = random.chance(0.3);
    let left: number[] = [];
    const remove = (): void => {
      left = deletions.flatMap(({ receipt }, index) => (this.#remove(receipt) ? [] : [index]));
    };
    if (isDoneFirst) remove();
    time.after(ms, () => {
      if (!isDoneFirst) remove();
      this.#deleted(left, tell);
    });
  }

  /** @returns whether SQS answers success */
  #remove(receipt: string): boolean {
    const { random, scenario, faults, queue } = this.#world;
    const isFailed = faults.isAway('deletions') || random.chance(scenario['failed-entries']);
    if (!isFailed || random.chance(DELETED_ALL_THE_SAME)) queue.delete(receipt);
    return !isFailed;
  }

  #deleted(left: readonly number[], tell: Tell<Deleted>): void {
    const { random, scenario, clocks } = this.#world;
    if (random.chance(scenario['failed-deletions'])) {
      return this.#after(100, 12_000, () => tell({ ok: false, problem: 'a worker died', isFinal: false }));
    }
    const clock = clocks.pick();
    this.#after(1, 30, () => tell({ ok: true, value: { left, at: clock() } }));
  }

  measure(_work: MeasureWork, tell: Tell<QueueDepth>): void {
    const { queue, clocks } = this.#world;
    const clock = clocks.pick();
    this.#after(10, 110, () => {
      const depth = { ...queue.depth(), delayed: 0, retentionSeconds: RETENTION_SECONDS, at: clock() };
      tell({ ok: true, value: depth });
    });
  }

  #visibilityMs(times: number): number {
    return Math.round(this.#world.scenario.visibility * 1_000 * times);
  }

  #after(least: number, most: number, what: () => void): void {
    const { time, random } = this.#world;
    time.after(random.integer(least, most), what);
  }
}
