import { type KafkaServer, startKafkaServer } from '../../../local/kafka-server';
import { freePort } from '../../../local/ports';
import type { Ledger } from '../../../local/simulated-stream';
import {
  type SimulatedTopic,
  type SimulatedTopicOptions,
  startSimulatedTopic,
} from '../../../local/simulated-topic';
import { TcpLink } from '../../support/tcp-link';

/** It is started again and again, and lives for minutes. */
const STARTS_FAST = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];

/**
 * Simulated events in a topic of an Apache Kafka that can be killed, frozen, and cut off from those who read it. The producer
 * has a way of its own to it, and sends until Kafka acknowledges.
 */
export class FailingTopic {
  readonly #server: KafkaServer;
  readonly #link: TcpLink;
  readonly #topic: SimulatedTopic;
  #isUp = true;

  private constructor(server: KafkaServer, link: TcpLink, topic: SimulatedTopic) {
    this.#server = server;
    this.#link = link;
    this.#topic = topic;
  }

  static async start(options: SimulatedTopicOptions): Promise<FailingTopic> {
    const port = await freePort();
    const link = await TcpLink.start(() => port);
    // Clients that come through the link stay on it: its port is what the broker tells them.
    const linked = { protocol: 'PLAINTEXT', port, advertised: link.port } as const;
    const server = await startKafkaServer({ listeners: { LINKED: linked }, jvm: STARTS_FAST });
    return new FailingTopic(server, link, await startSimulatedTopic({ ...options, broker: server.broker }));
  }

  /** Of a pipeline that reads it, through the link. */
  get settings(): Record<string, string> {
    const url = new URL(this.#topic.url);
    url.port = String(this.#link.port);
    return { ...this.#topic.settings, SLUICE_SOURCE_URL: url.href };
  }

  get ledger(): Ledger {
    return this.#topic.ledger;
  }

  /** Resolves when all events of the run are in the topic. */
  get published(): Promise<void> {
    return this.#topic.published;
  }

  /** Resolves when this many more are in the topic. */
  async publish(count: number): Promise<void> {
    await this.#topic.publish(count);
  }

  /** SIGKILL: what Kafka acknowledged is in its files. */
  async crash(): Promise<void> {
    this.#isUp = false;
    await this.#server.kill();
  }

  /** Nothing is answered, and nothing ends. */
  freeze(): void {
    process.kill(this.#server.pid, 'SIGSTOP');
  }

  /** Readers are cut off, and so is who connects. */
  cut(): void {
    this.#link.break();
  }

  /** Ends all that fails. */
  async heal(): Promise<void> {
    this.#link.mend();
    if (this.#isUp) process.kill(this.#server.pid, 'SIGCONT');
    else await this.#server.restart();
    this.#isUp = true;
  }

  async close(): Promise<void> {
    await this.#topic.close();
    await this.#link.close();
    await this.#server.stop();
  }
}
