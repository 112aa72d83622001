import type { Column, PipelineDefinition } from '../../src/pipeline/definition';
import { COLUMNS, isKeyed } from './events';
import type { Host } from './host';
import { SMALLEST_WINDOW } from './scenario';
import type { World } from './world';

const WHAT_PEOPLE_DO = ['pause', 'stop', 'flush', 'visibility', 'rows', 'columns', 'grow'] as const;
type Deed = (typeof WHAT_PEOPLE_DO)[number] | 'shrink';

/** Ingest hears of a larger window after the lane has, in milliseconds. */
const INGEST_HEARS_AFTER_MS = 30_000;

/** Those who run the pipeline. What they do, they do at moments that the seed decides. */
export class People {
  readonly #world: World;
  readonly #host: Host;
  /** As the last of them wanted it. */
  #definition: PipelineDefinition;

  constructor(world: World, host: Host, definition: PipelineDefinition) {
    this.#world = world;
    this.#host = host;
    this.#definition = definition;
  }

  begin(): void {
    const { time, random, scenario, spanMs } = this.#world;
    const deeds: readonly Deed[] =
      scenario.shrink > 0 ? [...WHAT_PEOPLE_DO, 'shrink', 'shrink'] : WHAT_PEOPLE_DO;
    for (let person = 0; person < scenario.people; person += 1) {
      const deed = random.pick(deeds);
      time.after(random.integer(0, spanMs), () => this.#do(deed));
    }
  }

  #do(deed: Deed): void {
    const { random, time, ingest } = this.#world;
    const { queue, batch, lake, windowKeys } = this.#definition;
    switch (deed) {
      case 'pause':
        return this.#forAWhile('pause', 'resume');
      case 'stop':
        return this.#forAWhile('stop', 'start');
      case 'flush':
        return this.#host.signal('flush');
      case 'visibility':
        return this.#change({
          queue: { ...queue, visibilityTimeoutSeconds: random.pick([10, 24, 40]) },
        });
      case 'rows':
        return this.#change({ batch: { ...batch, rows: random.pick([3, 10, 25]) } });
      case 'columns':
        return this.#change({ lake: { ...lake, ...columnsLike(random.pick(COLUMNS)) } });
      case 'grow':
        time.after(INGEST_HEARS_AFTER_MS, () => ingest.resize(this.#definition.windowKeys));
        return this.#change({ windowKeys: windowKeys * 2 });
      case 'shrink':
        return ingest.shrink(smallerThan(windowKeys), () =>
          this.#change({ windowKeys: smallerThan(windowKeys) }),
        );
    }
  }

  #forAWhile(first: 'pause' | 'stop', then: 'resume' | 'start'): void {
    const { random, time } = this.#world;
    this.#host.signal(first);
    time.after(random.integer(1_000, 4_000 * this.#definition.queue.visibilityTimeoutSeconds), () =>
      this.#host.signal(then),
    );
  }

  #change(changes: Partial<PipelineDefinition>): void {
    this.#definition = { ...this.#definition, ...changes };
    this.#host.update(this.#definition);
  }
}

function columnsLike(columns: readonly Column[]): Pick<PipelineDefinition['lake'], 'columns' | 'keyColumn'> {
  return { columns: [...columns], keyColumn: isKeyed(columns.map(({ name }) => name)) };
}

/** Stints need some room. */
function smallerThan(windowKeys: number): number {
  return Math.max(SMALLEST_WINDOW, Math.ceil(windowKeys / 3));
}
