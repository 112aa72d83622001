import { createHash } from 'node:crypto';

import { brokenReasons, createEventTexts, type EventKind, type EventText, type Place } from './events';
import type { BrokenEvent, Ledger, PublishedEvent } from './ledger';
import { seededRandom } from './random';
import { TopicLog } from './topic-log';

/** One topic for each datacenter; only one of them is active. */
export const topics = ['eqiad.mediawiki.recentchange', 'codfw.mediawiki.recentchange'] as const;

/** In one capture of the real stream 37 of 1,685 events shared an id and 16 stepped back. */
const twinProbability = 0.02;
const backwardProbability = 0.01;

export interface PublisherOptions {
  seed: number;
  keepPayloads: boolean;
  /** How many events each log keeps at least. */
  retained: number;
  /** One event in so many has a canary before it; 0 for none. */
  canaryOneIn: number;
  /** One event in so many carries awkward text; 0 for none. */
  awkwardOneIn: number;
  /** Of each well-formed event, beyond its usual size. */
  paddingBytes: number;
}

/** Canaries, awkward texts and sizes where nothing else is asked for. */
export const USUAL_EVENTS = { canaryOneIn: 200, awkwardOneIn: 4, paddingBytes: 0 } as const;

/** Appends generated events to the logs of the two datacenters, and keeps the ledger. */
export class Publisher {
  readonly logs: readonly TopicLog[];
  readonly #options: PublisherOptions;
  readonly #random;
  readonly #nextText;
  readonly #ledger = {
    published: new Array<PublishedEvent>(),
    broken: new Array<BrokenEvent>(),
    withheld: new Array<PublishedEvent>(),
    canaries: 0,
  };
  readonly #withheld: { log: TopicLog; at: number; place: Place; event: EventText }[] = [];
  #active = 0;
  #toWithhold = 0;
  /** Added to the offsets in events: what another Kafka cluster would count. */
  #shift = 0;
  #lastTimestamp = 0;
  #youngestTimestamp = 0;

  constructor(options: PublisherOptions) {
    const { seed, retained, awkwardOneIn, paddingBytes } = options;
    this.#options = options;
    this.#random = seededRandom(seed);
    this.#nextText = createEventTexts(this.#random, { awkwardOneIn, paddingBytes });
    this.logs = topics.map(
      (topic) => new TopicLog(topic, this.#random.integer(5_000_000_000, 6_000_000_000), retained),
    );
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  /** Publishes one event to the active datacenter; now and then a canary goes before it. */
  publish(kind: EventKind): void {
    const { canaryOneIn } = this.#options;
    if (this.#random.chance(canaryOneIn === 0 ? 0 : 1 / canaryOneIn)) this.#append('canary');
    this.#append(kind);
  }

  /** The next well-formed events use up offsets and are never sent. */
  withhold(count: number): void {
    this.#toWithhold += count;
  }

  /** The oldest events that are withheld are in the log after all, at their places; nobody who has passed them hears of it. */
  release(count: number, kind: EventKind): void {
    for (const { log, at, place, event } of this.#withheld.splice(0, count)) {
      const released = kind === 'well-formed' ? event : this.#nextText(kind, place);
      log.fill(at, released.text);
      this.#ledger.withheld.shift();
      this.#record(kind, place, released, false);
    }
  }

  /** From now on another Kafka cluster counts, far from here: the logs and their times stay. */
  switchCluster(): void {
    this.#shift += 1_000_000_000;
  }

  /** From now on the other datacenter's topic gets the events. */
  switchDatacenter(): void {
    this.#active = (this.#active + 1) % this.logs.length;
  }

  #append(kind: EventKind): void {
    const log = this.logs[this.#active];
    if (!log) throw new RangeError(`There is no datacenter ${this.#active}.`);
    const timestamp = this.#nextTimestamp();
    const at = log.end;
    const place = { topic: log.topic, partition: log.partition, offset: at + this.#shift, timestamp };
    const event = this.#nextText(kind, place);
    const isWithheld = kind === 'well-formed' && this.#toWithhold > 0;
    if (isWithheld) {
      this.#toWithhold -= 1;
      this.#withheld.push({ log, at, place, event });
    }
    log.append(timestamp, isWithheld ? undefined : event.text);
    this.#record(kind, place, event, isWithheld);
  }

  #record(kind: EventKind, place: Place, { key, text }: EventText, isWithheld: boolean): void {
    if (kind === 'canary') {
      this.#ledger.canaries += 1;
      return;
    }
    if (kind !== 'well-formed') {
      this.#ledger.broken.push({ text, reason: brokenReasons[kind] });
      return;
    }
    const list = isWithheld ? this.#ledger.withheld : this.#ledger.published;
    list.push({
      key,
      topic: place.topic,
      partition: place.partition,
      offset: place.offset,
      text: this.#options.keepPayloads ? text : '',
      sha256: createHash('sha256').update(text).digest('hex'),
      publishedAt: Date.now(),
    });
  }

  /**
   * The wall clock, except that twins come only where they are meant to: faster than one event a
   * millisecond, the events' clock runs ahead of the wall.
   */
  #nextTimestamp(): number {
    const isFirst = this.#lastTimestamp === 0;
    if (!isFirst && this.#random.chance(twinProbability)) return this.#lastTimestamp;
    if (!isFirst && this.#random.chance(backwardProbability)) {
      this.#lastTimestamp = this.#youngestTimestamp - this.#random.integer(1, 5);
      return this.#lastTimestamp;
    }
    this.#youngestTimestamp = Math.max(Date.now(), this.#youngestTimestamp + 1);
    this.#lastTimestamp = this.#youngestTimestamp;
    return this.#lastTimestamp;
  }
}
