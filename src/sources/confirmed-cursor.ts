import { NOWHERE, type Place } from '../event/place';
import { type Completeness, passOffset } from './completeness';
import {
  type Cursor,
  furthest,
  hasRead,
  newestTime,
  notAhead,
  type Position,
  type Positions,
  REWIND_MS,
  rewound,
  timeNotAhead,
} from './cursor';
import type { SourceEvent } from './source';

/** An event on its way: from {@link ConfirmedCursor.received} to {@link ConfirmedCursor.confirm}. */
export interface Pending {
  readonly positions: Positions | undefined;
  readonly id: string;
  readonly place: Place;
  /** Undefined of what is no event. */
  readonly digest: string | undefined;
  /** Epoch milliseconds, of a source whose positions state no times. */
  readonly time: number | undefined;
  /** Epoch milliseconds. */
  readonly receivedAt: number;
  /** Whether nothing can bring it again. */
  readonly comesOnce: boolean;
  confirmed: boolean;
}

/**
 * Digests kept at most, of all partitions; at two seconds of rewind this is 4,000 events/s. Beyond it the window recognises
 * the rest.
 */
const RECENT_LIMIT = 8_192;

const DIGEST_DIGITS = 16;

/**
 * Of a stream with ids of its own so many digests are carried. What is sent again beyond them the window recognises; here they tell a
 * person that a server sends from behind the id that it was asked to resume from.
 */
const CARRIED_BY_ID = 1_024;

/**
 * The cursor of a running stint. It moves only over the contiguous prefix of confirmed events, however the
 * confirmations arrive, and it knows which events the source sends once more.
 */
export class ConfirmedCursor {
  #since: number;
  /** Whether an event was read: the first one tells whether `since` is ahead of the source. */
  #hasBegun: boolean;
  #positions: Positions;
  #lastEventId: string | undefined;
  #ids: Cursor['ids'];
  #began: boolean;
  /** See {@link Cursor.sharedAfter}. */
  #sharedAfter: string | undefined;
  /** The id before the last one that was passed; empty where there was none. */
  #idBefore = '';
  /** The last id that was received. */
  #newestId: string | undefined;
  /** When the source was last resumed: the ids that it is known to send events of once more, and what was confirmed. */
  #resumed: { ids: readonly (string | undefined)[]; digests: ReadonlySet<string> } | undefined;
  /** What the connection was opened from by which events come now. */
  #readFrom: Cursor | undefined;
  #time: number | undefined;
  #passed = 0;
  #completeness: Completeness;
  /** Events in the order received, from the first unconfirmed one on. */
  readonly #pending: Pending[] = [];
  /** By partition: digest to the partition's position when it was passed; only of confirmed events. */
  readonly #recent = new Map<string, Map<string, Position | undefined>>();
  readonly #onTheWay = new Set<string>();
  readonly #now: () => number;

  /** @param now epoch milliseconds: no position may be far ahead. Default: by the clock of this machine */
  constructor(cursor: Cursor, completeness: Completeness = {}, now = () => Date.now()) {
    this.#now = now;
    this.#completeness = completeness;
    this.#since = cursor.since;
    this.#hasBegun = hasRead(cursor);
    this.#positions = cursor.positions;
    this.#lastEventId = cursor.lastEventId;
    this.#ids = cursor.ids;
    this.#began = cursor.began ?? false;
    this.#sharedAfter = cursor.sharedAfter;
    this.#newestId = cursor.lastEventId;
    this.#time = cursor.time;
    for (const [partition, digests] of Object.entries(cursor.recent)) {
      const known = new Map<string, Position | undefined>();
      for (let at = 0; at < digests.length; at += DIGEST_DIGITS) {
        // Kept a little longer than need be: their own positions are not carried.
        known.set(digests.slice(at, at + DIGEST_DIGITS), cursor.positions[partition]);
      }
      this.#recent.set(partition, known);
    }
  }

  /** Whether this event is confirmed already, or on its way: the source sent it again. */
  knows(digest: string): boolean {
    if (this.#onTheWay.has(digest)) return true;
    for (const digests of this.#recent.values()) if (digests.has(digest)) return true;
    return false;
  }

  /**
   * @param digest of the event's key, 16 hexadecimal digits
   * @param place the partition to which the event belongs ('' where that can't be told), and its offset there
   */
  received(
    event: Pick<SourceEvent, 'id' | 'positions' | 'time' | 'ids' | 'receivedAt' | 'comesOnce'>,
    digest: string,
    place: Place,
  ): Pending {
    const { id, positions, time, receivedAt = this.#now(), comesOnce = false } = event;
    this.#ids ??= event.ids;
    if (!positions) {
      this.#began = true;
      if (id !== '' && id === this.#newestId) this.#sharedAfter ??= this.#idBefore;
      if (id !== '') this.#newestId = id;
    }
    if (!this.#hasBegun) this.#begin(positions ?? {}, place);
    const pending: Pending = { id, positions, digest, place, time, receivedAt, comesOnce, confirmed: false };
    this.#pending.push(pending);
    this.#onTheWay.add(digest);
    return pending;
  }

  /**
   * Positions that the source states without an event. They hold once all that was received before is confirmed.
   *
   * @param place a stretch of a partition in which there is no event; default: none
   */
  mark(positions: Positions, place: Place = NOWHERE): void {
    const common = { id: '', digest: undefined, time: undefined, receivedAt: Date.now(), comesOnce: false };
    this.#pending.push({ ...common, positions, place, confirmed: true });
    this.#passConfirmed();
  }

  /** The event is safe: in the queue, under `rejected/`, or of a kind that goes nowhere. */
  confirm(event: Pending): void {
    event.confirmed = true;
    this.#passConfirmed();
  }

  #passConfirmed(): void {
    let passed = 0;
    for (const first of this.#pending) {
      if (!first.confirmed) break;
      this.#moveOver(first);
      passed += 1;
    }
    if (passed > 0) this.#pending.splice(0, passed);
    this.#passed += passed;
  }

  /** Events received and not confirmed, or behind one that is not. */
  get pending(): number {
    return this.#pending.length;
  }

  /** Events that it has passed since it was made. */
  get passed(): number {
    return this.#passed;
  }

  get positions(): Positions {
    return this.#positions;
  }

  /** When the first event came that is not confirmed, in epoch milliseconds; undefined where there is none. */
  get oldestPending(): number | undefined {
    return this.#pending[0]?.receivedAt;
  }

  /** Whether a source goes on where it was after a disconnection; undefined while nothing was read that says so. */
  get canResume(): boolean | undefined {
    if (this.#ids !== undefined || Object.keys(this.#positions).length > 0) return true;
    return this.#began ? false : undefined;
  }

  /**
   * Whether an event that is known came from behind the id that the source was resumed from: the server counts its ids anew, or
   * does not heed the one it was asked for.
   *
   * @param idInForce of a stream with ids of its own
   */
  isBehind(digest: string, idInForce: string | undefined): boolean {
    if (this.#ids !== 'own' || !this.#resumed || idInForce === undefined) return false;
    return this.#resumed.digests.has(digest) && !this.#resumed.ids.includes(idInForce);
  }

  /** The newest time that a partition was read up to, in epoch milliseconds; undefined where nothing tells. */
  get time(): number | undefined {
    return newestTime({
      positions: this.#positions,
      ...(this.#time === undefined ? {} : { time: this.#time }),
    });
  }

  /** Which offsets the cursor has passed. */
  get completeness(): Completeness {
    return this.#completeness;
  }

  /** What to keep, for whoever goes on from here. */
  cursor(): Cursor {
    const recent: Record<string, string> = {};
    for (const [partition, digests] of this.#recent) {
      const known = [...digests].filter(([, passedAt]) => this.#mayComeAgain(partition, passedAt));
      const carried = partition === '' ? known.slice(-CARRIED_BY_ID) : known;
      if (carried.length > 0) recent[partition] = carried.map(([digest]) => digest).join('');
    }
    return {
      since: this.#since,
      positions: this.#positions,
      ...(this.#ids === undefined ? {} : { ids: this.#ids }),
      ...(this.#lastEventId === undefined ? {} : { lastEventId: this.#lastEventId }),
      ...(this.#sharedAfter === undefined ? {} : { sharedAfter: this.#sharedAfter }),
      ...(this.#began ? { began: true } : {}),
      recent,
      ...(this.#time === undefined ? {} : { time: this.#time }),
    };
  }

  /** The cursor from which a connection is opened now. */
  resume(): Cursor {
    this.#resumed = {
      ids: [this.#lastEventId, this.#sharedAfter],
      digests: new Set(this.#recent.get('')?.keys()),
    };
    return this.cursor();
  }

  /**
   * What is received from now on came by the connection that was opened from this cursor. Only here, once all of the connections before it is
   * received, does it forget events that the source does not send again. While a connection is read the cursor moves on, yet events
   * that were unconfirmed when it was opened are still to come once more; and others may be opened while what it brought waits to be read.
   *
   * @param from as {@link resume} gave it
   */
  reading(from: Cursor): void {
    if (from === this.#readFrom) return;
    this.#readFrom = from;
    for (const [partition, digests] of this.#recent) {
      for (const [digest, passedAt] of digests) {
        if (!this.#mayComeAgain(partition, passedAt, from.positions)) digests.delete(digest);
      }
    }
  }

  /**
   * A source that is asked for a time to come sends what is new, and would send what is new then at each reconnect: so from its
   * first event on, the beginning is where it began.
   */
  #begin(positions: Positions, { partition }: Place): void {
    const own = positions[partition];
    const at =
      own !== undefined && 'timestamp' in own ? own.timestamp : (newestTime({ positions }) ?? this.#now());
    if (at < this.#since) this.#since = Math.max(at - REWIND_MS, 0);
    this.#hasBegun = true;
  }

  #moveOver({ id, positions, place, digest, time, comesOnce }: Pending): void {
    if (digest === undefined) return this.#moveOverMark(positions ?? {}, place);
    const { partition } = place;
    this.#onTheWay.delete(digest);
    const now = this.#now();
    if (time !== undefined) this.#time = Math.max(this.#time ?? 0, timeNotAhead(time, now));
    if (positions)
      this.#positions = furthest(this.#positions, notAhead(positions, now), {
        own: partition,
        since: this.#since,
      });
    else if (id !== '') this.#passId(id);
    if (comesOnce) return;
    if (this.#positions[partition] === undefined) return this.#remember('', digest);
    this.#completeness = passOffset(this.#completeness, place, now);
    this.#remember(partition, digest);
  }

  /** Whoever states marks has seen to it that there is room for all of them. */
  #moveOverMark(positions: Positions, place: Place): void {
    for (const [own, position] of Object.entries(positions)) {
      const rules = { own, since: this.#since, most: Infinity };
      this.#positions = furthest(this.#positions, { [own]: position }, rules);
    }
    if (place.partition !== '') this.#completeness = passOffset(this.#completeness, place, Date.now());
  }

  #passId(id: string): void {
    if (id === this.#lastEventId) return;
    this.#idBefore = this.#lastEventId ?? '';
    this.#lastEventId = id;
    if (this.#sharedAfter !== undefined) this.#sharedAfter = this.#idBefore;
  }

  #remember(partition: string, digest: string): void {
    const digests = this.#recent.get(partition) ?? new Map<string, Position | undefined>();
    digests.set(digest, this.#positions[partition]);
    this.#recent.set(partition, digests);
    const kept = [...this.#recent.values()].reduce((sum, { size }) => sum + size, 0);
    const [oldest] = digests.keys();
    if (kept > RECENT_LIMIT && oldest !== undefined) digests.delete(oldest);
  }

  /**
   * Whether a source that is resumed at `positions` sends what was passed there. Whether a server resumes at an offset or behind
   * it is its own choice, so that one event is kept.
   */
  #mayComeAgain(
    partition: string,
    passedAt: Position | undefined,
    positions: Positions = this.#positions,
  ): boolean {
    const now = positions[partition];
    if (partition === '') return this.#ids === 'own';
    if (passedAt === undefined || now === undefined) return false;
    if ('timestamp' in passedAt && 'timestamp' in now)
      return passedAt.timestamp >= rewound(now.timestamp, this.#since);
    return 'offset' in passedAt && 'offset' in now && passedAt.offset === now.offset;
  }
}
