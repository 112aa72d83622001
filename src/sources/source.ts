import type { Cursor, Positions } from './cursor';
import type { ReadEvent } from '../event/event';
import type { KnownPlace } from '../event/place';

/** One event as it came from a source. */
export interface SourceEvent {
  /** The source's id, empty where it gave none. */
  id: string;
  /** The positions that the id states, where the source's ids are of that kind. */
  positions: Positions | undefined;
  /** What the ids of the stream are, once one has told: see {@link Cursor.ids}. */
  ids?: Cursor['ids'];
  /** Of a stream with ids of its own: the last one that came, with this event or before. */
  idInForce?: string;
  /** Whether the stream has no way to send it again: it gave no id so far. */
  comesOnce?: boolean;
  /** When it came, in epoch milliseconds. Default: now. */
  receivedAt?: number;
  /** When it was published or, where nothing says, came, in epoch milliseconds: of a source whose positions state no times, for people and metrics. */
  time?: number;
  /**
   * From which the connection was opened that brought it, as the source was given it; of a source that sends some events again.
   * Another one may have been opened since.
   */
  resumedFrom?: Cursor;
  /** The payload as published, a JSON object where all is well. */
  text: string;
  /** What goes to the queue, where that is more than the payload: a JSON object. */
  body?: string;
  /** What the source knows of the event beside its payload, as JSON; {@link body} carries it, too. */
  record?: object;
  /** What the payload is, its key and its place. */
  read: ReadEvent;
}

/**
 * Positions that hold without an event, once all that came before is safe: where partitions begin, or the end of a stretch in which
 * there is none.
 */
export interface SourceMark {
  mark: Positions;
  /** The stretch, up to and with its last offset. */
  place?: KnownPlace;
}

/**
 * Why a source connected once more, or `expired`: went on after events that it no longer has, or `replaced`: went back, since it has other
 * events now where it was read. Counted in the stint's result.
 */
export type ReconnectReason = 'closed' | 'silent' | 'refused' | 'unreachable' | 'expired' | 'replaced';

/** Told at each reconnect. */
export type OnReconnect = (reason: ReconnectReason, detail: string) => void;

/** Who is told how a source's connections fare. */
export interface SourceListener {
  onReconnect: OnReconnect;
  /**
   * A connection stands. Not told by a source that can always be resumed.
   *
   * @param isResumed whether the source goes on where the cursor is; undefined before the first event, which tells
   */
  onConnected: (isResumed: boolean | undefined) => void;
  /** Something came over it, an event or not. Not told by a source that can always be resumed. */
  onHeard: () => void;
  /** The source told of an error instead of an event. */
  onError: (text: string) => void;
}

/** A stream that can be read from a cursor on. */
export interface Source {
  /**
   * Reads events in the order in which the source sends them, reconnecting as often as need be, until
   * `signal` aborts, when the iteration ends. What is not pulled is not read: back-pressure reaches the socket.
   *
   * A source may send some events again after a reconnect; telling them apart is the reader's part.
   *
   * @param resumeFrom asked whenever the source must know where to resume, so that it resumes from what is confirmed by then
   * @throws {@link SourceRefused} when trying again can't help
   */
  read(resumeFrom: () => Cursor, signal: AbortSignal): AsyncIterable<SourceEvent | SourceMark>;
}

/** The source refuses for a reason that only a person can mend; the message says which and what to do. */
export class SourceRefused extends Error {
  override readonly name = 'SourceRefused';
  /** Whether it must not be tried again by itself: what then works would leave events out. */
  readonly isFinal: boolean;

  constructor(message: string, { isFinal = false }: { isFinal?: boolean } = {}) {
    super(message);
    this.isFinal = isFinal;
  }
}
