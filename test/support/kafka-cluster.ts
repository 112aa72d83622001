import { Admin, type MessageToProduce, Producer } from '@platformatic/kafka';
import { type KafkaServer, type KafkaServerOptions, startKafkaServer } from '../../local/kafka-server';
import { freePort } from '../../local/ports';
import { eventually } from './eventually';
import { TcpLink } from './tcp-link';

/** One Apache Kafka for a file of tests, a topic for each test, and a link in between that can fail. */
export class KafkaCluster {
  readonly server: KafkaServer;
  /** Clients that connect through it stay on it: its port is what the broker tells them. */
  readonly link: TcpLink;
  readonly admin: Admin;
  readonly producer: Producer;
  #topics = 0;

  private constructor(server: KafkaServer, link: TcpLink) {
    this.server = server;
    this.link = link;
    const options = { clientId: 'test', bootstrapBrokers: [server.broker], retries: 10, retryDelay: 200 };
    this.admin = new Admin(options);
    this.producer = new Producer({ ...options, acks: -1 });
  }

  static async start({ listeners, settings, ...options }: KafkaServerOptions = {}): Promise<KafkaCluster> {
    const port = await freePort();
    const link = await TcpLink.start(() => port);
    const server = await startKafkaServer({
      ...options,
      listeners: { LINKED: { protocol: 'PLAINTEXT', port, advertised: link.port }, ...listeners },
      settings: {
        'auto.create.topics.enable': 'false',
        // The cleaner looks at once.
        'log.cleaner.backoff.ms': 100,
        // Records of tests may be as old as they like.
        'log.retention.ms': -1,
        ...settings,
      },
    });
    return new KafkaCluster(server, link);
  }

  /** Where to connect, through the link. */
  get bootstrap() {
    return [{ host: '127.0.0.1', port: this.link.port }];
  }

  async createTopic(
    partitions = 1,
    configs: Readonly<Record<string, string>> = {},
    name = `topic-${(this.#topics += 1)}`,
  ): Promise<string> {
    await this.admin.createTopics({
      topics: [name],
      partitions,
      replicas: 1,
      configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
    });
    // The library's producer sends everything again when one partition is not led yet: events would be there twice.
    const all = Array.from({ length: partitions }, (_, partitionIndex) => ({
      partitionIndex,
      timestamp: -1n,
    }));
    await eventually(`the topic ${name}`, () =>
      this.admin.listOffsets({ topics: [{ name, partitions: all }] }).then(
        () => true,
        () => false,
      ),
    );
    return name;
  }

  async send(topic: string, messages: readonly TestRecord[]): Promise<void> {
    await this.producer.send({ messages: messages.map((each) => toMessage(topic, each)) });
  }

  async close(): Promise<void> {
    await this.producer.close();
    await this.admin.close();
    await this.link.close();
    await this.server.stop();
  }
}

interface TestRecord {
  value: string | Buffer | null;
  key?: string | Buffer;
  headers?: Readonly<Record<string, string | Buffer>>;
  partition?: number;
  /** Epoch milliseconds. */
  timestamp?: number;
}

export function toMessage(
  topic: string,
  { value, key, headers, partition = 0, timestamp }: TestRecord,
): MessageToProduce {
  return {
    topic,
    partition,
    ...(value === null ? {} : { value: Buffer.from(value) }),
    ...(key === undefined ? {} : { key: Buffer.from(key) }),
    ...(timestamp === undefined ? {} : { timestamp: BigInt(timestamp) }),
    ...(headers
      ? {
          headers: new Map(
            Object.entries(headers).map(([name, content]) => [Buffer.from(name), Buffer.from(content)]),
          ),
        }
      : {}),
  };
}
