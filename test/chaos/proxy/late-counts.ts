/** `ApproximateNumberOfMessages…`, as SQS writes them. */
export type QueueCounts = Record<string, string>;

interface Followed {
  samples: { at: number; counts: QueueCounts }[];
  timer: NodeJS.Timeout;
}

/** Remembers what the counts of queues were, since AWS answers with old ones. */
export class LateCounts {
  readonly #lagMs: number;
  readonly #followed = new Map<string, Promise<Followed | undefined>>();

  /** @param lagMs how old the counts are, in milliseconds; up to half as much again */
  constructor(lagMs: number) {
    this.#lagMs = lagMs;
  }

  /**
   * Begins to remember a queue's counts; resolves when the first are there.
   *
   * @param ask the queue's counts now; where it can't tell, it is asked again at the next call
   */
  async follow(queue: string, ask: () => Promise<QueueCounts>): Promise<void> {
    if (this.#lagMs === 0) return;
    const following = this.#followed.get(queue) ?? this.#start(ask);
    this.#followed.set(queue, following);
    if ((await following) === undefined) this.#followed.delete(queue);
  }

  /** @returns counts that are `lagMs` old, or the oldest there are; none for a queue that is not followed */
  async old(queue: string): Promise<QueueCounts | undefined> {
    const samples = (await this.#followed.get(queue))?.samples ?? [];
    const isOld = ({ at }: { at: number }) => at <= performance.now() - this.#lagMs;
    return (samples.findLast(isOld) ?? samples[0])?.counts;
  }

  async stop(): Promise<void> {
    const followed = await Promise.all(this.#followed.values());
    for (const each of followed) clearInterval(each?.timer);
    this.#followed.clear();
  }

  async #start(ask: () => Promise<QueueCounts>): Promise<Followed | undefined> {
    const samples: Followed['samples'] = [];
    const sample = async () => {
      const at = performance.now();
      const counts = await ask().catch(() => undefined);
      if (counts) samples.push({ at, counts });
      while (samples.length > 0 && (samples[1]?.at ?? at) < at - 2 * this.#lagMs) samples.shift();
    };
    await sample();
    if (samples.length === 0) return undefined;
    return { samples, timer: setInterval(() => void sample(), this.#lagMs / 2).unref() };
  }
}
