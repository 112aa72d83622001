import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { EventSource } from 'eventsource';
import {
  type Cursor,
  LEAST_REWIND_MS,
  type ResumeRequest,
  parsePositions,
  resumeRequest,
  REWIND_MS,
  rewound,
  timestampsOf,
} from '../cursor';
import { backoffMs, jittered } from '../../backoff';
import { keyAt } from '../../event/key';
import { type Payload, type ReadEvent, readPayload } from '../../event/event';
import { NOWHERE } from '../../event/place';
import { EventBuffer } from '../buffer';
import { EventLimit } from './event-limit';
import { arrivalKey, EventNames } from './event-names';
import { httpGet, MayNotAsk } from './http-get';
import { RetryField } from './retry-field';
import { wikimediaEvent } from './wikimedia';
import {
  type ReconnectReason,
  type Source,
  type SourceEvent,
  type SourceListener,
  SourceRefused,
} from '../source';

export interface SseOptions extends Partial<SourceListener> {
  url: string;
  /** `name/version (contact)`. Wikimedia answers 403 to none and to a library's own. */
  userAgent: string;
  /** Milliseconds without a byte, while willing to read, after which the connection counts as dead. */
  silenceMs?: number;
  /**
   * First wait, in milliseconds, after a failed connection; doubled for each further one. Between the beginnings of two
   * connections no less passes, whatever `retry:` says. Default: 1,000.
   */
  backoffMs?: number;
  /** Where payloads have their key: names of members joined by dots. Default: the stream's ids decide, see {@link EventNames}. */
  keyPath?: string;
  /** Longest wait, in milliseconds, after failed connections, and as `retry:` asks. Default: 60,000. */
  longestWaitMs?: number;
}

/** Events buffered at most before the socket is left alone, and bytes of their payloads. */
const BUFFER_EVENTS = 500;
const BUFFER_BYTES = 4 * 1024 * 1024;

/** Bytes of an id. A longer one could not be sent back: Node takes 16 KiB for all headers, nginx 8 KiB for one. */
const LONGEST_ID_BYTES = 16 * 1024;

/** Characters that no header may hold: in an id as they are, or in a topic's name as JSON writes them. */
const UNSENDABLE = /\p{Cc}|\\u007[fF]/u;

/** How long the words of a refusal are waited for. */
const EXCERPT_MS = 5_000;

const EVENT_STREAM = 'text/event-stream';

/** With which a server refuses the id it is asked to resume from: a bad one, and too large a header. */
const REFUSES_ID = new Set([400, 431]);

/** Refusals that pass by themselves, as those of the server's own (5xx) do: too slow, too early, too many. */
const TRY_AGAIN = new Set([408, 425, 429]);

/** Codings that leave the body as it is. No standard names `none`, and servers send it so that no proxy compresses. */
const PLAIN_CODINGS = new Set(['', 'identity', 'none']);

/** Characters kept of a server's words when it refuses. */
const EXCERPT_LENGTH = 200;

/** A partition this far behind the newest is silent, and no reason to ask for a day of the others again. */
const SILENT_AFTER_MS = 24 * 60 * 60 * 1000;

/** Server-Sent Events as Wikimedia's EventStreams serves them, or any server of `text/event-stream`. */
export function sseSource(options: SseOptions) {
  return {
    read: (resumeFrom: () => Cursor, signal: AbortSignal): AsyncIterable<SourceEvent> =>
      new Subscription(options, resumeFrom, signal).events(),
  } satisfies Source;
}

/**
 * One reader of a stream. EventSource parses, and reconnects after a stream's end as `retry:` asks, within bounds;
 * its `fetch` is ours, so that each connection resumes from the confirmed cursor, waits its turn, and is read
 * only as fast as events are taken.
 */
class Subscription {
  readonly #options: Required<SseOptions>;
  readonly #resumeFrom: () => Cursor;
  /** What the connection was opened from that stands, or that stood last. */
  #resumedFrom: Cursor | undefined;
  readonly #signal: AbortSignal;
  readonly #names = new EventNames();
  readonly #buffer = new EventBuffer<SourceEvent>({ items: BUFFER_EVENTS, bytes: BUFFER_BYTES });
  /** What the stream's ids are; undefined as long as none came. */
  #ids: Cursor['ids'];
  /** Connections in a row that brought no event. */
  #failures = 0;
  #rewindMs = REWIND_MS;
  /** When the next connection may begin at the earliest, by `performance.now()`. */
  #notBefore = 0;
  /** What `retry:` said last. */
  #retryMs: number | undefined;
  /** The positions that the last connection was resumed from. */
  #resumedAt = '';
  /** The server took our id and then failed on it: ask by time once. */
  #distrustId = false;
  /** Where partitions begin for us on a connection that was asked by time alone: epoch milliseconds, until reached. */
  #seeking = new Map<string, number>();
  /** What the server said in an `event: error` of this connection. */
  #serverError: string | undefined;

  constructor(options: SseOptions, resumeFrom: () => Cursor, signal: AbortSignal) {
    this.#options = {
      silenceMs: 30_000,
      backoffMs: 1_000,
      longestWaitMs: 60_000,
      keyPath: '',
      onReconnect: () => {},
      onConnected: () => {},
      onHeard: () => {},
      onError: () => {},
      ...options,
    };
    this.#resumeFrom = resumeFrom;
    this.#signal = signal;
  }

  async *events(): AsyncGenerator<SourceEvent> {
    if (this.#signal.aborted) return;
    const eventSource = this.#open();
    try {
      yield* this.#buffer.read(this.#signal);
      eventSource.close();
      // Nothing brings again what a stream without ids has sent.
      if (this.#ids === undefined) yield* this.#buffer.rest();
    } finally {
      eventSource.close();
      this.#buffer.clear();
    }
  }

  #open(): EventSource {
    const eventSource = new EventSource(this.#options.url, {
      fetch: async (url, init) => {
        try {
          return await this.#connect(url, init.signal);
        } catch (error) {
          // EventSource retries after every error that leaves here. One that must not be retried ends the reading.
          if (error instanceof SourceRefused) this.#buffer.fail(error);
          throw error;
        }
      },
    });
    // A listener hears events of one type, and a stream may name its types as it likes: here all of them pass. Never throw here:
    // it would be an uncaught exception.
    eventSource.dispatchEvent = (event: Event): boolean => {
      if (!(event instanceof MessageEvent)) return true;
      if (event.type === 'error') this.#serverFailed(String(event.data));
      else this.#receive(String(event.data), event.lastEventId);
      return true;
    };
    return eventSource;
  }

  #receive(text: string, givenId: string): void {
    this.#failures = 0;
    // With an id that can't be sent back, no later connection would come about: the cursor stays at the one before.
    const isUsable = Buffer.byteLength(givenId) <= LONGEST_ID_BYTES && !UNSENDABLE.test(givenId);
    const id = isUsable ? givenId : '';
    const stated = parsePositions(id);
    if (id !== '') this.#ids ??= stated ? 'wikimedia' : 'own';
    const positions = this.#ids === 'wikimedia' ? stated : undefined;
    const read = this.#read(text, id);
    if (this.#isBeforeCursor(read, positions)) return;
    const receivedAt = Date.now();
    const event = {
      id,
      positions,
      text,
      read,
      receivedAt,
      ...(this.#resumedFrom === undefined ? {} : { resumedFrom: this.#resumedFrom }),
      // Other ids state no time.
      ...(this.#ids === 'wikimedia' ? {} : { time: receivedAt }),
      ...(this.#ids === undefined ? { comesOnce: true } : { ids: this.#ids }),
      ...(this.#ids === 'own' ? { idInForce: this.#names.inForce } : {}),
    };
    this.#buffer.put(event, text.length);
  }

  #read(text: string, id: string): ReadEvent {
    const payload = readPayload(text);
    const { keyPath } = this.#options;
    // Asked in any case: names are counted.
    const read = this.#readOfStream(payload, { id, text });
    if (keyPath === '' || !read.ok || read.isCanary) return read;
    const key = keyAt(read.value, keyPath);
    if (key !== undefined) return { ...read, key };
    const { partition, offset, isCanary } = read;
    const detail = `it has no text or whole number at ${keyPath} (SLUICE_SOURCE_KEY)`;
    return { ok: false, reason: 'no-key', detail, partition, offset, key: read.key, isCanary };
  }

  /** An event as the ids of the stream make it. Only Wikimedia's payloads tell a place and canaries: others may have members of such names. */
  #readOfStream(payload: Payload, event: { id: string; text: string }): ReadEvent {
    if (this.#ids === 'wikimedia') return wikimediaEvent(event.text, payload);
    const key = this.#ids === 'own' ? this.#names.keyOf(event) : arrivalKey();
    return { ...payload, ...NOWHERE, key, isCanary: false };
  }

  /** `event: error`: EventStreams reports what goes wrong after the 200 this way, and then closes. */
  #serverFailed(data: string): void {
    if (this.#failures > 0) this.#distrustId = true;
    this.#options.onError(data.slice(0, EXCERPT_LENGTH));
    this.#serverError = data.slice(0, EXCERPT_LENGTH);
  }

  /** @returns an answer that EventSource takes: status 200 and an event stream, resumed from the cursor */
  async #connect(url: string | URL, closed: AbortSignal | undefined): Promise<Response> {
    const stop = closed ? AbortSignal.any([closed, this.#signal]) : this.#signal;
    for (;;) {
      await this.#waitTurn(stop);
      this.#notBefore = performance.now() + this.#options.backoffMs;
      const cursor = this.#resumeFrom();
      this.#resumedFrom = cursor;
      this.#ids ??= cursor.ids;
      this.#chooseRewind(cursor);
      // Until an event arrives, this connection counts as one that failed.
      this.#failures += 1;
      const request = this.#distrustId ? requestByTime(cursor) : resumeRequest(cursor, this.#rewindMs);
      this.#seeking = this.#distrustId ? beginnings(cursor) : new Map();
      this.#distrustId = false;
      this.#serverError = undefined;
      const body = new AbortController();
      const response = await this.#request(url, request, AbortSignal.any([stop, body.signal]), body).catch(
        (error: unknown) => {
          stop.throwIfAborted();
          if (error instanceof MayNotAsk) throw new SourceRefused(error.message);
          this.#options.onReconnect('unreachable', causeOf(error));
        },
      );
      if (!response) continue;
      const { statusCode: status = 0, headers } = response;
      if (status === 200 && isEventStream(headers)) {
        if (!isPlain(headers)) {
          body.abort();
          throw new SourceRefused(compressed(this.#options.url, headers));
        }
        this.#names.connected('lastEventId' in request ? request.lastEventId : '');
        this.#options.onConnected(isResumed(request, cursor));
        const chunks = ReadableStream.from(this.#gated(response, body, stop));
        // EventSource knows the type in lower case only.
        return new Response(chunks, { status, headers: { 'content-type': EVENT_STREAM } });
      }
      const says = await this.#excerpt(response, body);
      if (REFUSES_ID.has(status) && 'lastEventId' in request) {
        this.#distrustId = true;
        this.#failures -= 1;
        this.#notBefore = 0;
        this.#options.onReconnect('refused', `${status} for the id ${request.lastEventId}: ${says}`);
      } else if (status === 200 || TRY_AGAIN.has(status) || status >= 500) {
        this.#options.onReconnect('refused', status === 200 ? otherType(headers, says) : `${status} ${says}`);
        await delay(retryAfter(headers), undefined, { signal: stop });
      } else {
        throw new SourceRefused(refusal(this.#options.url, status, says));
      }
    }
  }

  /** A busy stream that is cut often may end before it gets past the events that it sends again: then we ask for fewer. */
  #chooseRewind({ positions }: Cursor): void {
    const place = JSON.stringify(positions);
    const gotNowhere = this.#failures === 0 && place === this.#resumedAt;
    this.#rewindMs = gotNowhere ? Math.max(this.#rewindMs / 2, LEAST_REWIND_MS) : REWIND_MS;
    this.#resumedAt = place;
  }

  async #request(
    url: string | URL,
    request: ResumeRequest,
    signal: AbortSignal,
    connection: AbortController,
  ): Promise<IncomingMessage> {
    const address = new URL(url);
    const headers: Record<string, string> = {
      Accept: EVENT_STREAM,
      'User-Agent': this.#options.userAgent,
    };
    // A header is bytes: UTF-8 (HTML specification), which Node takes one character per byte.
    if ('lastEventId' in request)
      headers['Last-Event-ID'] = Buffer.from(request.lastEventId).toString('latin1');
    else if ('since' in request && !address.searchParams.has('since')) {
      // Through `searchParams` the whole query would be written anew, and a signed one would no longer fit its signature.
      const since = `since=${encodeURIComponent(new Date(request.since).toISOString())}`;
      address.search = address.search === '' ? since : `${address.search}&${since}`;
    }
    const tooLong = setTimeout(() => connection.abort(), this.#options.silenceMs);
    try {
      return await httpGet(address, { headers, signal });
    } finally {
      clearTimeout(tooLong);
    }
  }

  /** The beginning of an answer that is no event stream. It may have no end, or not come at all. */
  async #excerpt(body: AsyncIterable<Uint8Array>, connection: AbortController): Promise<string> {
    const tooLong = setTimeout(() => connection.abort(), Math.min(EXCERPT_MS, this.#options.silenceMs));
    const decoder = new TextDecoder();
    let text = '';
    try {
      for await (const chunk of body) {
        text += decoder.decode(chunk, { stream: true });
        if (text.length >= EXCERPT_LENGTH) break;
      }
    } catch {
      // The text that came so far has to do.
    } finally {
      clearTimeout(tooLong);
      connection.abort();
    }
    return text.slice(0, EXCERPT_LENGTH).trim();
  }

  /**
   * Exponential back-off with jitter, none after a connection that worked. Connections that end at once are kept
   * apart all the same: `retry: 0` would have hundreds of them in a second.
   */
  async #waitTurn(stop: AbortSignal): Promise<void> {
    const { backoffMs: first, longestWaitMs: most } = this.#options;
    const backoff = this.#failures === 0 ? 0 : jittered(backoffMs(this.#failures, { first, most }));
    const wait = Math.max(backoff, this.#notBefore - performance.now());
    if (wait > 0) await delay(wait, undefined, { signal: stop });
  }

  /**
   * The bytes of one connection, held back while the buffer is full. Comments and `retry:` pass here and nowhere
   * else, so this is where silence is measured. Ends, rather than fails, when the connection does: EventSource
   * then reconnects, whereas it takes an AbortError for its own `close()`.
   */
  async *#gated(
    body: AsyncIterable<Uint8Array>,
    connection: AbortController,
    stop: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let reason: ReconnectReason = 'closed';
    let detail = 'the server closed the connection';
    let held = false;
    const limit = new EventLimit();
    const retry = new RetryField();
    const watchdog = setTimeout(() => {
      if (held) {
        watchdog.refresh();
        return;
      }
      reason = 'silent';
      detail = `nothing came for ${this.#options.silenceMs} ms`;
      connection.abort();
    }, this.#options.silenceMs);
    try {
      for await (const chunk of body) {
        this.#options.onHeard();
        const bytes = limit.pass(chunk);
        this.#retryMs = retry.read(bytes) ?? this.#retryMs;
        yield bytes;
        held = true;
        await this.#buffer.room(stop);
        held = false;
        watchdog.refresh();
      }
    } catch (error) {
      if (!connection.signal.aborted) detail = causeOf(error);
    } finally {
      clearTimeout(watchdog);
      connection.abort();
      if (this.#serverError !== undefined) {
        reason = 'refused';
        detail = `the server sent an error: ${this.#serverError}`;
      }
      if (!stop.aborted) this.#options.onReconnect(reason, detail);
    }
    if ((this.#retryMs ?? 0) > this.#options.longestWaitMs) yield retryLine(this.#options.longestWaitMs);
  }

  /**
   * `?since=` is one time for all partitions. Those that were read further are passed over up to their own
   * rewound position, and from there on taken whole, as Kafka does when it looks up a timestamp.
   */
  #isBeforeCursor(event: ReadEvent, positions: SourceEvent['positions']): boolean {
    if (this.#seeking.size === 0 || !positions) return false;
    // The id does not tell whose event it is: of history, one partition may be sent long before another.
    if (!event.ok) return false;
    const beginning = this.#seeking.get(event.partition);
    const at = positions[event.partition];
    if (beginning === undefined || !at || !('timestamp' in at)) return false;
    // An id's timestamp is that of its event plus one millisecond.
    if (at.timestamp - 1 < beginning) return true;
    this.#seeking.delete(event.partition);
    return false;
  }
}

/**
 * Ends the bytes of a connection, and has EventSource wait so long. The colon stands before it since the last line may not have
 * ended: it ends no event then.
 */
function retryLine(ms: number): Uint8Array {
  return Buffer.from(`:\nretry: ${ms}\n`);
}

/** Where each partition with a timestamp is resumed. */
function beginnings({ positions, since }: Cursor): Map<string, number> {
  return new Map(
    Object.entries(positions).flatMap(([name, position]) =>
      'timestamp' in position ? [[name, rewound(position.timestamp, since)] as const] : [],
    ),
  );
}

/** Whether what was asked for leaves nothing out; undefined before the first event, which tells whether the source can do that. */
function isResumed(request: ResumeRequest, { ids, began }: Cursor): boolean | undefined {
  if ('fromNow' in request) return false;
  return 'lastEventId' in request || ids === 'wikimedia' ? true : began ? false : undefined;
}

/** The time from which every partition that is not long silent is covered. */
function requestByTime(cursor: Cursor): ResumeRequest {
  if (cursor.ids === 'own') return { fromNow: true };
  const times = timestampsOf(cursor.positions);
  const newest = Math.max(...times);
  const oldest = Math.min(...times.filter((time) => time > newest - SILENT_AFTER_MS));
  return { since: times.length === 0 ? cursor.since : rewound(oldest, cursor.since) };
}

function isEventStream({ 'content-type': type = '' }: IncomingHttpHeaders): boolean {
  const [mediaType = ''] = type.split(';');
  return mediaType.trim().toLowerCase() === EVENT_STREAM;
}

function isPlain({ 'content-encoding': codings = '' }: IncomingHttpHeaders): boolean {
  return codings.split(',').every((coding) => PLAIN_CODINGS.has(coding.trim().toLowerCase()));
}

function otherType({ 'content-type': type }: IncomingHttpHeaders, says: string): string {
  const what = type === undefined ? 'without a content-type' : `with content-type ${type}`;
  return `200 ${what}, not ${EVENT_STREAM}${says === '' ? '' : `: ${says}`}`;
}

function compressed(url: string, { 'content-encoding': codings }: IncomingHttpHeaders): string {
  return `${url} answered with content-encoding ${codings}, which was not asked for: let its server, or the proxy before it, send the stream as it is`;
}

/** @returns milliseconds; 0 where the header is missing or unreadable, five minutes at most */
function retryAfter({ 'retry-after': value = '' }: IncomingHttpHeaders): number {
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Math.min(Math.max(wait || 0, 0), 300_000);
}

function refusal(url: string, status: number, says: string): string {
  const remedy =
    status === 403
      ? 'set SLUICE_CONTACT to a page or an e-mail address of yours, which goes into the User-Agent'
      : status === 404
        ? 'correct SLUICE_SOURCE_URL'
        : status === 204
          ? 'the server asks its readers to stop; ask who runs it before you resume'
          : 'correct SLUICE_SOURCE_URL, or ask who runs the server';
  return `${url} answered ${status}${says === '' ? '' : ` (${says})`}: ${remedy}`;
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
