import { setTimeout as delay } from 'node:timers/promises';
import { activityInfo, log } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { describeError, isRefused } from '../clients/aws-errors';
import { keyDigest } from '../event/key';
import { keepRejected } from '../lake/kept';
import type { LakeStore } from '../lake/store';
import { HANDED_NOTHING, type Received, type ReceivedMessage, takenApart } from '../lane/received';
import type { ReceiveInput } from '../lane/work';
import { decodeMessage, keyOfMessage, type QueueMessage } from '../queue/message';
import { MOST_TEXT_BYTES } from '../queue/pack';
import { Pace } from '../queue/pace';
import type { QueuedEvent } from '../queue/queued-event';
import { MESSAGES_PER_REQUEST, type Queue } from '../queue/queue';
import { type ReadRow, RowReader } from '../rows/row';
import { awsFailure } from './failures';
import { BATCH_HEARTBEAT_MS, withHeartbeat } from './heartbeat';
import { type Acknowledge, acknowledgedHeartbeat } from './lease';
import { type NamedQueue, requireOwnQueue } from './own-queue';
import { PollLease, TaskAges } from './poll-lease';

interface Clients {
  queue: NamedQueue & Pick<Queue, 'clock' | 'receive' | 'release'>;
  store: Pick<LakeStore, 'lake' | 'putIfAbsent'>;
}

/** Where Temporal names none. */
const HEARTBEAT_TIMEOUT_MS = 10_000;

/** Messages older than this when they are received, in milliseconds, waited behind others. */
const BACKLOG_AGE_MS = 2_000;

/** So many full polls that should be waiting are a backlog, too. */
const BACKLOG_POLLS = 20;

/** Beyond it a lane gains nothing, and the next receive finds what is left. */
const MOST_POLLS_AT_ONCE = 8;

/**
 * Receives messages and turns them into rows. Polls one at a time, and several at once only while that many should come back
 * full: at 50 events/s four polls at once cost 0.48 requests per event, one costs 0.30.
 *
 * A poll under way is never aborted, since it would hide what it was just given. None begins without a {@link PollLease}.
 *
 * @throws the SQS client's error when not a single poll worked; attempt it once, the lane asks again. It has {@link HANDED_NOTHING} among its
 *   details where that is sure
 */
export async function receiveMessages(
  clients: Clients,
  input: ReceiveInput,
  { acknowledge = acknowledgedHeartbeat, ages = new TaskAges() }: ReceiveOptions = {},
): Promise<Received> {
  const { currentAttemptScheduledTimestampMs, startToCloseTimeoutMs, heartbeatTimeoutMs } = activityInfo();
  const lease = new PollLease({
    acknowledge,
    ageMs: ages.of(currentAttemptScheduledTimestampMs),
    heartbeatTimeoutMs: heartbeatTimeoutMs ?? HEARTBEAT_TIMEOUT_MS,
    lastsMs: startToCloseTimeoutMs,
  });
  return await withHeartbeat({ everyMs: BATCH_HEARTBEAT_MS }, async (signal) => {
    await requireOwnQueue(clients.queue).catch((error: unknown) => {
      throw handedNothing(awsFailure(error, `find the queue ${input.queue}`));
    });
    const problem = clients.queue.clock.takeProblem();
    if (problem !== undefined) log.warn(problem, { queue: input.queue });
    const collector = new Collector(clients, input);
    while (collector.wantsMore() && !signal.aborted && (await lease.allows())) {
      await collector.poll();
      await collector.pause(signal);
    }
    if (!collector.hasPolled && !signal.aborted) throw handedNothing(notAllowed(input.queue));
    return collector.result();
  });
}

export interface ReceiveOptions {
  acknowledge?: Acknowledge;
  /** Of the process. */
  ages?: TaskAges;
}

/** The same failure, and that no message was hidden. */
function handedNothing(failure: unknown): unknown {
  if (!(failure instanceof ApplicationFailure)) return failure;
  const { message, type, nonRetryable, cause } = failure;
  return ApplicationFailure.create({
    message,
    type: type ?? 'Error',
    nonRetryable: nonRetryable === true,
    details: [HANDED_NOTHING],
    ...(cause === undefined ? {} : { cause }),
  });
}

function notAllowed(queue: string): ApplicationFailure {
  const problem = `Nothing was received from the queue ${queue}, since Temporal took no heartbeat of this receive`;
  return ApplicationFailure.retryable(problem, 'NotAllowed');
}

/** A message with what each of its events is as a row. */
interface JudgedMessage {
  message: QueueMessage;
  events: (QueuedEvent & { read: ReadRow })[];
  /** Of its rows. */
  bytes: number;
}

const TOO_MANY_BYTES: ReadRow = {
  ok: false,
  reason: 'row-too-large',
  detail: `its message has more than ${MOST_TEXT_BYTES} bytes of rows; sent again, it has a message of its own`,
};

/** It tells nothing of its events, and is an event itself to be kept. */
function brokenPack({ id, body }: QueueMessage, detail: string): JudgedMessage['events'][number] {
  return { key: keyOfMessage(id), text: body, read: { ok: false, reason: 'broken-pack', detail } };
}

class Collector {
  readonly #facts: Omit<Received, 'messages' | 'events'> = {
    leftInQueue: [],
    from: 0,
    until: 0,
    behind: false,
    lostPolls: 0,
    refusedPolls: 0,
  };
  readonly #messages: ReceivedMessage[] = [];
  readonly #clients: Clients;
  readonly #input: ReceiveInput;
  readonly #rows: RowReader;
  readonly #pace = new Pace();
  #polled = false;
  /** Of all messages, rejected ones too. */
  #events = 0;
  /** Of all rows. */
  #bytes = 0;
  /** By `performance.now()`. */
  #collectUntil = Infinity;
  #polls = 1;

  constructor(clients: Clients, input: ReceiveInput) {
    this.#clients = clients;
    this.#input = input;
    this.#rows = new RowReader(input);
  }

  result(): Received {
    return { ...takenApart(this.#messages), ...this.#facts };
  }

  get hasPolled(): boolean {
    return this.#polled;
  }

  wantsMore(): boolean {
    if (!this.#polled) return true;
    const { lostPolls, refusedPolls } = this.#facts;
    if (lostPolls + refusedPolls > 0 || this.#events === 0) return false;
    return this.#room() > 0 && performance.now() < this.#collectUntil;
  }

  /** One round: one poll, or several at once where that many should come back full. */
  async poll(): Promise<void> {
    const room = this.#room();
    const polls = Math.min(this.#polls, Math.ceil(room / MESSAGES_PER_REQUEST));
    const sizes = Array.from({ length: polls }, (_, index) =>
      Math.min(MESSAGES_PER_REQUEST, room - index * MESSAGES_PER_REQUEST),
    );
    const begun = this.#now();
    const answers = await Promise.allSettled(sizes.map((size) => this.#receive(size, polls > 1)));
    this.#polled = true;
    this.#facts.from ||= begun;
    // Its own reckoning of that clock may go back a little.
    this.#facts.until = Math.max(this.#facts.from, this.#now());
    const messages = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    const errors = answers.flatMap((answer) =>
      answer.status === 'rejected' ? [answer.reason as unknown] : [],
    );
    for (const error of errors) this.#failed(error);
    if (errors.length > 0 && messages.length + this.#events === 0) {
      const failure = awsFailure(errors[0], `receive from the queue ${this.#input.queue}`);
      throw this.#facts.lostPolls === 0 ? handedNothing(failure) : failure;
    }
    if (messages.length === 0) this.#reach(begun);
    else if (this.#collectUntil === Infinity) this.#collectUntil = performance.now() + this.#input.collectMs;
    await this.#sort(messages);
    const wanted = sizes.reduce((sum, size) => sum + size, 0);
    this.#lookAhead(messages, messages.length === wanted);
  }

  #failed(error: unknown): void {
    const wasRefused = isRefused(error);
    this.#facts[wasRefused ? 'refusedPolls' : 'lostPolls'] += 1;
    const what = wasRefused ? 'A poll was refused' : 'A poll was lost';
    log.warn(what, { queue: this.#input.queue, error: describeError(error) });
  }

  /** How much is waiting, and so how many polls to make at once. A poll that was paused for is often full, too. */
  #lookAhead(messages: QueueMessage[], isFull: boolean): void {
    const sentAt = messages.flatMap((message) => message.sentAt ?? []);
    this.#pace.saw(sentAt, this.#messages.length);
    const now = this.#now();
    const isOld = now - Math.max(...sentAt) > BACKLOG_AGE_MS;
    const waiting = isOld ? Infinity : this.#pace.fullPolls(now);
    this.#facts.behind = isFull && waiting >= BACKLOG_POLLS;
    this.#polls = isFull ? Math.max(1, Math.min(this.#polls * 2, waiting, MOST_POLLS_AT_ONCE)) : 1;
  }

  /**
   * A long poll returns with the first message there is. Where it did, the next one waits until ten have come, so that requests are
   * not spent on ones and twos.
   */
  async pause(signal: AbortSignal): Promise<void> {
    if (this.#facts.behind || !this.wantsMore()) return;
    const pause = Math.min(this.#pace.pauseMs(this.#now()), this.#collectUntil - performance.now());
    if (pause > 0) await delay(pause, undefined, { signal }).catch(() => {});
  }

  /** Messages that the next polls may bring: their rows, as many and as large as those so far, must fit. */
  #room(): number {
    const { rows, backlogRows = rows, bytes, messageEvents = 1 } = this.#input;
    const wanted = (this.#facts.behind ? backlogRows : rows) - this.#events;
    if (this.#events === 0) return Math.ceil(wanted / messageEvents);
    const rowBytes = this.#bytes / this.#events;
    const fitting = rowBytes === 0 ? wanted : Math.min(wanted, Math.floor((bytes - this.#bytes) / rowBytes));
    return Math.ceil((fitting * this.#messages.length) / this.#events);
  }

  /** Epoch milliseconds by the clock of SQS. */
  #now(): number {
    return this.#clients.queue.clock.now();
  }

  #reach(time: number): void {
    this.#facts.reached = Math.max(this.#facts.reached ?? 0, time);
  }

  async #receive(size: number, isOneOfSeveral: boolean): Promise<QueueMessage[]> {
    const { waitSeconds, visibilityTimeoutSeconds } = this.#input;
    const patience = this.#events === 0 && !isOneOfSeveral ? waitSeconds : 1;
    return await this.#clients.queue.receive({
      most: size,
      waitSeconds: patience,
      visibilityTimeoutSeconds,
    });
  }

  /** A message is taken whole or not at all. */
  async #sort(messages: QueueMessage[]): Promise<void> {
    const excess: JudgedMessage[] = [];
    const taken: JudgedMessage[] = [];
    for (const message of messages) {
      const judged = this.#judge(message);
      // The first one is taken whatever its size: released, it would come back for ever.
      if (this.#bytes > 0 && this.#bytes + judged.bytes > this.#input.bytes) {
        excess.push(judged);
        continue;
      }
      this.#sentAt(message.sentAt);
      this.#bytes += judged.bytes;
      taken.push(judged);
    }
    // Together: eighty one after the other would take as long as an activity may.
    const areKept = await Promise.all(taken.map((judged) => this.#keepRejected(judged)));
    for (const [place, judged] of taken.entries()) {
      if (areKept[place] === true) this.#take(judged);
      else this.#leave(judged);
    }
    if (excess.length > 0) await this.#release(excess);
  }

  #judge(message: QueueMessage): JudgedMessage {
    const decoded = decodeMessage(message);
    if (!decoded.ok) return { message, events: [brokenPack(message, decoded.problem)], bytes: 0 };
    let bytes = 0;
    const events = decoded.events.map((event) => {
      const read = this.#rows.read(event.text, event.key);
      if (!read.ok) return { ...event, read };
      // What continue-as-new carries is bounded. Rows have more bytes than their texts only where many columns show the same.
      if (bytes + read.bytes > MOST_TEXT_BYTES) return { ...event, read: TOO_MANY_BYTES };
      bytes += read.bytes;
      return { ...event, read };
    });
    return { message, events, bytes };
  }

  #take({ message: { id, receipt, sentAt }, events }: JudgedMessage): void {
    this.#events += events.length;
    this.#messages.push({
      id,
      receipt,
      ...(sentAt === undefined ? {} : { sentAt }),
      events: events.map(({ key: published, read }) => {
        const key = keyDigest(published);
        return read.ok ? { key, cells: read.cells, bytes: read.bytes } : { key, reason: read.reason };
      }),
    });
  }

  #leave({ message: { id, sentAt }, events }: JudgedMessage): void {
    this.#facts.leftInQueue.push({
      id,
      ...(sentAt === undefined ? {} : { sentAt }),
      keys: events.map(({ key }) => keyDigest(key)),
    });
  }

  #sentAt(time: number | undefined): void {
    if (time === undefined) return;
    this.#reach(time);
    this.#facts.oldestSentAt = Math.min(this.#facts.oldestSentAt ?? Infinity, time);
  }

  /** @returns false where an event can't be kept: then its message stays in the queue, and the others go on */
  async #keepRejected({ message: { id }, events }: JudgedMessage): Promise<boolean> {
    const { queue } = this.#input;
    try {
      for (const { key, text, read } of events) {
        if (read.ok) continue;
        const { reason, detail } = read;
        await keepRejected(this.#clients.store, { reason, detail, source: queue, id, key, text });
      }
      return true;
    } catch (error) {
      log.warn('A message with an event to reject stays in the queue', {
        messageId: id,
        error: describeError(error),
      });
      return false;
    }
  }

  /**
   * Makes messages visible at once. One that can't be released comes back when its visibility timeout ends; until then it is hidden
   * as by a poll that was lost, and may be a copy of any key.
   */
  async #release(messages: readonly JudgedMessage[]): Promise<void> {
    this.#bytes = this.#input.bytes;
    for (const judged of messages) this.#leave(judged);
    const problems = await this.#clients.queue.release(messages.map(({ message }) => message.receipt));
    this.#facts.lostPolls += problems.length;
    for (const error of problems) {
      log.warn('Messages were not released early', { queue: this.#input.queue, error });
    }
  }
}
