import type { Random } from '../../local/simulated-stream/random';
import type { Trace } from './trace';
import type { VirtualTime } from './virtual-time';

/**
 * Where a message stands that was hidden and comes back:
 * - `sent`: at its old place
 * - `back`: behind all that waits, when its visibility timeout ends (ElasticMQ)
 * - `asked`: behind all that waits, when somebody asks for messages after that (moto, fauxqs)
 * - `noisy`: near its old place; others overtake it by `slip` events at most (a standard queue, as far as we assume)
 */
export const ORDERS = ['sent', 'back', 'asked', 'noisy'] as const;
export type Order = (typeof ORDERS)[number];

/** What a deletion does with a receipt that is not the newest, or whose visibility timeout is over. SQS answers success to all. */
export const STALE_DELETIONS = ['nothing', 'sometimes', 'delete'] as const;
export type StaleDeletions = (typeof STALE_DELETIONS)[number];

export interface QueueHabits {
  order: Order;
  /** Events. */
  slip: number;
  stale: StaleDeletions;
  /** Whether a released message stands where one does whose visibility timeout is over, rather than at its old place. */
  releasesBehind: boolean;
}

/** A message as a receive hands it out. */
export interface Handed {
  id: string;
  receipt: string;
  events: readonly number[];
  /** Epoch milliseconds. */
  sentAt: number;
}

interface Message extends Handed {
  /** Its place in the order in which messages were sent, counted in events. */
  readonly sentPlace: number;
  place: number;
  /** Epoch milliseconds. */
  visibleAt: number;
  where: 'visible' | 'hidden' | 'gone';
  isReleased: boolean;
}

/** Ids and receipts are as long as SQS's: state and histories carry them. */
const ID_PADDING = '-'.repeat(30);
const RECEIPT_PADDING = '-'.repeat(390);

/** Of the receives of a `noisy` queue, those that bring less than there is. */
const SHORT_POLLS = 0.05;

/** SQS: messages that are hidden when they are handed out, and come back in one of four orders unless they are deleted in time. */
export class Queue {
  /** Told of events that no message holds any more. */
  onGone = (_event: number): void => {};
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #habits: QueueHabits;
  readonly #trace: Trace;
  /** By place. */
  readonly #visible: Message[] = [];
  readonly #hidden = new Set<Message>();
  /** Messages that hold an event, by event. */
  readonly #holders = new Map<number, number>();
  readonly #byReceipt = new Map<string, Message>();
  /** Epoch milliseconds, before which no hidden message is due to come back. */
  #nextBackAt = Infinity;
  #lastPlace = 0;
  #messages = 0;
  #receipts = 0;

  constructor(time: VirtualTime, random: Random, habits: QueueHabits, trace: Trace) {
    this.#time = time;
    this.#random = random;
    this.#habits = habits;
    this.#trace = trace;
  }

  /** Messages that were ever sent. */
  get sent(): number {
    return this.#messages;
  }

  /** Messages that are there, hidden or not. */
  get size(): number {
    return this.#visible.length + this.#hidden.size;
  }

  /** Messages that a receive could be handed. */
  get visible(): number {
    return this.#visible.length;
  }

  send(events: readonly number[]): void {
    this.#comeBack();
    this.#messages += 1;
    const id = `m${this.#messages}${ID_PADDING}`;
    const sentPlace = this.#placeBehindAll(events.length);
    const place = this.#near(sentPlace);
    const sentAt = this.#time.now;
    for (const event of new Set(events)) this.#hold(event, 1);
    this.#trace.tell(events, () => `sent in ${nameOf(id)} of ${events.length} events`);
    const standing = { sentPlace, place, visibleAt: sentAt, where: 'visible', isReleased: false } as const;
    this.#insert({ id, receipt: '', events, sentAt, ...standing });
  }

  /** Hides what it hands out. */
  receive(most: number, visibilityMs: number): Handed[] {
    this.#comeBack(true);
    const isShort = this.#habits.order === 'noisy' && this.#random.chance(SHORT_POLLS);
    const handed = this.#visible.splice(0, isShort ? this.#random.integer(1, most) : most);
    return handed.map((message) => this.#hide(message, visibilityMs));
  }

  /** Makes a message visible at once, where the receipt is its newest. */
  release(receipt: string): void {
    const message = this.#byReceipt.get(receipt);
    if (message?.receipt !== receipt || message.where !== 'hidden') return;
    message.visibleAt = this.#time.now;
    message.isReleased = true;
    this.#nextBackAt = this.#time.now;
    this.#trace.tell(message.events, () => `${nameOf(message.id)} is released`);
  }

  /** Answers nothing, since SQS answers success whatever it does. */
  delete(receipt: string): void {
    const message = this.#byReceipt.get(receipt);
    if (!message || message.where === 'gone') return;
    const isNewest = message.receipt === receipt;
    const isInTime = message.where === 'hidden' && this.#time.now < message.visibleAt;
    const works = (isNewest && isInTime) || this.#takesStale();
    this.#trace.tell(message.events, () => {
      const why = isNewest ? (isInTime ? '' : ', too late') : ', not with the newest receipt';
      return `${nameOf(message.id)} is ${works ? '' : 'not '}deleted${why}`;
    });
    if (works) this.#remove(message);
  }

  depth(): { visible: number; notVisible: number } {
    this.#comeBack();
    return { visible: this.#visible.length, notVisible: this.#hidden.size };
  }

  #takesStale(): boolean {
    const { stale } = this.#habits;
    return stale === 'delete' || (stale === 'sometimes' && this.#random.chance(0.5));
  }

  #remove(message: Message): void {
    if (!this.#hidden.delete(message)) this.#visible.splice(this.#visible.indexOf(message), 1);
    message.where = 'gone';
    for (const event of new Set(message.events)) {
      if (this.#hold(event, -1) === 0) this.onGone(event);
    }
  }

  /** @returns how many messages hold the event now */
  #hold(event: number, more: number): number {
    const holders = (this.#holders.get(event) ?? 0) + more;
    this.#holders.set(event, holders);
    return holders;
  }

  #hide(message: Message, visibilityMs: number): Handed {
    this.#receipts += 1;
    message.receipt = `r${this.#receipts}${RECEIPT_PADDING}`;
    message.visibleAt = this.#time.now + visibilityMs;
    message.where = 'hidden';
    message.isReleased = false;
    this.#byReceipt.set(message.receipt, message);
    this.#hidden.add(message);
    this.#nextBackAt = Math.min(this.#nextBackAt, message.visibleAt);
    const { id, receipt, events, sentAt } = message;
    this.#trace.tell(events, () => `${nameOf(id)} is handed out with ${nameOf(receipt)}`);
    return { id, receipt, events, sentAt };
  }

  /** What was hidden for long enough is visible again. @param isAsked somebody asks for messages */
  #comeBack(isAsked = false): void {
    const { now } = this.#time;
    const { order } = this.#habits;
    if (now < this.#nextBackAt || (order === 'asked' && !isAsked)) return;
    const back = [...this.#hidden].filter(({ visibleAt }) => visibleAt <= now);
    for (const message of back.sort((one, other) => one.visibleAt - other.visibleAt)) {
      this.#hidden.delete(message);
      message.where = 'visible';
      message.place = this.#placeOfReturn(message);
      this.#trace.tell(message.events, () => `${nameOf(message.id)} is back`);
      this.#insert(message);
    }
    this.#nextBackAt = Infinity;
    for (const { visibleAt } of this.#hidden) this.#nextBackAt = Math.min(this.#nextBackAt, visibleAt);
  }

  #placeOfReturn({ sentPlace, events, isReleased }: Message): number {
    const { order, releasesBehind } = this.#habits;
    const isBehind = order === 'back' || order === 'asked';
    if (!isBehind || (isReleased && !releasesBehind)) return this.#near(sentPlace);
    return this.#placeBehindAll(events.length);
  }

  #placeBehindAll(events: number): number {
    this.#lastPlace += events;
    return this.#lastPlace;
  }

  #near(place: number): number {
    const { order, slip } = this.#habits;
    return order === 'noisy' ? place + this.#random.integer(0, slip) : place;
  }

  #insert(message: Message): void {
    let [low, high] = [0, this.#visible.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#visible[middle]?.place ?? Infinity) <= message.place) low = middle + 1;
      else high = middle;
    }
    this.#visible.splice(low, 0, message);
  }
}

/** Without what only makes it long. */
export function nameOf(idOrReceipt: string): string {
  return idOrReceipt.replace(/-+$/, '');
}
