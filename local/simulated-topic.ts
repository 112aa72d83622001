import { setTimeout as delay } from 'node:timers/promises';
import { Admin, Producer } from '@platformatic/kafka';
import { codesOf } from '../src/sources/kafka/brokers';
import { type KafkaServer, startKafkaServer } from './kafka-server';
import { type Ledger, planRun, type PublishedEvent } from './simulated-stream';
import type { EventKind } from './simulated-stream/events';
import { Publisher, USUAL_EVENTS } from './simulated-stream/publisher';
import { seededRandom } from './simulated-stream/random';

export interface SimulatedTopicOptions {
  /** Decides the events' content; default 7. */
  seed?: number;
  /** Events to produce by itself; default 0. */
  events?: number;
  /** How many of them are broken; default 3, or all where there are fewer. */
  broken?: number;
  /** Default 50. */
  ratePerSecond?: number;
  /** One event in so many carries awkward text; 0 for none. Default 4. */
  awkwardOneIn?: number;
  /** Default 3. */
  partitions?: number;
  /** `host:port` of a Kafka that runs. Default: one is started, and ends with the topic. */
  broker?: string;
  /** Told when something slow begins. Default: nothing is told. */
  log?: (line: string) => void;
}

const TOPIC = 'recentchange';
const BROKEN_KINDS = ['not-json', 'not-an-object', 'too-large'] as const;
const TURN_MS = 100;
const RETRY_MS = 500;

/** The protocol's error code. */
const TOPIC_ALREADY_EXISTS = 36;

/**
 * The events of the simulated Wikimedia stream, in a topic of a real Kafka. What is in the ledger was acknowledged by all replicas
 * or will be: a batch that fails is sent again, so that the topic may hold an event twice, as it may with any producer.
 */
export class SimulatedTopic {
  /** Resolves when all events of this run are in the topic. */
  readonly published: Promise<void>;
  /** The Kafka that was started for it. */
  readonly server: KafkaServer | undefined;
  readonly #broker: string;
  readonly #publisher: Publisher;
  readonly #producer: Producer;
  readonly #partitions: number;
  readonly #ends = new AbortController();
  #sent: Promise<void> = Promise.resolve();
  #count = 0;
  #nextOffsets: number[];

  private constructor(options: SimulatedTopicOptions, broker: string, server: KafkaServer | undefined) {
    const { seed = 7, events = 0, broken, ratePerSecond = 50, partitions = 3 } = options;
    const { awkwardOneIn = USUAL_EVENTS.awkwardOneIn } = options;
    this.server = server;
    this.#broker = broker;
    this.#partitions = partitions;
    this.#publisher = new Publisher({
      ...USUAL_EVENTS,
      awkwardOneIn,
      // Canaries are Wikimedia's way to keep a stream alive: a topic needs none.
      canaryOneIn: 0,
      seed,
      keepPayloads: true,
      retained: Infinity,
    });
    this.#nextOffsets = this.#publisher.logs.map(({ end }) => end);
    this.#producer = new Producer({
      clientId: 'simulated-topic',
      bootstrapBrokers: [broker],
      acks: -1,
      retries: 0,
    });
    const plan = planRun(
      { events, brokenKinds: BROKEN_KINDS, ...(broken === undefined ? {} : { broken }) },
      seededRandom(seed + 2),
    );
    this.published = this.#produceRun(plan, ratePerSecond);
    this.published.catch(() => {});
  }

  static async start(options: SimulatedTopicOptions): Promise<SimulatedTopic> {
    const { partitions = 3, log } = options;
    const server = options.broker === undefined ? await startKafkaServer({ log }) : undefined;
    const broker = options.broker ?? server?.broker ?? '';
    const admin = new Admin({
      clientId: 'simulated-topic',
      bootstrapBrokers: [broker],
      retries: 20,
      retryDelay: RETRY_MS,
    });
    // One of the broken events is larger than a topic takes otherwise.
    const configs = [{ name: 'max.message.bytes', value: String(4 * 1024 * 1024) }];
    try {
      await admin.createTopics({ topics: [TOPIC], partitions, replicas: 1, configs });
    } catch (error) {
      if (!codesOf(error).includes(TOPIC_ALREADY_EXISTS)) throw error;
    } finally {
      await admin.close();
    }
    return new SimulatedTopic(options, broker, server);
  }

  get url(): string {
    return `kafka://${this.#broker}/${TOPIC}`;
  }

  /** Of a pipeline that reads it. */
  get settings(): Record<string, string> {
    return {
      SLUICE_SOURCE_URL: this.url,
      SLUICE_SOURCE_SINCE: 'earliest',
      SLUICE_SOURCE_KEY: 'meta.id',
    };
  }

  get ledger(): Ledger {
    return this.#publisher.ledger;
  }

  /** Produces this many more well-formed events. @returns those, once they are acknowledged */
  async publish(count: number): Promise<readonly PublishedEvent[]> {
    const before = this.ledger.published.length;
    this.#produce(Array.from({ length: count }, () => 'well-formed'));
    const events = this.ledger.published.slice(before);
    await this.#sent;
    return events;
  }

  async close(): Promise<void> {
    this.#ends.abort();
    await this.#sent.catch(() => {});
    await this.#producer.close();
    await this.server?.stop();
  }

  async #produceRun(plan: readonly EventKind[], ratePerSecond: number): Promise<void> {
    const begun = Date.now();
    for (let done = 0; done < plan.length;) {
      const due = Math.min(plan.length, Math.ceil(((Date.now() - begun + TURN_MS) * ratePerSecond) / 1_000));
      this.#produce(plan.slice(done, due));
      done = due;
      await delay(TURN_MS, undefined, { signal: this.#ends.signal });
    }
    await this.#sent;
  }

  /** One batch after the other, so that order is kept within a partition. */
  #produce(kinds: readonly EventKind[]): void {
    for (const kind of kinds) this.#publisher.publish(kind);
    const messages = this.#newTexts().map((text) => ({
      topic: TOPIC,
      partition: (this.#count += 1) % this.#partitions,
      value: Buffer.from(text),
    }));
    if (messages.length === 0) return;
    this.#sent = this.#sent.then(() => this.#send(messages));
    this.#sent.catch(() => {});
  }

  #newTexts(): string[] {
    return this.#publisher.logs.flatMap((log, index) => {
      const texts: string[] = [];
      for (let offset = this.#nextOffsets[index] ?? 0; offset < log.end; offset += 1) {
        const { text } = log.at(offset) ?? {};
        if (text !== undefined) texts.push(text);
      }
      this.#nextOffsets[index] = log.end;
      return texts;
    });
  }

  async #send(messages: Parameters<Producer['send']>[0]['messages']): Promise<void> {
    while (!this.#ends.signal.aborted) {
      try {
        await this.#producer.send({ messages });
        return;
      } catch {
        // A broker that is away comes back: whoever waits for `published` decides how long that may take.
        this.#producer.clearMetadata();
        await delay(RETRY_MS, undefined, { signal: this.#ends.signal }).catch(() => {});
      }
    }
  }
}

/**
 * Creates a topic in Apache Kafka and produces simulated events to it. Close it when done.
 *
 * @throws StackError when there is no Kafka on this machine, with what to install
 */
export function startSimulatedTopic(options: SimulatedTopicOptions = {}): Promise<SimulatedTopic> {
  return SimulatedTopic.start(options);
}
