import { log } from '@temporalio/activity';
import type { Meters } from '../../metrics';
import { connected, type Gap, type Gaps, judged, keptGap } from '../../sources/gaps';
import type { Keeper } from './keeper';

export interface GapBookOptions {
  /** The source's URL. */
  url: string;
  keeper: Pick<Keeper, 'gap' | 'aside'>;
  meters: Pick<Meters, 'gaps' | 'eventsDropped'>;
}

/** What a stint knows of the time in which nobody listened to its source. */
export class GapBook {
  readonly #options: GapBookOptions;
  readonly #beingKept = new Set<Gap>();
  #gaps: Gaps;
  /** When something last came over the connection, in epoch milliseconds. */
  #heardAt: number | undefined;

  constructor(gaps: Gaps, options: GapBookOptions) {
    this.#gaps = gaps;
    this.#options = options;
  }

  /**
   * What to tell whoever goes on from here.
   *
   * @param oldestPending when the oldest event came that is not safe, in epoch milliseconds; undefined where there is none
   */
  told(oldestPending: number | undefined): Gaps {
    const safeUntil = oldestPending ?? this.#heardAt;
    return safeUntil === undefined ? this.#gaps : { ...this.#gaps, safeUntil };
  }

  /** A connection stands. @param isResumed see {@link SourceListener.onConnected} */
  connected(isResumed: boolean | undefined): void {
    const now = Date.now();
    const before = this.#gaps.count;
    // Only events of earlier connections are meant: this attempt sends those that it has received.
    const heard = this.#heardAt === undefined ? {} : { safeUntil: this.#heardAt };
    this.#gaps = connected({ ...this.#gaps, ...heard }, isResumed, now);
    this.#heardAt = now;
    this.#tell(before);
  }

  heard(): void {
    this.#heardAt = Date.now();
  }

  /** The first event tells whether what was no connection before it was a gap. */
  judge(canResume: boolean | undefined): void {
    if (this.#gaps.unjudged.length === 0 || canResume === undefined) return;
    const before = this.#gaps.count;
    this.#gaps = judged(this.#gaps, canResume);
    this.#tell(before);
  }

  /** Events were received, and nothing brings them again. */
  drop(dropped: number): void {
    this.#gaps = { ...this.#gaps, dropped: this.#gaps.dropped + dropped };
    this.#options.meters.eventsDropped(dropped);
    log.warn('Events were received and not sent', { url: this.#options.url, dropped });
  }

  /** An object in the lake tells of each gap, for whoever checks the lake. */
  keepAll(): void {
    for (const gap of this.#gaps.unkept) {
      if (this.#beingKept.has(gap)) continue;
      this.#beingKept.add(gap);
      this.#options.keeper.aside(this.#keep(gap));
    }
  }

  async #keep(gap: Gap): Promise<void> {
    if (await this.#options.keeper.gap(gap)) this.#gaps = keptGap(this.#gaps, gap);
  }

  #tell(before: number): void {
    if (this.#gaps.count === before) return;
    const { url, meters } = this.#options;
    meters.gaps(this.#gaps.count - before);
    log.warn('The source was not listened to, and can not be resumed', {
      url,
      gap: this.#gaps.recent.at(-1),
    });
    this.keepAll();
  }
}
