import {
  apiVersionsV3,
  Connection,
  type ConnectionOptions,
  createAPI,
  fetchV12,
  findCoordinatorV4,
  listOffsetsV6,
  metadataV9,
  offsetCommitV8,
  offsetForLeaderEpochV4,
  type Reader,
  ResponseError,
} from '@platformatic/kafka';
import type { AbortedTransaction } from './batches';
import type { KafkaAddress } from './address';
import type { EpochEnd } from './epochs';

/** Host and port of a broker. */
export type Address = KafkaAddress['bootstrap'][number];

/** How to prove who we are, and how to tell that a broker is who it says. Of a worker: none of it reaches a workflow. */
export type KafkaSecurity = Pick<ConnectionOptions, 'tls' | 'sasl'>;

/** Error codes of the Kafka protocol that mean something here; the numbers are the protocol's. */
export const CODES = {
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  topicAuthorizationFailed: 29,
  saslAuthenticationFailed: 58,
} as const;

/** What a fetch brought of one partition. */
export interface FetchedPartition {
  partition: number;
  errorCode: number;
  abortedTransactions: AbortedTransaction[];
  /** Record batches as stored; empty where there is nothing new. */
  batches: Buffer;
}

export interface Wanted {
  partition: number;
  offset: number;
  /** Of the leader that is asked: another one refuses. -1: any may answer. */
  leaderEpoch: number;
}

export interface TopicPartition {
  partition: number;
  /** -1 while there is none. */
  leader: number;
  /** Counts the leaders of the partition; -1 where brokers do not. */
  leaderEpoch: number;
}

/** A question to a leader: where its log ends an epoch. */
export interface AskedEpoch {
  partition: number;
  /** Of the leader that is asked. */
  leaderEpoch: number;
  epoch: number;
}

export interface AnsweredEpoch extends EpochEnd {
  partition: number;
  errorCode: number;
}

/** What a source asks a cluster. */
export type Cluster = Pick<
  Brokers,
  'partitionsOf' | 'offsetsAt' | 'endsOfEpochs' | 'fetch' | 'commit' | 'drop' | 'close'
>;

export interface BrokersOptions extends KafkaSecurity {
  bootstrap: readonly Address[];
  clientId: string;
  /** Milliseconds for a connection to come about, and for an answer beyond what the broker was asked to wait. */
  timeoutMs: number;
}

/** Milliseconds for which a broker waits for the first new byte. */
const FETCH_WAIT_MS = 500;

/** Records of transactions that are not committed are not handed out. */
const READ_COMMITTED = 1;

/** Below Kafka 2.7 there is no such fetch; Kafka 4 still answers it. It names topics, as ids would need newer brokers. */
const fetchRaw = createAPI<Parameters<typeof fetchV12.createRequest>, FetchedPartition[]>(
  fetchV12.api.key,
  fetchV12.api.version,
  fetchV12.createRequest,
  parseFetch,
);

/** The library takes the error code of an answer for its partition. */
const epochEnds = createAPI<Parameters<typeof offsetForLeaderEpochV4.createRequest>, AnsweredEpoch[]>(
  offsetForLeaderEpochV4.api.key,
  offsetForLeaderEpochV4.api.version,
  offsetForLeaderEpochV4.createRequest,
  parseEpochEnds,
);

/**
 * Connections to a cluster, one for each broker, and the requests that a source needs. The library's Consumer is passed over on
 * purpose: it can't be without a group, checks no checksums, and ends for good at some errors that pass.
 */
export class Brokers {
  readonly #options: BrokersOptions;
  readonly #connections = new Map<string, { connection: Connection; ready: Promise<void> }>();
  readonly #addresses = new Map<number, Address>();
  /** Whether a broker can be asked for the ends of epochs. */
  readonly #knowing = new WeakMap<Connection, boolean>();
  #closed = false;

  constructor(options: BrokersOptions) {
    this.#options = options;
  }

  /**
   * Where the partitions of a topic are now, asked of the first broker that answers.
   *
   * @throws the last broker's error; see {@link codesOf}
   */
  async partitionsOf(topic: string): Promise<TopicPartition[]> {
    const { brokers, topics } = await this.#ofAny(async (connection) => {
      try {
        return await metadataV9.api.async(connection, [topic], false, false);
      } catch (error) {
        // One partition without a leader is no reason to know nothing of the others.
        const response = responseIn(error) as metadataV9.MetadataResponse | undefined;
        if (response?.topics[0]?.errorCode === 0) return response;
        throw error;
      }
    });
    for (const { nodeId, host, port } of brokers) this.#addresses.set(nodeId, { host, port });
    return (topics[0]?.partitions ?? [])
      .map(({ partitionIndex: partition, leaderId: leader, leaderEpoch }) => ({
        partition,
        leader,
        leaderEpoch,
      }))
      .sort((one, other) => one.partition - other.partition);
  }

  /**
   * @param timestamp epoch milliseconds; -1 for the end, -2 for the beginning
   * @returns by partition the first offset of a record that is not older; -1 where there is none
   */
  async offsetsAt(
    leader: number,
    topic: string,
    partitions: readonly number[],
    timestamp: number,
  ): Promise<Map<number, number>> {
    const connection = await this.#to(leader);
    const asked = partitions.map((partitionIndex) => ({
      partitionIndex,
      currentLeaderEpoch: -1,
      timestamp: BigInt(timestamp),
    }));
    const { topics } = await listOffsetsV6.api.async(connection, -1, READ_COMMITTED, [
      { name: topic, partitions: asked },
    ]);
    return new Map(
      topics.flatMap(({ partitions }) =>
        partitions.map(({ partitionIndex, offset }) => [partitionIndex, Number(offset)] as const),
      ),
    );
  }

  /** @returns undefined where this broker can't be asked, as what only speaks Kafka's protocol may not know the question */
  async endsOfEpochs(
    leader: number,
    topic: string,
    asked: readonly AskedEpoch[],
  ): Promise<AnsweredEpoch[] | undefined> {
    const connection = await this.#to(leader);
    if (!(await this.#knowsEpochs(connection))) return undefined;
    const partitions = asked.map(({ partition, leaderEpoch, epoch }) => ({
      partitionIndex: partition,
      currentLeaderEpoch: leaderEpoch,
      leaderEpoch: epoch,
    }));
    return await epochEnds.async(connection, -1, [{ name: topic, partitions }]);
  }

  async #knowsEpochs(connection: Connection): Promise<boolean> {
    const known = this.#knowing.get(connection);
    if (known !== undefined) return known;
    const { apiKeys } = await apiVersionsV3.api.async(connection, this.#options.clientId, '1');
    const { key, version } = offsetForLeaderEpochV4.api;
    const knows = apiKeys.some(
      ({ apiKey, minVersion, maxVersion }) =>
        apiKey === key && minVersion <= version && version <= maxVersion,
    );
    this.#knowing.set(connection, knows);
    return knows;
  }

  /** @param maxBytes of the answer; a broker gives one batch in any case, however large */
  async fetch(
    leader: number,
    topic: string,
    wanted: readonly Wanted[],
    maxBytes: number,
  ): Promise<FetchedPartition[]> {
    const connection = await this.#to(leader);
    const partitions = wanted.map(({ partition, offset, leaderEpoch }) => ({
      partition,
      currentLeaderEpoch: leaderEpoch,
      fetchOffset: BigInt(offset),
      lastFetchedEpoch: -1,
      partitionMaxBytes: maxBytes,
    }));
    const topics = [{ topicId: topic, partitions }];
    return await fetchRaw.async(
      connection,
      FETCH_WAIT_MS,
      1,
      maxBytes,
      READ_COMMITTED,
      0,
      -1,
      topics,
      [],
      '',
    );
  }

  /** For Kafka's own tools, which show the lag of a group: nothing here reads it back. */
  async commit(group: string, topic: string, offsets: ReadonlyMap<number, number>): Promise<void> {
    const found = await this.#ofAny((connection) => findCoordinatorV4.api.async(connection, 0, [group]));
    const [coordinator] = found.coordinators;
    if (!coordinator) return;
    const connection = await this.#connect(coordinator);
    const partitions = [...offsets].map(([partitionIndex, offset]) => ({
      partitionIndex,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: -1,
    }));
    // Generation -1 and no member: a group that only keeps offsets.
    await offsetCommitV8.api.async(connection, group, -1, '', null, [{ name: topic, partitions }]);
  }

  /** The next request to this broker connects anew. */
  drop(leader: number): void {
    const address = this.#addresses.get(leader);
    if (address) this.#dropAt(address);
  }

  /** At once: what is under way fails. */
  close(): void {
    this.#closed = true;
    for (const { connection } of this.#connections.values()) end(connection);
    this.#connections.clear();
  }

  /** @throws the last one's error when none answers */
  async #ofAny<T>(request: (connection: Connection) => Promise<T>): Promise<T> {
    let problem: unknown = new Error('no broker is known');
    for (const address of [...this.#options.bootstrap, ...this.#addresses.values()]) {
      try {
        return await request(await this.#connect(address));
      } catch (error) {
        problem = error;
        // An answer, though not the one hoped for, comes from a connection that works.
        if (codesOf(error).length > 0) throw error;
        this.#dropAt(address);
        if (this.#closed) break;
      }
    }
    throw problem;
  }

  async #to(leader: number): Promise<Connection> {
    const address = this.#addresses.get(leader);
    if (!address) throw new Error(`broker ${leader} is not known`);
    return await this.#connect(address);
  }

  async #connect(address: Address): Promise<Connection> {
    const key = `${address.host}:${address.port}`;
    const known = this.#connections.get(key);
    if (known?.connection.isConnected()) return known.connection;
    if (known && isUnderWay(known.connection)) return await known.ready.then(() => known.connection);
    if (this.#closed) throw new Error('the connections are closed');
    const { clientId, timeoutMs, tls, sasl } = this.#options;
    const connection = new Connection(clientId, {
      connectTimeout: timeoutMs,
      requestTimeout: timeoutMs + FETCH_WAIT_MS,
      ...(tls ? { tls } : {}),
      ...(sasl ? { sasl } : {}),
    });
    // What fails is told to who asked. An `error` that nobody hears would end the process.
    connection.on('error', () => {});
    const ready = Promise.resolve(connection.connect(address.host, address.port));
    this.#connections.set(key, { connection, ready });
    try {
      await ready;
      return connection;
    } catch (error) {
      end(connection);
      if (this.#connections.get(key)?.connection === connection) this.#connections.delete(key);
      throw error;
    }
  }

  #dropAt({ host, port }: Address): void {
    const key = `${host}:${port}`;
    const known = this.#connections.get(key);
    if (known) end(known.connection);
    this.#connections.delete(key);
  }
}

/** The protocol's error codes in what a request failed with; none where it was not answered. */
export function codesOf(error: unknown): number[] {
  return chainOf(error).flatMap((link) =>
    'apiCode' in link && typeof link.apiCode === 'number' ? [link.apiCode] : [],
  );
}

/** Whether a broker did not take our credentials. */
export function isRefusedLogin(error: unknown): boolean {
  return chainOf(error).some((link) => 'code' in link && link.code === 'PLT_KFK_AUTHENTICATION');
}

/** The innermost words: the library wraps what happened several times. */
export function causeOf(error: unknown): string {
  return chainOf(error).at(-1)?.message ?? String(error);
}

/** An error, and all that it was caused by or consists of. */
function chainOf(error: unknown): Error[] {
  if (!(error instanceof Error)) return [];
  const parts = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  return [error, ...[...parts, error.cause].flatMap(chainOf)];
}

/** What was answered, where the library finds an error in a part of it. */
function responseIn(error: unknown): unknown {
  return error instanceof ResponseError && 'response' in error ? error.response : undefined;
}

function isUnderWay({ status }: Connection): boolean {
  return status === 'connecting' || status === 'authenticating' || status === 'reauthenticating';
}

/** The socket is destroyed with an error, since the library waits for a connection that just ends until its timeout. */
function end(connection: Connection): void {
  const { socket } = connection as { socket?: Connection['socket'] };
  socket?.on('error', () => {});
  socket?.destroy(new Error('the connection was given up'));
}

/**
 * Fetch response v12. The library's parser decodes the records too, and fails as a whole for what one partition answered.
 * Tagged fields are read here by their sizes.
 */
function parseFetch(_correlationId: number, apiKey: number, apiVersion: number, reader: Reader) {
  reader.readInt32(); // The time for which the broker throttled us.
  const errorCode = reader.readInt16();
  if (errorCode !== 0) throw new ResponseError(apiKey, apiVersion, { '/': [errorCode, null] }, undefined);
  reader.readInt32(); // The session: none.
  return readTopics(reader, readPartition);
}

/** OffsetForLeaderEpoch response v4. */
function parseEpochEnds(_correlationId: number, _apiKey: number, _apiVersion: number, reader: Reader) {
  reader.readInt32(); // The time for which the broker throttled us.
  return readTopics(reader, readEpochEnd);
}

/** What an answer says of partitions, of all its topics: those that were asked for, which is one. */
function readTopics<T>(reader: Reader, readPart: (ofPartition: Reader) => T): T[] {
  const topics = reader.readArray(
    (ofTopic) => {
      ofTopic.readString();
      const partitions = ofTopic.readArray(readPart, true, false);
      skipTags(ofTopic);
      return partitions;
    },
    true,
    false,
  );
  return topics.flat();
}

function readEpochEnd(reader: Reader): AnsweredEpoch {
  const errorCode = reader.readInt16();
  const partition = reader.readInt32();
  const epoch = reader.readInt32();
  const offset = Number(reader.readInt64());
  skipTags(reader);
  return { partition, errorCode, epoch, offset };
}

function readPartition(reader: Reader): FetchedPartition {
  const partition = reader.readInt32();
  const errorCode = reader.readInt16();
  reader.skip(3 * 8); // High watermark, last stable offset, beginning of the log.
  const abortedTransactions = reader.readArray(
    (ofTransaction) => {
      const producerId = ofTransaction.readInt64();
      const firstOffset = ofTransaction.readInt64();
      skipTags(ofTransaction);
      return { producerId, firstOffset };
    },
    true,
    false,
  );
  reader.readInt32(); // A replica that would be nearer.
  const size = Math.max(0, reader.readUnsignedVarInt() - 1);
  const batches = reader.buffer.slice(reader.position, reader.position + size);
  reader.skip(size);
  skipTags(reader);
  return { partition, errorCode, abortedTransactions, batches };
}

function skipTags(reader: Reader): void {
  for (let count = reader.readUnsignedVarInt(); count > 0; count -= 1) {
    reader.readUnsignedVarInt(); // Which one.
    reader.skip(reader.readUnsignedVarInt());
  }
}
