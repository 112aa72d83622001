import { setTimeout as delay } from 'node:timers/promises';
import { backoffMs, jittered } from '../../backoff';
import type { AfterLoss } from '../../pipeline/definition';
import { type Cursor, LARGEST_LOG_POSITIONS, type OffsetPosition, type Position } from '../cursor';
import { partitionName } from '../../event/place';
import { type OnReconnect, type Source, type SourceEvent, type SourceMark, SourceRefused } from '../source';
import type { KafkaAddress } from './address';
import { type LogPiece, type LogRecord, readBatches, UnreadableBatch } from './batches';
import {
  type AnsweredEpoch,
  type AskedEpoch,
  Brokers,
  type BrokersOptions,
  causeOf,
  type Cluster,
  CODES,
  codesOf,
  type FetchedPartition,
  isRefusedLogin,
  type KafkaSecurity,
  type TopicPartition,
  type Wanted,
} from './brokers';
import { EventBuffer } from '../buffer';
import { cutOff, judged, type LogMemory, newestEpoch, remembered } from './epochs';
import { eventOf } from './event';
import { Gate } from '../gate';

export interface KafkaOptions extends KafkaAddress, KafkaSecurity {
  /** Where payloads have their key: names of members joined by dots. Default: topic, partition and offset are the key. */
  keyPath?: string;
  /** First offsets wanted, by partition. Default, and for the other partitions: where the cursor's `since` says. */
  offsets?: Readonly<Record<string, number>>;
  /** What to do where records were deleted before they were read, or replaced after it. Default: `stop`, which refuses. */
  afterLoss?: AfterLoss;
  /** Consumer group under which confirmed offsets are committed. Default: none. */
  group?: string;
  /** Milliseconds without an answer after which a broker counts as dead. */
  silenceMs?: number;
  /** First wait, in milliseconds, after a failed request; doubled for each further one, to ten seconds at most. */
  backoffMs?: number;
  /** Milliseconds between looks for new partitions. */
  refreshMs?: number;
  /** Called at each reconnect. */
  onReconnect?: OnReconnect;
  /** Default: connections to the brokers. */
  connect?: (options: BrokersOptions) => Cluster;
}

/** Since when a partition is read, in ListOffsets. */
const EARLIEST = -2;
const LATEST = -1;

/** Bytes of one answer, as stored: what they unpack to is read in pieces. A broker exceeds it only for a single batch that is larger. */
const FETCH_BYTES = 1024 * 1024;

/** Bytes of records that wait to be taken, before nothing more is asked for. */
const BUFFER_BYTES = 4 * 1024 * 1024;

/** What a record takes beside key and value, about. */
const RECORD_BYTES = 200;

const LONGEST_WAIT_MS = 10_000;

/** A broker that has just started may not know a topic yet. */
const UNKNOWN_TOPIC_TRIES = 5;

/** A broker that is cut off from the others may name an earlier leader for as long. */
const EARLIER_LEADER_TRIES = 10;

const COMMIT_MS = 5_000;

/** Not an answer of the broker's group coordinator that passes by itself. */
const GROUP_AUTHORIZATION_FAILED = 30;

/**
 * A topic of Apache Kafka 2.7 or later, or of what speaks its protocol. The cursor is the next offset of every partition: no
 * group assigns partitions, so that nothing but the cursor decides what is read.
 */
export function kafkaSource(options: KafkaOptions): Source {
  return {
    read: (resumeFrom, signal) => new Reading(options, resumeFrom, signal).events(),
  };
}

/** One partition, as far as it was read from its broker. */
interface Progress {
  /** The offset to ask for. */
  next: number;
  /** The offset after the last record: up to here we know which offsets hold a record. */
  known: number;
  /** The broker to ask; -1 while it is not known. */
  leader: number;
  /** See {@link TopicPartition.leaderEpoch}. */
  leaderEpoch: number;
  /** Whether this leader has what was read: nothing is read from it before. */
  isChecked: boolean;
  /** Of what was read up to `next`. */
  memory: LogMemory;
}

interface Waiting {
  partition: number;
  record: LogRecord;
  from: number;
  memory: LogMemory;
}

/** A partition is led in an epoch before one in which it was read. */
class EarlierLeader extends Error {}

/** One reader of a topic: a loop that follows the partitions about the cluster, and one loop for each broker that leads some. */
class Reading {
  readonly #options: Required<Omit<KafkaOptions, 'tls' | 'sasl' | 'group' | 'connect'>> & { group?: string };
  readonly #resumeFrom: () => Cursor;
  readonly #stop: AbortController;
  readonly #brokers: Cluster;
  readonly #partitions = new Map<number, Progress>();
  readonly #asked = new Set<number>();
  /** Marks and records, in the order in which they are given: where a partition begins is stated before its first record. */
  readonly #buffer = new EventBuffer<Waiting | SourceMark>({ bytes: BUFFER_BYTES });
  #begun = false;
  readonly #refreshes = new Gate();

  constructor(options: KafkaOptions, resumeFrom: () => Cursor, signal: AbortSignal) {
    this.#options = {
      keyPath: '',
      offsets: {},
      afterLoss: 'stop',
      silenceMs: 30_000,
      backoffMs: 250,
      refreshMs: 30_000,
      onReconnect: () => {},
      ...options,
    };
    this.#resumeFrom = resumeFrom;
    this.#stop = new AbortController();
    if (signal.aborted) this.#stop.abort();
    else
      signal.addEventListener('abort', () => this.#stop.abort(), { once: true, signal: this.#stop.signal });
    const { bootstrap, silenceMs, tls, sasl } = { ...options, ...this.#options };
    const { connect = (to) => new Brokers(to) } = options;
    this.#brokers = connect({
      bootstrap,
      clientId: 'sluice',
      timeoutMs: silenceMs,
      ...(tls ? { tls } : {}),
      ...(sasl ? { sasl } : {}),
    });
    this.#stop.signal.addEventListener('abort', () => this.#brokers.close());
  }

  async *events(): AsyncGenerator<SourceEvent | SourceMark> {
    const { signal } = this.#stop;
    try {
      if (signal.aborted) return;
      this.#start(() => this.#follow());
      if (this.#options.group !== undefined) this.#start(() => this.#commit(this.#options.group ?? ''));
      for await (const waiting of this.#buffer.read(signal)) {
        yield 'mark' in waiting ? waiting : this.#eventOf(waiting);
      }
    } finally {
      this.#stop.abort();
      this.#buffer.clear();
    }
  }

  /** Called when a record is taken: records wait as bytes. */
  #eventOf({ record, partition, from, memory }: Waiting): SourceEvent {
    const { topic, keyPath } = this.#options;
    return eventOf(record, { topic, partition, from, keyPath, memory });
  }

  /** A loop that fails ends the reading, once the reader has taken all that waits. */
  #start(loop: () => Promise<void>): void {
    loop().catch((error: unknown) => {
      if (this.#stop.signal.aborted) return;
      this.#buffer.fail(error instanceof Error ? error : new Error(String(error)));
    });
  }

  /** Finds the partitions and their leaders, again and again: at once when a leader is no longer one. */
  async #follow(): Promise<void> {
    let failures = 0;
    let unknown = 0;
    let earlier = 0;
    while (!this.#isOver()) {
      try {
        await this.#refresh();
        failures = 0;
        unknown = 0;
        earlier = 0;
      } catch (error) {
        if (this.#isOver()) return;
        if (error instanceof SourceRefused) throw error;
        earlier = error instanceof EarlierLeader ? earlier + 1 : 0;
        if (earlier >= EARLIER_LEADER_TRIES) throw createdAnew(causeOf(error));
        unknown = codesOf(error).includes(CODES.unknownTopicOrPartition) ? unknown + 1 : 0;
        if (unknown >= UNKNOWN_TOPIC_TRIES)
          throw this.#refused(`has no topic ${this.#options.topic}`, MISSING);
        this.#failed(error);
        failures += 1;
        await this.#wait(failures);
        continue;
      }
      this.#refreshes.close();
      if ([...this.#partitions.values()].some(({ leader }) => leader < 0)) await this.#wait(1);
      else await this.#refreshes.passed(this.#stop.signal, this.#options.refreshMs);
    }
  }

  async #refresh(): Promise<void> {
    const found = await this.#brokers.partitionsOf(this.#options.topic);
    this.#requireRoomInCursor(found);
    await this.#begin(found.filter(({ partition }) => !this.#partitions.has(partition)));
    for (const { partition, leader, leaderEpoch } of found) {
      const progress = this.#partitions.get(partition);
      if (!progress) continue;
      if (leaderEpoch !== progress.leaderEpoch) Object.assign(progress, { leaderEpoch, isChecked: false });
      progress.leader = leader;
    }
    const leaders = [...new Set(found.map(({ leader }) => leader))].filter((leader) => leader >= 0);
    const problems = await Promise.all(leaders.map((leader) => this.#lookAt(leader)));
    for (const problem of problems) if (problem !== undefined) throw problem;
  }

  /** Reads from a leader what it turns out to have. @returns what kept it from that for some partitions */
  async #lookAt(leader: number): Promise<unknown> {
    let problem: unknown;
    try {
      await this.#check(leader);
    } catch (error) {
      if (error instanceof SourceRefused) throw error;
      problem = error;
    }
    if (!this.#asked.has(leader)) {
      this.#asked.add(leader);
      this.#start(() => this.#fetchFrom(leader));
    }
    return problem;
  }

  /**
   * Whether a leader still has what was read. Fetches state the leader's epoch, so that no other leader answers them: what it has now
   * it has then.
   *
   * @throws SourceRefused where it has not, unless the reading is to go on behind what it has
   */
  async #check(leader: number): Promise<void> {
    const problems: Error[] = [];
    let asked = this.#questionsTo(leader, problems);
    while (asked.length > 0) {
      const answers = await this.#brokers.endsOfEpochs(leader, this.#options.topic, asked);
      asked = asked.flatMap((each) => this.#heardEnd(leader, each, answers, problems));
    }
    for (const problem of problems) throw problem;
  }

  #questionsTo(leader: number, problems: Error[]): AskedEpoch[] {
    const questions: AskedEpoch[] = [];
    for (const [partition, progress] of this.#partitions) {
      if (progress.leader !== leader || progress.isChecked) continue;
      const { leaderEpoch, memory } = progress;
      const epoch = newestEpoch(memory);
      if (epoch === undefined || leaderEpoch < 0) progress.isChecked = true;
      else if (epoch <= leaderEpoch) questions.push({ partition, leaderEpoch, epoch });
      else {
        const name = partitionName(this.#options.topic, partition);
        problems.push(
          new EarlierLeader(
            `${name} has a leader of epoch ${leaderEpoch}, and was read in epoch ${epoch} before`,
          ),
        );
      }
    }
    return questions;
  }

  /** @returns what to ask next of this partition */
  #heardEnd(
    leader: number,
    asked: AskedEpoch,
    answers: readonly AnsweredEpoch[] | undefined,
    problems: Error[],
  ): AskedEpoch[] {
    const { partition, epoch } = asked;
    const name = partitionName(this.#options.topic, partition);
    const progress = this.#partitions.get(partition);
    const answer = answers?.find((each) => each.partition === partition);
    if (!progress) return [];
    if (answers && !answer) {
      problems.push(new Error(`${name}: broker ${leader} does not say where epoch ${epoch} ends`));
      return [];
    }
    if (answer && answer.errorCode !== 0) {
      if (answer.errorCode === CODES.topicAuthorizationFailed) throw this.#notAllowed();
      problems.push(new Error(`${name}: error ${answer.errorCode} of broker ${leader}`));
      return [];
    }
    const judgement = answer ? judged({ ...progress.memory, next: progress.next }, epoch, answer) : undefined;
    if (judgement?.is === 'ask') return [{ ...asked, epoch: judgement.epoch }];
    if (judgement?.is === 'unknown') {
      throw createdAnew(`${name} has nothing of epoch ${epoch}, in which it was read before`);
    }
    if (judgement?.is === 'cut') {
      // An election begins another epoch.
      if (asked.leaderEpoch === newestEpoch(progress.memory))
        throw createdAnew(endsBefore(name, judgement.at, progress));
      this.#goBack(name, progress, judgement);
    }
    progress.isChecked = true;
    return [];
  }

  /** The leader's log ends, or goes on otherwise, before the end of what was read of it. */
  #goBack(name: string, progress: Progress, { at, isExact }: { at: number; isExact: boolean }): void {
    const { next, memory } = progress;
    const replaced =
      `${next - at} offsets of ${name} (${at} to ${next - 1}) hold other records than those that were read there, or none` +
      `${isExact ? '' : ', and maybe some before them, too'}: the log lost its end, as in an unclean leader election`;
    if (this.#options.afterLoss === 'stop') {
      throw new SourceRefused(
        `${replaced}. What was read stays in the lake. To read what is there now, update with SLUICE_SOURCE_LOSS=continue`,
        { isFinal: true },
      );
    }
    this.#options.onReconnect('replaced', replaced);
    progress.memory = cutOff(memory, at);
    progress.next = at;
    progress.known = at;
    this.#buffer.put({ mark: { [name]: positionOf(progress) } }, 0);
  }

  /** A cursor that left partitions out would begin them anew each time. */
  #requireRoomInCursor(found: readonly TopicPartition[]): void {
    const { topic } = this.#options;
    const largest = found.map(({ partition }) => [partitionName(topic, partition), LARGE_POSITION]);
    const bytes = JSON.stringify(Object.fromEntries(largest)).length;
    if (bytes <= LARGEST_LOG_POSITIONS) return;
    const most = Math.floor((found.length * LARGEST_LOG_POSITIONS) / bytes);
    throw this.#refused(
      `has ${found.length} partitions in the topic ${topic}, and a cursor holds the positions of ${most}`,
      'read a topic with fewer partitions, or one with a shorter name',
    );
  }

  /**
   * Where partitions begin that are not read yet. The cursor knows, or says since when; a partition that came to a topic that is
   * being read is new, and begins at its beginning. What is decided here is marked in the cursor, so that it is decided once.
   */
  async #begin(partitions: readonly TopicPartition[]): Promise<void> {
    if (partitions.length === 0) return;
    const { positions, since } = this.#resumeFrom();
    const nameOf = ({ partition }: TopicPartition) => partitionName(this.#options.topic, partition);
    const starts = new Map<number, OffsetPosition>();
    for (const each of partitions) {
      const position = positions[nameOf(each)];
      if (position && 'offset' in position) starts.set(each.partition, position);
    }
    const rest = partitions.filter(({ partition }) => !starts.has(partition));
    if (rest.some(({ leader }) => leader < 0))
      throw new Error(`${rest.map(nameOf).join(', ')} have no leader`);
    const isFirst = !this.#begun && starts.size === 0;
    // Where the first records of a new one are gone already, asking for them tells.
    const found = isFirst
      ? await this.#startsSince(rest, since)
      : new Map(rest.map(({ partition }) => [partition, 0]));
    for (const [partition, offset] of found) starts.set(partition, { offset });
    for (const { partition } of partitions) {
      const start = starts.get(partition);
      if (start === undefined) throw new Error(`no offset was given for partition ${partition}`);
      this.#partitions.set(partition, begunAt(start));
    }
    this.#begun = true;
    const mark = rest.map((each) => [nameOf(each), { offset: starts.get(each.partition)?.offset ?? 0 }]);
    if (mark.length > 0) this.#buffer.put({ mark: Object.fromEntries(mark) as SourceMark['mark'] }, 0);
  }

  async #startsSince(partitions: readonly TopicPartition[], since: number): Promise<Map<number, number>> {
    // The end first: an event that is published between the two answers is wanted.
    const ends = await this.#offsetsAt(partitions, LATEST);
    const found = await this.#offsetsAt(partitions, since === 0 ? EARLIEST : since);
    return new Map(
      [...ends].map(([partition, end]) => {
        const start = atLeastZero(found.get(partition)) ?? end;
        return [partition, this.#given(partition, end) ?? start];
      }),
    );
  }

  /** @throws SourceRefused before the cursor has it, for one that was never there: then it can still be corrected */
  #given(partition: number, end: number): number | undefined {
    const offset = this.#options.offsets[partition];
    if (offset === undefined || offset <= end) return offset;
    throw new SourceRefused(
      `${partitionName(this.#options.topic, partition)} ends at offset ${end}, and SLUICE_SOURCE_OFFSETS wants it from ${offset} on: ` +
        'correct it, and `sluice update`',
    );
  }

  async #offsetsAt(
    partitions: readonly Pick<TopicPartition, 'partition' | 'leader'>[],
    time: number,
  ): Promise<Map<number, number>> {
    const { topic } = this.#options;
    const leaders = [...new Set(partitions.map(({ leader }) => leader))];
    const found = await Promise.all(
      leaders.map((leader) => {
        const led = partitions.filter((each) => each.leader === leader).map(({ partition }) => partition);
        return this.#brokers.offsetsAt(leader, topic, led, time);
      }),
    );
    return new Map(found.flatMap((offsets) => [...offsets]));
  }

  /** Until it leads no partition any more. */
  async #fetchFrom(leader: number): Promise<void> {
    let failures = 0;
    let turn = 0;
    for (;;) {
      await this.#buffer.room(this.#stop.signal);
      const wanted = [...this.#partitions]
        .filter(([, progress]) => progress.leader === leader && progress.isChecked)
        .map(([partition, { next, leaderEpoch }]) => ({ partition, offset: next, leaderEpoch }));
      if (wanted.length === 0 || this.#isOver()) {
        this.#asked.delete(leader);
        return;
      }
      // A broker fills its answer in this order, and the first partitions could leave no room for the others.
      turn = (turn + 1) % wanted.length;
      const inTurn = [...wanted.slice(turn), ...wanted.slice(0, turn)];
      let answers: FetchedPartition[];
      try {
        answers = await this.#brokers.fetch(leader, this.#options.topic, inTurn, FETCH_BYTES);
        failures = 0;
      } catch (error) {
        if (this.#isOver()) return;
        this.#brokers.drop(leader);
        this.#failed(error);
        failures += 1;
        this.#refreshes.open();
        await this.#wait(failures);
        continue;
      }
      for (const answer of answers) {
        const asked = wanted.find(({ partition }) => partition === answer.partition);
        if (asked) await this.#receive(answer, { ...asked, leader });
      }
    }
  }

  async #receive(answer: FetchedPartition, asked: Wanted & { leader: number }): Promise<void> {
    const { leader } = asked;
    const progress = this.#partitions.get(answer.partition);
    if (!progress || !this.#isWanted(asked, progress)) return;
    if (answer.errorCode === 0) return await this.#keep(answer, asked, progress);
    if (answer.errorCode === CODES.offsetOutOfRange) return await this.#reposition(asked, progress);
    if (answer.errorCode === CODES.topicAuthorizationFailed) throw this.#notAllowed();
    // It moved, or is about to; or the broker can't read it, and may be able to later.
    const name = partitionName(this.#options.topic, answer.partition);
    this.#options.onReconnect('refused', `${name}: error ${answer.errorCode} of broker ${leader}`);
    progress.leader = -1;
    await this.#wait(2);
    this.#refreshes.open();
  }

  /** Whether what was asked is still what is to be read: meanwhile another leader may lead, or have brought it. */
  #isWanted({ offset, leaderEpoch }: Wanted, { next, ...progress }: Progress): boolean {
    return !this.#isOver() && offset === next && leaderEpoch === progress.leaderEpoch;
  }

  async #keep(answer: FetchedPartition, asked: Wanted, progress: Progress): Promise<void> {
    const { partition } = answer;
    let wanted = asked;
    for await (const piece of this.#piecesOf(answer, asked.offset)) {
      await this.#buffer.room(this.#stop.signal);
      if (!this.#isWanted(wanted, progress)) return;
      this.#take(partition, piece, progress);
      wanted = { ...wanted, offset: progress.next };
    }
    if (progress.next === asked.offset || progress.known === progress.next) return;
    // Else the cursor would stay before offsets that hold no record, and ask for them when they are long deleted.
    const name = partitionName(this.#options.topic, partition);
    const place = { partition: name, from: progress.known, offset: progress.next - 1 };
    this.#buffer.put({ mark: { [name]: positionOf(progress) }, place }, 0);
  }

  #take(partition: number, { records, next, epoch }: LogPiece, progress: Progress): void {
    progress.memory = remembered(progress.memory, epoch, progress.next);
    progress.next = next;
    const { memory } = progress;
    for (const record of records) {
      this.#buffer.put({ partition, record, from: progress.known, memory }, bytesOf(record));
      progress.known = record.offset + 1;
    }
  }

  async *#piecesOf(
    { partition, batches, abortedTransactions }: FetchedPartition,
    from: number,
  ): AsyncGenerator<LogPiece> {
    try {
      yield* readBatches(batches, from, abortedTransactions);
    } catch (error) {
      if (!(error instanceof UnreadableBatch)) throw error;
      throw new SourceRefused(
        `In ${partitionName(this.#options.topic, partition)} ${error.message}. Nothing after it is read until it can be, ` +
          'or is deleted (kafka-delete-records)',
      );
    }
  }

  /** The log no longer has, or never had, the offset that was asked for. */
  async #reposition(asked: Wanted & { leader: number }, progress: Progress): Promise<void> {
    const { topic, afterLoss } = this.#options;
    const name = partitionName(topic, asked.partition);
    let first: number | undefined;
    let end: number | undefined;
    try {
      first = (await this.#offsetsAt([asked], EARLIEST)).get(asked.partition);
      end = (await this.#offsetsAt([asked], LATEST)).get(asked.partition);
    } catch (error) {
      if (this.#isOver()) return;
      // The next fetch asks for the same offset again.
      this.#failed(error);
      await this.#wait(1);
      return;
    }
    if (first === undefined || end === undefined || !this.#isWanted(asked, progress)) return;
    if (progress.next > end) throw createdAnew(endsBefore(name, end, progress));
    if (progress.next >= first) return;
    const gone =
      `${first - progress.next} offsets of ${name} (${progress.next} to ${first - 1}) were deleted before they were read, ` +
      'by the retention of the topic or by a person';
    if (afterLoss === 'stop') {
      throw new SourceRefused(`${gone}. To go on at ${first}, update with SLUICE_SOURCE_LOSS=continue`);
    }
    this.#options.onReconnect('expired', gone);
    const { cuts } = progress.memory;
    // Where epochs begin that were not read is not known.
    Object.assign(progress, begunAt({ offset: first, ...(cuts === undefined ? {} : { cuts }) }), {
      leader: progress.leader,
      leaderEpoch: progress.leaderEpoch,
      isChecked: true,
    });
  }

  async #commit(group: string): Promise<void> {
    const { topic } = this.#options;
    let committed = '';
    while (!this.#isOver()) {
      await this.#pause(COMMIT_MS);
      const { positions } = this.#resumeFrom();
      const offsets = [...this.#partitions.keys()].flatMap((partition) => {
        const offset = offsetOf(positions[partitionName(topic, partition)]);
        return offset === undefined ? [] : [[partition, offset] as const];
      });
      const state = JSON.stringify(offsets);
      if (offsets.length === 0 || state === committed) continue;
      try {
        await this.#brokers.commit(group, topic, new Map(offsets));
        committed = state;
      } catch (error) {
        if (codesOf(error).includes(GROUP_AUTHORIZATION_FAILED)) {
          throw this.#refused(
            `does not let us commit to the group ${group}`,
            'allow it, or unset SLUICE_KAFKA_GROUP_ID',
          );
        }
        // For people to look at: the next one is as good.
      }
    }
  }

  /** Tells of a failure that may pass. @throws SourceRefused for one that won't */
  #failed(error: unknown): void {
    const says = causeOf(error);
    if (isRefusedLogin(error)) {
      throw this.#refused(
        `does not take the login (${says})`,
        'correct SLUICE_KAFKA_SASL_MECHANISM, SLUICE_KAFKA_SASL_USERNAME and SLUICE_KAFKA_SASL_PASSWORD of the workers',
      );
    }
    if (codesOf(error).includes(CODES.topicAuthorizationFailed)) throw this.#notAllowed();
    if (isUntrusted(error)) {
      throw this.#refused(
        `shows a certificate that is not trusted (${says})`,
        'set SLUICE_KAFKA_SSL_CA_LOCATION of the workers to the authority that signed it',
      );
    }
    const reason =
      codesOf(error).length > 0
        ? 'refused'
        : /timed out/i.test(says)
          ? 'silent'
          : /connection closed|ECONNRESET/i.test(says)
            ? 'closed'
            : 'unreachable';
    this.#options.onReconnect(reason, says);
  }

  #notAllowed(): SourceRefused {
    const { topic } = this.#options;
    return this.#refused(`does not let us read the topic ${topic}`, 'allow READ and DESCRIBE on it');
  }

  #refused(what: string, remedy: string): SourceRefused {
    const brokers = this.#options.bootstrap.map(({ host, port }) => `${host}:${port}`).join(',');
    return new SourceRefused(`kafka://${brokers} ${what}: ${remedy}`);
  }

  /** Exponential back-off with jitter. */
  async #wait(failures: number): Promise<void> {
    await this.#pause(
      jittered(backoffMs(failures, { first: this.#options.backoffMs, most: LONGEST_WAIT_MS })),
    );
  }

  async #pause(ms: number): Promise<void> {
    // Every caller looks at the signal next.
    await delay(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
  }

  #isOver(): boolean {
    return this.#stop.signal.aborted;
  }
}

const MISSING = 'correct SLUICE_SOURCE_URL, or create the topic';

/** What is left out, or read anew, only a person can tell. */
function createdAnew(what: string): SourceRefused {
  return new SourceRefused(
    `${what}: the topic was created anew, or lost its end, or these are the brokers of another cluster. Start a pipeline of another ` +
      'name for it; this one would leave out what is there now before the offset up to which it was read',
    { isFinal: true },
  );
}

function endsBefore(name: string, end: number, { next }: Progress): string {
  return `${name} ends at offset ${end}, and was read up to ${next} before`;
}

function begunAt({ offset, from = offset, epochs, cuts }: OffsetPosition): Progress {
  const memory = { ...(epochs === undefined ? {} : { epochs }), ...(cuts === undefined ? {} : { cuts }) };
  return { next: offset, known: from, leader: -1, leaderEpoch: -1, isChecked: false, memory };
}

function positionOf({ next, known, memory }: Progress): OffsetPosition {
  return { offset: next, ...(known === next ? {} : { from: known }), ...memory };
}

/** As large as they come in practice: ten trillion records, a million leaders. */
const LARGE_POSITION: OffsetPosition = {
  offset: 10 ** 13,
  from: 10 ** 13,
  epochs: [
    [10 ** 6, 10 ** 13],
    [10 ** 6, 10 ** 13],
    [10 ** 6, 10 ** 13],
  ],
  cuts: 100,
};

function offsetOf(position: Position | undefined): number | undefined {
  return position && 'offset' in position ? position.offset : undefined;
}

/** What a record takes in memory, about. */
function bytesOf({ key, value, headers }: LogRecord): number {
  const ofHeaders = headers.reduce(
    (sum, [name, content]) => sum + (name?.length ?? 0) + (content?.length ?? 0),
    0,
  );
  return (key?.length ?? 0) + (value?.length ?? 0) + ofHeaders + RECORD_BYTES * (1 + headers.length);
}

function atLeastZero(offset: number | undefined): number | undefined {
  return offset === undefined || offset < 0 ? undefined : offset;
}

/** OpenSSL's and Node's codes of a certificate that can't be trusted. */
function isUntrusted(error: unknown): boolean {
  for (let link = error; link instanceof Error; link = link.cause) {
    if ('code' in link && /CERT|SELF_SIGNED|UNABLE_TO_/.test(String(link.code))) return true;
  }
  return false;
}
