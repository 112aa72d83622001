import { setTimeout as delay } from 'node:timers/promises';
import type { AbortedTransaction } from '../../src/sources/kafka/batches';
import {
  type AnsweredEpoch,
  type AskedEpoch,
  type Cluster,
  CODES,
  type FetchedPartition,
  type TopicPartition,
  type Wanted,
} from '../../src/sources/kafka/brokers';
import { markerBatch, recordBatch } from './record-batch';

/** What stands at an offset of a log. `aborted`: a record of a transaction that `abort` ends. */
export type EntryKind = 'record' | 'aborted' | 'abort' | 'commit';

interface Entry {
  kind: EntryKind;
  text: string;
  epoch: number;
}

/** One replica of a partition. */
interface Log {
  /** The first offset that it still has. */
  start: number;
  entries: Entry[];
}

/** So many entries are answered at once, so that there are several answers. */
const ENTRIES_PER_FETCH = 4;

/** Of whoever writes what is aborted; all others write no transactions. */
const PRODUCER = 7n;

const NOT_LEADER = 6;
const FENCED_LEADER_EPOCH = 74;
const UNKNOWN_LEADER_EPOCH = 75;

/** One partition on two brokers, 0 and 1. The one that does not lead may follow, or be away and have another log one day. */
export class FakePartition {
  leader = 0;
  leaderEpoch = 0;
  /** Whether the other broker writes what the leader writes. */
  isFollowed = true;
  readonly #logs: [Log, Log] = [
    { start: 0, entries: [] },
    { start: 0, entries: [] },
  ];

  get end(): number {
    const { start, entries } = this.log;
    return start + entries.length;
  }

  get log(): Log {
    return this.#logs[this.leader === 0 ? 0 : 1];
  }

  get newestEpoch(): number | undefined {
    return this.log.entries.at(-1)?.epoch;
  }

  /** The payloads of records that count. */
  get texts(): string[] {
    return this.log.entries.filter(({ kind }) => kind === 'record').map(({ text }) => text);
  }

  append(kind: EntryKind, text: string): void {
    this.log.entries.push({ kind, text, epoch: this.leaderEpoch });
    this.#replicate();
  }

  /** Whether the broker that does not lead follows; one that follows again gives up what the leader has not. */
  follow(isFollowed: boolean): void {
    this.isFollowed = isFollowed;
    this.#replicate();
  }

  /** Another leader, or the same once more. The one that led may be away then. */
  elect(leader: number): void {
    this.leader = leader;
    this.leaderEpoch += 1;
    this.isFollowed = false;
  }

  /** Deletes what is below an offset. */
  trim(offset: number): void {
    for (const log of this.#logs) {
      log.entries.splice(0, Math.max(0, offset - log.start));
      log.start = Math.max(log.start, offset);
    }
  }

  /** As a new topic of the same name has it. */
  createAnew(): void {
    for (const log of this.#logs) Object.assign(log, { start: 0, entries: [] });
    this.leaderEpoch = 0;
  }

  endOf(asked: number): { epoch: number; offset: number } {
    if (asked > this.leaderEpoch) return { epoch: -1, offset: -1 };
    const { start, entries } = this.log;
    const first = entries.findIndex(({ epoch }) => epoch > asked);
    const offset = first === -1 ? this.end : start + first;
    const epoch = asked === this.leaderEpoch ? asked : (entries[offset - start - 1]?.epoch ?? asked);
    return { epoch, offset };
  }

  read(partition: number, { offset, leaderEpoch }: Wanted): FetchedPartition {
    const answer = { partition, errorCode: 0, abortedTransactions: [], batches: Buffer.alloc(0) };
    const { start, entries } = this.log;
    if (leaderEpoch > this.leaderEpoch) return { ...answer, errorCode: UNKNOWN_LEADER_EPOCH };
    if (leaderEpoch < this.leaderEpoch) return { ...answer, errorCode: FENCED_LEADER_EPOCH };
    if (offset < start || offset > this.end) return { ...answer, errorCode: CODES.offsetOutOfRange };
    const batches = entries
      .slice(offset - start, offset - start + ENTRIES_PER_FETCH)
      .map((entry, index) => batchOf(entry, offset + index));
    return { ...answer, batches: Buffer.concat(batches), abortedTransactions: this.#abortedAt(offset) };
  }

  /** The transaction that is under way where reading begins, and those that begin behind. */
  #abortedAt(offset: number): AbortedTransaction[] {
    const { start, entries } = this.log;
    const aborted: AbortedTransaction[] = [];
    let firstOffset: number | undefined;
    for (const [index, { kind }] of entries.entries()) {
      if (kind === 'aborted') firstOffset ??= start + index;
      if (kind !== 'abort' && kind !== 'commit') continue;
      if (kind === 'abort' && firstOffset !== undefined && start + index >= offset) {
        aborted.push({ producerId: PRODUCER, firstOffset: BigInt(firstOffset) });
      }
      firstOffset = undefined;
    }
    return aborted;
  }

  #replicate(): void {
    const [one, other] = this.#logs;
    if (!this.isFollowed) return;
    const [from, to] = this.leader === 0 ? [one, other] : [other, one];
    Object.assign(to, { start: from.start, entries: [...from.entries] });
  }
}

function batchOf({ kind, text, epoch }: Entry, first: number): Buffer {
  if (kind === 'record') return recordBatch({ first, epoch, values: [text] });
  if (kind === 'aborted') {
    return recordBatch({ first, epoch, values: [text], producerId: PRODUCER, transactional: true });
  }
  return markerBatch({ first, epoch, producerId: PRODUCER, isAbort: kind === 'abort' });
}

/** One topic on two brokers in memory. */
export class FakeTopic {
  readonly partitions: FakePartition[];
  /** Whether brokers say where epochs end. */
  knowsEpochs = true;
  /** Error of the next answers about epochs; 0: none. */
  epochError = 0;
  /** What was asked about epochs. */
  readonly asked: AskedEpoch[] = [];
  /** What an answer with records waits for on its way. */
  onItsWay: () => Promise<unknown> = () => delay(0);

  constructor(partitions = 1) {
    this.partitions = Array.from({ length: partitions }, () => new FakePartition());
  }

  at(partition: number): FakePartition {
    const found = this.partitions[partition];
    if (!found) throw new Error(`there is no partition ${partition}`);
    return found;
  }
}

/** What a source connects to. */
export class FakeCluster implements Cluster {
  readonly #topic: FakeTopic;
  #isClosed = false;

  constructor(topic: FakeTopic) {
    this.#topic = topic;
  }

  partitionsOf(): Promise<TopicPartition[]> {
    return Promise.resolve(
      this.#topic.partitions.map(({ leader, leaderEpoch }, partition) => ({
        partition,
        leader,
        leaderEpoch,
      })),
    );
  }

  offsetsAt(
    _leader: number,
    _topic: string,
    partitions: readonly number[],
    time: number,
  ): Promise<Map<number, number>> {
    return Promise.resolve(
      new Map(
        partitions.map((partition) => {
          const { log, end } = this.#topic.at(partition);
          return [partition, time === -1 ? end : log.start];
        }),
      ),
    );
  }

  endsOfEpochs(
    leader: number,
    _topic: string,
    asked: readonly AskedEpoch[],
  ): Promise<AnsweredEpoch[] | undefined> {
    const { knowsEpochs, epochError } = this.#topic;
    if (!knowsEpochs) return Promise.resolve(undefined);
    this.#topic.asked.push(...asked);
    return Promise.resolve(
      asked.map(({ partition, leaderEpoch, epoch }) => {
        const at = this.#topic.at(partition);
        const errorCode =
          at.leader !== leader
            ? NOT_LEADER
            : at.leaderEpoch !== leaderEpoch
              ? FENCED_LEADER_EPOCH
              : epochError;
        return { partition, errorCode, ...at.endOf(epoch) };
      }),
    );
  }

  async fetch(leader: number, _topic: string, wanted: readonly Wanted[]): Promise<FetchedPartition[]> {
    // An answer takes time: an election may come between question and answer, and between answer and reading.
    await delay(0);
    if (this.#isClosed) throw new Error('the connections are closed');
    const answers = wanted.map((each) => {
      const at = this.#topic.at(each.partition);
      const { partition } = each;
      if (at.leader === leader) return at.read(partition, each);
      return { partition, errorCode: NOT_LEADER, abortedTransactions: [], batches: Buffer.alloc(0) };
    });
    const isNothing = answers.every(({ errorCode, batches }) => errorCode === 0 && batches.length === 0);
    await (isNothing ? delay(1) : this.#topic.onItsWay());
    return answers;
  }

  commit(): Promise<void> {
    return Promise.resolve();
  }

  drop(): void {}

  close(): void {
    this.#isClosed = true;
  }
}
