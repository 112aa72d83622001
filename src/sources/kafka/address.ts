/** Where a topic is, as `kafka://host:9092,host2:9092/topic` says it. Pure: workflows read settings too. */
export interface KafkaAddress {
  /** Brokers to ask first; they name the others. `host:port` each. */
  bootstrap: { host: string; port: number }[];
  topic: string;
}

const DEFAULT_PORT = 9092;

/** What Kafka takes for a topic's name (org.apache.kafka.common.internals.Topic). */
const TOPIC = /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/;

export function isKafkaUrl(url: string): boolean {
  return /^kafka:/i.test(url);
}

/**
 * @throws Error whose message is the rule that `url` breaks
 */
export function parseKafkaUrl(url: string): KafkaAddress {
  const [, brokers = '', topic = ''] = /^kafka:\/\/([^/?#]+)\/([^/?#]+)$/i.exec(url) ?? [];
  if (brokers.includes('@')) {
    // It would stand in every workflow history.
    throw new Error(
      'must not hold a user name or password: workers have them in SLUICE_KAFKA_SASL_USERNAME and SLUICE_KAFKA_SASL_PASSWORD',
    );
  }
  const bootstrap = parseBrokers(brokers);
  if (!TOPIC.test(topic) || !bootstrap) {
    throw new Error('must be brokers and one topic, such as kafka://host:9092,host2:9092/topic');
  }
  return { bootstrap, topic };
}

/** @returns those of `host:9092,host2`; undefined where one of them is no address */
export function parseBrokers(text: string): KafkaAddress['bootstrap'] | undefined {
  const brokers = text.split(',').map((each) => brokerOf(each.trim()));
  return brokers.every((broker) => broker !== undefined) ? brokers : undefined;
}

function brokerOf(text: string): { host: string; port: number } | undefined {
  const [, name, address, digits = String(DEFAULT_PORT)] =
    /^(?:([\w.-]+)|\[([0-9a-f:.]+)\])(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = name ?? address;
  const port = Number(digits);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

/** Whether a cursor of one means the same in the other: brokers come and go, the topic stays. */
export function isSameStream(one: string, other: string): boolean {
  if (!isKafkaUrl(one) || !isKafkaUrl(other)) return one === other;
  return parseKafkaUrl(one).topic === parseKafkaUrl(other).topic;
}

/** `0:1500,1:99`: the offset of the first record wanted, by partition. */
export function parseOffsets(text: string): Record<string, number> {
  const offsets: Record<string, number> = {};
  for (const pair of text.split(',')) {
    const [, partition = '', digits = ''] = /^\s*(\d{1,6}):(\d{1,16})\s*$/.exec(pair) ?? [];
    const offset = Number(digits);
    if (digits === '' || !Number.isSafeInteger(offset)) {
      throw new Error('must be partition:offset pairs joined by commas, such as 0:1500,1:99');
    }
    if (offsets[Number(partition)] !== undefined) throw new Error(`must name partition ${partition} once`);
    offsets[Number(partition)] = offset;
  }
  return offsets;
}

/** What {@link parseOffsets} reads. */
export function printOffsets(offsets: Record<string, number>): string {
  return Object.entries(offsets)
    .map(([partition, offset]) => `${partition}:${offset}`)
    .join(',');
}
