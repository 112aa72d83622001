import type { Cursor, Positions } from './cursor';

/** One event as it came from a source. */
export interface SourceEvent {
  /** The source's id, empty where it gave none. */
  id: string;
  /** The positions that the id states, where the source's ids are of that kind. */
  positions: Positions | undefined;
  /** The payload as published, not yet parsed. */
  text: string;
}

/** Why a source connected once more; counted in the stint's result. */
export type ReconnectReason = 'closed' | 'silent' | 'refused' | 'unreachable';

/** A stream that can be read from a cursor on. */
export interface Source {
  /**
   * Reads events in the order in which the source sends them, reconnecting as often as need be, until
   * `signal` aborts, when the iteration ends. What is not pulled is not read: back-pressure reaches the socket.
   *
   * A source sends some events again after each reconnect; telling them apart is the reader's part.
   *
   * @param resumeFrom asked once at every connection, so that a reconnect resumes from what is confirmed by then
   * @throws {@link SourceRefused} when trying again can't help
   */
  read(resumeFrom: () => Cursor, signal: AbortSignal): AsyncIterable<SourceEvent>;
}

/** The source refuses for a reason that only a person can mend; the message says which and what to do. */
export class SourceRefused extends Error {
  override readonly name = 'SourceRefused';
}
