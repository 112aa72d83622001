import { LIMITS } from './limits';
import { SettledKeys } from './settled-keys';
import type { Deletion } from './work';

/**
 * Which keys were seen, and which messages are not settled. A message carries one or more events, and each event has a key. Pure: time
 * comes in as arguments, by the clock of the queue as the workers know it, who polled and deleted: a second off, at most.
 *
 * One invariant keeps rows from being written twice: *whatever can come again is still in the window, or receiving
 * waits*. A key leaves only when every message that carried it is settled, and newer keys push it out. A message is
 * settled when its deletion is known to have worked, or when it had every chance to come back and did not. For want of room a
 * message is forgotten before, and then no key leaves.
 */

/** When the first poll of a receive began and when its last was answered, in epoch milliseconds. */
export interface ReceiveSpan {
  from: number;
  until: number;
}

/** One receive, and for how long it hides what it brings. */
export interface Receive extends ReceiveSpan {
  /** The visibility timeout that it asked with, in milliseconds. */
  visibilityMs: number;
}

/** A message as it is received. */
export interface KeyedMessage {
  id: string;
  receipt: string;
  /** Digests of its events' keys, in their order; at least one. */
  keys: readonly string[];
  /** Epoch milliseconds, by the clock of the queue. Default, where the queue does not tell: when its receive began. */
  sentAt?: number;
}

/** Of one event: `new`: its row is wanted. `repeat`: its key was known, in this message or another one; it gets no row. */
export type Verdict = 'new' | 'repeat';

/** A moment from which a message that is still in the queue must have come back before long. */
interface Mark {
  at: number;
  /** Milliseconds of receiving before it. */
  received: number;
  /** The visibility timeout that hides the message at most, in milliseconds. */
  visibilityMs: number;
  /**
   * When the first receive was answered that began after that timeout. By then the message is back, at the queue's very
   * end at worst: some servers bring it back only when they are asked.
   */
  backBy?: number;
}

const STATES = ['held', 'due', 'deleting', 'unsettled', 'left'] as const;

interface Message {
  keys: readonly string[];
  receipt: string;
  receive: Receive;
  /** Whether the receipt is the newest one can't be told: two receives under way at once gave one each, or it was left. */
  ambiguous: boolean;
  /** Keys that it brought first and whose rows are not in the lake. */
  claims: number;
  /** Epoch milliseconds. */
  sentAt: number;
  /**
   * `held`: it has claims. `due`: to be deleted. `deleting`. `unsettled`: deleted, perhaps. `left`: received and left in the queue, so
   * that it comes back and is looked at anew then.
   */
  state: (typeof STATES)[number];
  unsettledSince?: Mark;
}

/** A key with messages that are not settled. The first of them brought it, unless it is wanted. */
interface OpenKey {
  /** Its row is in the lake (or the event under `rejected/`). */
  uploaded: boolean;
  messages: string[];
  /** When the newest message that brought it was sent, in epoch milliseconds. */
  sentAt: number;
}

type PackedMark = [] | [at: number, received: number, visibilityMs: number, ...backBy: [] | [number]];

/** A message as continue-as-new carries it; there may be thousands. The receipt is empty where it is no longer needed. */
type PackedMessage = [
  messageId: string,
  /** One after the other. */
  keys: string,
  receipt: string,
  from: number,
  until: number,
  visibilityMs: number,
  ambiguous: 0 | 1,
  state: number,
  sentAt: number,
  ...unsettledSince: PackedMark,
];

/** What continue-as-new carries; JSON. The settled keys travel apart, see {@link Window.packKeys}. */
export interface WindowState {
  messages: PackedMessage[];
  /** When the settled keys were sent, in epoch milliseconds: the first of each of so many equal parts. */
  sentAt: number[];
  /** One after the other: keys that only messages have which were left in the queue. */
  wanted: string;
  holds: Mark[];
  lost: number[];
  shrinking?: Shrinking;
  received: number;
  receivedUntil: number;
  reached: number;
}

/** The window was made smaller. Until the mark is over it keeps as many keys as before. */
interface Shrinking {
  keys: number;
  visibilityMs: number;
  /** Made when the next receive is answered. */
  mark?: Mark;
}

export interface WindowLimits {
  /** Settled keys kept. */
  keys: number;
  visibilityTimeoutMs: number;
  /** See {@link LaneLimits}, which has the defaults too. */
  mostKeys?: number;
  mostKeysHeld?: number;
  mostUnsettled?: number;
}

/**
 * How long a poll waits for a first message, in seconds: a quarter of the visibility timeout at most, since a message may
 * have been handed out when the poll began, and the 20 that SQS allows.
 */
export function pollSeconds(visibilityMs: number): number {
  return Math.min(20, Math.max(1, Math.floor(visibilityMs / 4_000)));
}

/**
 * Milliseconds of receiving that a message which may still be in the queue is waited for. A poll that is lost may still be
 * handed messages at its very end.
 */
export function quarantineMs(visibilityMs: number): number {
  return Math.max(1.5 * visibilityMs, visibilityMs + (pollSeconds(visibilityMs) + 1) * 1_000);
}

/** Of the visibility timeout: how far apart two receives may be that count as one. */
const MARGIN = 0.1;

/** What two workers may differ by in what they take for the queue's clock, in milliseconds; and a tenth of the visibility timeout at least. */
const APART_MS = 2_000;

/** As far as a short visibility timeout has room for it. */
function apartMs(visibilityMs: number): number {
  return Math.max(visibilityMs * MARGIN, Math.min(APART_MS, visibilityMs / 4));
}

const KEY_BYTES = 8;
const KEY_DIGITS = 2 * KEY_BYTES;

/** Of a message in {@link WindowState}, without its receipt and its keys. */
const MESSAGE_BYTES = 174;

/** In {@link WindowState.sentAt}, at most. Within each of them the order is lost. */
const PARTS = 64;

export class Window {
  #limits: WindowLimits;
  #settled = new SettledKeys();
  /** Keys that newer ones pushed out, with how many receives had begun by then: those may hold a copy. */
  readonly #leaving = new Map<string, number>();
  readonly #open = new Map<string, OpenKey>();
  /** Open keys that only messages have which were left in the queue. Who brings one claims it. */
  readonly #wanted: Set<string>;
  readonly #messages: Map<string, Message>;
  /** Ids of messages that are unsettled or left, the longest first. */
  readonly #unsettled = new Set<string>();
  readonly #due = new Set<string>();
  #deleting = 0;
  /** Of all messages. */
  #messageKeys = 0;
  /** Numbers of the receives under way, the oldest first. */
  readonly #underWay = new Set<number>();
  #begun = 0;
  /**
   * What a lost receive hid may be a copy of any settled key, and so may a message that was forgotten: until all of these are over none
   * leaves. By visibility timeout: a loss of a short one must not begin the wait for a long one anew.
   */
  readonly #holds: Map<number, Mark>;
  /** The visibility timeouts of receives that were lost since the last answer, in milliseconds. */
  readonly #lost: Set<number>;
  #shrinking: Shrinking | undefined;
  #received: number;
  #receivedUntil: number;
  #reached: number;

  /**
   * @param state what the run before carried, with its settled keys apart
   * @param rowKeys keys of the rows that are not in the lake. They alone tell what a message still has to wait for: what a message was held
   *   for before may be in the lake in part
   */
  constructor(
    limits: WindowLimits,
    state?: WindowState,
    packedKeys: Uint8Array = new Uint8Array(),
    rowKeys: Iterable<string> = [],
  ) {
    this.#limits = limits;
    this.#messages = new Map(state?.messages.map(unpackMessage));
    const settled = unpack(packedKeys);
    const { sentAt = [] } = state ?? {};
    for (const [place, key] of settled.entries()) {
      this.#settled.add(key, sentAt[Math.floor((place * sentAt.length) / settled.length)] ?? 0);
    }
    this.#wanted = new Set(splitKeys(state?.wanted ?? ''));
    this.#holds = new Map(state?.holds.map((mark) => [mark.visibilityMs, mark]));
    this.#lost = new Set(state?.lost);
    this.#shrinking = state?.shrinking;
    this.#received = state?.received ?? 0;
    this.#receivedUntil = state?.receivedUntil ?? 0;
    this.#reached = state?.reached ?? 0;
    const inState = new Set(rowKeys);
    for (const [messageId, message] of this.#messages) {
      if (message.state === 'left') continue;
      // The first message of a key brought it.
      message.claims = this.#addKeys(messageId, message, (key) => !inState.has(key)).length;
      if (message.state === 'unsettled') this.#unsettled.add(messageId);
      else if (message.claims > 0) message.state = 'held';
      else this.#makeDue(messageId, message);
    }
    for (const [messageId, message] of this.#messages) {
      if (message.state === 'left') this.#awaitLeft(messageId, message, (key) => !this.#wanted.has(key));
    }
  }

  /** Keys that are recognised as repeats. */
  get size(): number {
    return this.#settled.size + this.#leaving.size + this.#open.size;
  }

  get unsettled(): number {
    return this.#unsettled.size;
  }

  /** Messages to delete that {@link takeDue} would hand out. */
  get due(): number {
    return this.#due.size;
  }

  /** Epoch milliseconds: all that was sent before was received, as far as the queue's order can be trusted; 0: nothing was. */
  get reached(): number {
    return this.#reached;
  }

  /** Messages that are due or being deleted. */
  get undeleted(): number {
    return this.#due.size + this.#deleting;
  }

  /** Messages that are held, due, being deleted or unsettled. */
  get messages(): number {
    return this.#messages.size;
  }

  /** Bytes that continue-as-new carries at most, the receipts aside. */
  get bytes(): number {
    const settled = this.#settled.size + this.#leaving.size;
    const digits = (this.#messageKeys + this.#wanted.size) * KEY_DIGITS;
    return settled * KEY_BYTES + this.#messages.size * MESSAGE_BYTES + digits;
  }

  get isFull(): boolean {
    const { mostUnsettled = LIMITS.mostUnsettled } = this.#limits;
    return this.#isFullOfKeys() || this.#unsettled.size >= mostUnsettled;
  }

  /**
   * A receive begins. What it is handed is known only when it is answered, and may be a copy of any key, or a settled message
   * once more: until {@link endReceive} no key leaves.
   */
  beginReceive(): number {
    this.#begun += 1;
    this.#underWay.add(this.#begun);
    return this.#begun;
  }

  get receivesBegun(): number {
    return this.#begun;
  }

  /** Its messages were admitted, or it counts as lost. */
  endReceive(number: number): void {
    this.#underWay.delete(number);
    this.#evict();
  }

  /**
   * @returns what each of its events is, in their order; `redelivery` where the message is known, and its newest receipt replaced the old one
   */
  admit({ id, receipt, keys, ...sent }: KeyedMessage, receive: Receive): 'redelivery' | Verdict[] {
    const known = this.#messages.get(id);
    if (known?.state === 'left') this.#settle(id, known);
    else if (known) {
      this.#redelivered(id, known, receipt, receive);
      return 'redelivery';
    }
    const sentAt = sentBefore(sent, receive);
    const claimed = new Set(this.#addKeys(id, { keys, sentAt }, (key) => this.#takeSettled(key)));
    const message: Message = {
      keys,
      receipt,
      receive,
      ambiguous: false,
      claims: claimed.size,
      sentAt,
      state: 'held',
    };
    this.#messages.set(id, message);
    if (claimed.size === 0) this.#makeDue(id, message);
    // A second event with a key is a repeat of the first.
    return keys.map((key) => (claimed.delete(key) ? 'new' : 'repeat'));
  }

  /**
   * A message was received and left in the queue. It may come back behind more new keys than the window has: none of its keys leaves
   * before it had every chance to. A receipt known from before is worth nothing.
   */
  leftInQueue({ id, keys, ...sent }: Omit<KeyedMessage, 'receipt'>, receive: Receive): void {
    const known = this.#messages.get(id);
    if (known && known.state !== 'left') return this.#wasLeft(id, known, receive);
    if (known) this.#settle(id, known);
    const unsettledSince = this.#mark(receive.until, receive.visibilityMs);
    const ofItsOwn = {
      receipt: '',
      receive,
      ambiguous: false,
      claims: 0,
      sentAt: sentBefore(sent, receive),
      unsettledSince,
    };
    const message: Message = { keys: [...new Set(keys)], state: 'left', ...ofItsOwn };
    this.#messages.set(id, message);
    this.#awaitLeft(id, message, (key) => this.#takeSettled(key));
  }

  /** The row of this key is in the lake (or the event under `rejected/`): the message that brought it has one claim less. */
  uploaded(key: string): void {
    const open = this.#open.get(key);
    if (!open || open.uploaded) return;
    open.uploaded = true;
    const [first = ''] = open.messages;
    const message = this.#messages.get(first);
    if (message?.state === 'held') {
      message.claims -= 1;
      if (message.claims === 0) this.#makeDue(first, message);
    }
    this.#closeIfSettled(key, open);
    this.#evict();
  }

  /** Hands out messages to delete, each once until its deletion was answered. */
  takeDue(most: number): Deletion[] {
    const taken: Deletion[] = [];
    for (const messageId of this.#due) {
      if (taken.length >= most) break;
      const message = this.#messages.get(messageId);
      this.#due.delete(messageId);
      if (!message) continue;
      message.state = 'deleting';
      this.#deleting += 1;
      taken.push({ messageId, receipt: message.receipt });
    }
    return taken;
  }

  /**
   * SQS may answer success to a receipt that is not the newest, or whose visibility has ended, and delete nothing.
   *
   * @param deleted what SQS answered; false also where no answer came
   * @param at epoch milliseconds at which the answer came, or any moment since the receive where none did
   */
  deletionAnswered({ messageId, receipt }: Deletion, deleted: boolean, at: number): void {
    const message = this.#messages.get(messageId);
    if (message?.state !== 'deleting') return;
    this.#deleting -= 1;
    const isNewest = message.receipt === receipt;
    const { from, visibilityMs } = message.receive;
    const isVisibleAgain = at - from >= visibilityMs - apartMs(visibilityMs);
    if (!isNewest) this.#makeDue(messageId, message);
    else if (deleted && !isVisibleAgain && !message.ambiguous) this.#settle(messageId, message);
    else this.#unsettle(messageId, message, at);
    this.#evict();
  }

  /**
   * What is due will be deleted only when it comes back, with a newer receipt: who can't delete need not carry the old ones.
   *
   * @param at epoch milliseconds, any moment since they were received
   */
  unsettleDue(at: number): void {
    for (const messageId of this.#due) {
      const message = this.#messages.get(messageId);
      if (message) this.#unsettle(messageId, message, at);
    }
    this.#due.clear();
  }

  /**
   * A receive was answered. Call it after {@link admit} for each of its messages, so that what came back is known
   * to be there before anything is let go.
   *
   * @param reached epoch milliseconds: what was sent before was seen
   */
  receiveAnswered({ from, until }: ReceiveSpan, reached = 0): void {
    const isNext = from - this.#receivedUntil <= this.#limits.visibilityTimeoutMs * MARGIN;
    this.#received += Math.max(0, until - (isNext ? this.#receivedUntil : from));
    this.#receivedUntil = Math.max(this.#receivedUntil, until);
    this.#reached = Math.max(this.#reached, reached);
    for (const mark of this.#marks()) {
      const isBack = from >= mark.at + mark.visibilityMs + apartMs(mark.visibilityMs);
      if (isBack) mark.backBy ??= until;
    }
    for (const messageId of this.#unsettled) {
      const message = this.#messages.get(messageId);
      const mark = message?.unsettledSince;
      if (mark && !this.#isOver(mark)) {
        if (!this.isFull || !this.#hadItsTime(mark)) break;
        // For want of room the message is forgotten, and its key is not: when it comes back, that tells a repeat.
        this.#holdUntil(mark);
      }
      if (message) this.#settle(messageId, message);
    }
    for (const visibilityMs of this.#lost) this.#holdUntil(this.#mark(until, visibilityMs));
    this.#lost.clear();
    for (const [visibilityMs, mark] of this.#holds) {
      if (this.#isOver(mark)) this.#holds.delete(visibilityMs);
    }
    this.#shrink(until);
    this.#evict();
  }

  /**
   * Forgets the message that may come back and is the longest unseen, for want of room, whatever time it had. None of its keys is forgotten: when
   * it comes back, they tell a repeat, and until it had every chance to, no settled key leaves.
   *
   * @returns whether there was one
   */
  forgetOldest(): boolean {
    const [messageId = ''] = this.#unsettled;
    const message = this.#messages.get(messageId);
    if (!message) return false;
    if (message.unsettledSince) this.#holdUntil(message.unsettledSince);
    this.#settle(messageId, message);
    this.#evict();
    return true;
  }

  /**
   * The answer of a receive was lost, and with it the knowledge of what it hid. When it did is not known either: the next
   * receive that is answered tells a time after it.
   *
   * @param visibilityMs that it asked with, in milliseconds
   */
  receiveLost(visibilityMs: number): void {
    this.#lost.add(visibilityMs);
  }

  /**
   * The lane's clock began anew, and what was told by the one before says nothing: whatever may come back is waited for from now on, and no
   * receipt is known to be young.
   *
   * @param at epoch milliseconds
   */
  beginAnew(at: number): void {
    for (const message of this.#messages.values()) {
      message.receive = { ...message.receive, from: at, until: at };
      message.ambiguous = true;
      const { unsettledSince } = message;
      if (unsettledSince) message.unsettledSince = this.#mark(at, unsettledSince.visibilityMs);
    }
    for (const visibilityMs of this.#holds.keys())
      this.#holds.set(visibilityMs, this.#mark(at, visibilityMs));
    if (this.#shrinking) delete this.#shrinking.mark;
    this.#sentBefore(at);
    this.#receivedUntil = at;
    this.#reached = 0;
  }

  /** Whether no settled key may leave, since receives were lost or messages forgotten. */
  get isHeld(): boolean {
    return this.#holds.size > 0 || this.#lost.size > 0;
  }

  /**
   * Takes over the keys of another lane's rows. What that lane had received, it may have hidden, and may not have deleted: as after a receive
   * that was lost, none of them leaves until all of it had every chance to come back.
   *
   * @param keys 16 hexadecimal digits each, one after the other, the newest last
   */
  adopt(keys: string): void {
    // When they were sent is not known: in their order, and before all that comes.
    for (const [place, key] of splitKeys(keys).entries()) this.#settled.add(key, place);
    this.receiveLost(this.#limits.visibilityTimeoutMs);
  }

  /**
   * Other limits hold for what is received from now on. No receive may be under way, and no stint of a larger window. What such stints
   * sent may still be in the queue: fewer keys are enough once all of that was received.
   */
  limit(limits: WindowLimits): void {
    const { keys, visibilityTimeoutMs } = this.#limits;
    if (limits.keys < keys) {
      const visibilityMs = Math.max(visibilityTimeoutMs, limits.visibilityTimeoutMs);
      this.#shrinking = { keys: Math.max(keys, this.#shrinking?.keys ?? 0), visibilityMs };
    }
    this.#limits = limits;
    this.#evict();
  }

  /** @returns what continue-as-new carries. No deletion may be under way. */
  state(): WindowState {
    return {
      messages: [...this.#messages].map(packMessage),
      sentAt: this.#sentAtInParts(),
      wanted: [...this.#wanted].join(''),
      holds: [...this.#holds.values()],
      lost: [...this.#lost],
      ...(this.#shrinking ? { shrinking: this.#shrinking } : {}),
      received: this.#received,
      receivedUntil: this.#receivedUntil,
      reached: this.#reached,
    };
  }

  /** @returns the settled keys, eight bytes each, the longest sent first */
  packKeys(): Uint8Array {
    return pack([...this.#leaving.keys(), ...this.#settled.entries().map(([key]) => key)]);
  }

  #redelivered(messageId: string, message: Message, receipt: string, receive: Receive): void {
    message.ambiguous = receive.from < message.receive.until;
    message.receipt = receipt;
    message.receive = message.ambiguous ? hiddenByBoth(message.receive, receive) : receive;
    if (message.state !== 'unsettled') return;
    this.#unsettled.delete(messageId);
    delete message.unsettledSince;
    this.#makeDue(messageId, message);
  }

  /** It is known, and its newest receipt is not. */
  #wasLeft(messageId: string, message: Message, receive: Receive): void {
    message.ambiguous = true;
    message.receive = hiddenByBoth(message.receive, receive);
    if (message.state !== 'unsettled') return;
    this.#unsettled.delete(messageId);
    this.#unsettle(messageId, message, receive.until);
  }

  /** @param isKnown asked of each key that no other message has */
  #awaitLeft(messageId: string, { keys, sentAt }: Message, isKnown: (key: string) => boolean): void {
    this.#unsettled.add(messageId);
    const isUploaded = (key: string): boolean => {
      const known = isKnown(key);
      if (!known) this.#wanted.add(key);
      return known;
    };
    this.#messageKeys += keys.length;
    for (const key of keys) {
      const open = this.#openSent(key, sentAt);
      if (open) open.messages.push(messageId);
      else this.#open.set(key, { uploaded: isUploaded(key), messages: [messageId], sentAt });
    }
  }

  /** @returns whether the key was settled; then it is so no longer */
  #takeSettled(key: string): boolean {
    return this.#settled.delete(key) || this.#leaving.delete(key);
  }

  /** The open key, if it is one, that a message brings once more. */
  #openSent(key: string, sentAt: number): OpenKey | undefined {
    const open = this.#open.get(key);
    if (open) open.sentAt = Math.max(open.sentAt, sentAt);
    return open;
  }

  /** Of the keys as {@link packKeys} packs them. */
  #sentAtInParts(): number[] {
    const sentAt = [...Array.from(this.#leaving, () => 0), ...this.#settled.entries().map(([, at]) => at)];
    const parts = Math.min(PARTS, sentAt.length);
    return Array.from({ length: parts }, (_, part) => sentAt[Math.ceil((part * sentAt.length) / parts)] ?? 0);
  }

  /** By a clock that began anew: a time after it would make a key newer than all to come. */
  #sentBefore(at: number): void {
    const settled = this.#settled.entries();
    this.#settled = new SettledKeys();
    for (const [key, sentAt] of settled) this.#settled.add(key, Math.min(sentAt, at));
    for (const key of [...this.#open.values(), ...this.#messages.values()])
      key.sentAt = Math.min(key.sentAt, at);
  }

  #makeDue(messageId: string, message: Message): void {
    message.state = 'due';
    this.#due.add(messageId);
  }

  #unsettle(messageId: string, message: Message, at: number): void {
    message.state = 'unsettled';
    message.unsettledSince = this.#mark(at, message.receive.visibilityMs);
    this.#unsettled.add(messageId);
  }

  /**
   * Adds a message to each of its keys.
   *
   * @param isUploaded asked of each key that no other message has
   * @returns the keys that are this message's to bring
   */
  #addKeys(
    messageId: string,
    { keys, sentAt }: Pick<Message, 'keys' | 'sentAt'>,
    isUploaded: (key: string) => boolean,
  ): string[] {
    this.#messageKeys += keys.length;
    const claimed: string[] = [];
    for (const key of new Set(keys)) {
      const open = this.#openSent(key, sentAt);
      if (open && this.#wanted.delete(key)) {
        open.messages.unshift(messageId);
        claimed.push(key);
      } else if (open) open.messages.push(messageId);
      else {
        const uploaded = isUploaded(key);
        this.#open.set(key, { uploaded, messages: [messageId], sentAt });
        if (!uploaded) claimed.push(key);
      }
    }
    return claimed;
  }

  #settle(messageId: string, { keys }: Message): void {
    this.#messages.delete(messageId);
    this.#unsettled.delete(messageId);
    this.#messageKeys -= keys.length;
    for (const key of new Set(keys)) {
      const open = this.#open.get(key);
      if (!open) continue;
      open.messages = open.messages.filter((other) => other !== messageId);
      this.#closeIfSettled(key, open);
    }
  }

  #closeIfSettled(key: string, open: OpenKey): void {
    const isWanted = this.#wanted.has(key);
    if (!(open.uploaded || isWanted) || open.messages.length > 0) return;
    this.#open.delete(key);
    if (isWanted) return void this.#wanted.delete(key);
    this.#settled.add(key, open.sentAt);
  }

  #evict(): void {
    const { isHeld } = this;
    const { mostKeysHeld = LIMITS.mostKeysHeld } = this.#limits;
    const keys = Math.max(this.#limits.keys, this.#shrinking?.keys ?? 0);
    const most = isHeld ? Math.max(keys, mostKeysHeld) : keys;
    if (isHeld && this.#settled.size <= most) return;
    while (this.#settled.size > most) {
      const key = this.#settled.takeOldest();
      if (key === undefined) break;
      this.#leaving.set(key, this.#begun);
    }
    const [oldest = Infinity] = this.#underWay;
    for (const [key, begun] of this.#leaving) {
      if (oldest <= begun) return;
      this.#leaving.delete(key);
    }
  }

  #isFullOfKeys(): boolean {
    const { mostKeys = LIMITS.mostKeys } = this.#limits;
    return this.#settled.size + this.#leaving.size >= mostKeys;
  }

  /** As soon as all that was sent for a larger window was received. */
  #shrink(until: number): void {
    const shrinking = this.#shrinking;
    if (!shrinking) return;
    shrinking.mark ??= this.#mark(until, shrinking.visibilityMs);
    if (this.#isOver(shrinking.mark)) this.#shrinking = undefined;
  }

  #holdUntil(mark: Mark): void {
    const hold = this.#holds.get(mark.visibilityMs);
    this.#holds.set(mark.visibilityMs, hold ? laterOf(hold, mark) : mark);
  }

  *#marks(): Iterable<Mark> {
    yield* this.#holds.values();
    if (this.#shrinking?.mark) yield this.#shrinking.mark;
    for (const messageId of this.#unsettled) {
      const mark = this.#messages.get(messageId)?.unsettledSince;
      if (mark) yield mark;
    }
  }

  #mark(at: number, visibilityMs: number): Mark {
    return { at, received: this.#received, visibilityMs };
  }

  /** The lane received for long enough, and got to messages that were sent after this one was back. */
  #isOver(mark: Mark): boolean {
    if (!this.#hadItsTime(mark)) return false;
    return this.#reached >= (mark.backBy ?? Infinity) || this.#isFullOfKeys();
  }

  #hadItsTime({ received, visibilityMs }: Mark): boolean {
    return this.#received - received >= quarantineMs(visibilityMs);
  }
}

/** Nothing that was received was sent later. */
function sentBefore({ sentAt }: { sentAt?: number }, { from, until }: Receive): number {
  return Math.min(sentAt ?? from, until);
}

/** The newest receipt is of one of the two. */
function hiddenByBoth(one: Receive, other: Receive): Receive {
  return { ...other, visibilityMs: Math.max(one.visibilityMs, other.visibilityMs) };
}

/** A mark that is over when both are. Both have the same visibility timeout. */
function laterOf(one: Mark, other: Mark): Mark {
  const backBy = Math.max(one.backBy ?? Infinity, other.backBy ?? Infinity);
  return {
    at: Math.max(one.at, other.at),
    received: Math.max(one.received, other.received),
    visibilityMs: one.visibilityMs,
    // Unknown where one of them is: the next receive that begins after both tells.
    ...(backBy === Infinity ? {} : { backBy }),
  };
}

function packMessage([messageId, message]: [string, Message]): PackedMessage {
  const { keys, receipt, receive, ambiguous, state, sentAt, unsettledSince } = message;
  const isUnsettled = state === 'unsettled';
  return [
    messageId,
    keys.join(''),
    // An unsettled message is deleted again only when it comes back, with a new receipt.
    isUnsettled ? '' : receipt,
    receive.from,
    receive.until,
    receive.visibilityMs,
    ambiguous ? 1 : 0,
    STATES.indexOf(state),
    sentAt,
    ...packMark(unsettledSince),
  ];
}

function packMark(mark: Mark | undefined): PackedMark {
  if (!mark) return [];
  const { at, received, visibilityMs, backBy } = mark;
  return [at, received, visibilityMs, ...(backBy === undefined ? ([] as const) : ([backBy] as const))];
}

function unpackMessage(packed: PackedMessage): [string, Message] {
  const [messageId, keys, receipt, from, until, visibilityMs, ambiguous, state, sentAt, ...mark] = packed;
  const unsettledSince = unpackMark(mark);
  const message: Message = {
    keys: splitKeys(keys),
    receipt,
    receive: { from, until, visibilityMs },
    ambiguous: ambiguous === 1,
    claims: 0,
    sentAt,
    state: STATES[state] ?? 'unsettled',
    ...(unsettledSince ? { unsettledSince } : {}),
  };
  return [messageId, message];
}

function unpackMark(packed: PackedMark): Mark | undefined {
  if (packed.length === 0) return undefined;
  const [at, received, visibilityMs, backBy] = packed;
  return { at, received, visibilityMs, ...(backBy === undefined ? {} : { backBy }) };
}

function splitKeys(keys: string): string[] {
  return Array.from({ length: keys.length / KEY_DIGITS }, (_, at) =>
    keys.slice(at * KEY_DIGITS, (at + 1) * KEY_DIGITS),
  );
}

function pack(keys: Iterable<string>): Uint8Array {
  const all = [...keys];
  const packed = new Uint8Array(all.length * KEY_BYTES);
  all.forEach((key, index) => {
    for (let at = 0; at < KEY_BYTES; at += 1) {
      packed[index * KEY_BYTES + at] = parseInt(key.slice(at * 2, at * 2 + 2), 16);
    }
  });
  return packed;
}

/** Of every byte: a full window has 240,000 of them, and each continue-as-new reads it. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function unpack(packed: Uint8Array): string[] {
  const keys: string[] = [];
  for (let start = 0; start + KEY_BYTES <= packed.length; start += KEY_BYTES) {
    let key = '';
    for (let index = start; index < start + KEY_BYTES; index += 1) key += HEX[packed[index] ?? 0];
    keys.push(key);
  }
  return keys;
}
