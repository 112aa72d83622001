import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Connection } from './connection';
import type { BrokenKind, EventKind } from './events';
import type { Ledger, PublishedEvent } from './ledger';
import { Publisher, topics, USUAL_EVENTS } from './publisher';
import { seededRandom, type Random } from './random';
import { RefusedRequest } from './refusal';
import { requestedStarts, type Starts } from './resume';

/** A refusal of the nth request, whatever it asks. */
export interface ScheduledRefusal {
  /** Counted from 1, over all requests. */
  request: number;
  status: number;
  retryAfterSeconds?: number;
}

/** Settings of the simulated service. */
export interface SimulatedStreamOptions {
  /** Decides the events' content and where the faults fall; default 7. */
  seed?: number;
  /** Events to publish by itself, the broken ones counted in and canaries not; default 0. */
  events?: number;
  /** Default 50, about Wikimedia's own. Infinity publishes as fast as the machine can. */
  ratePerSecond?: number;
  /** Whether publication begins with the first connection or at once; default `first-connection`. */
  startsWhen?: 'first-connection' | 'at-once';
  /** How many of `events` are broken; default 3, or all where there are fewer. */
  broken?: number;
  /** In which ways they are broken, in turn; default each of the three. */
  brokenKinds?: readonly BrokenKind[];
  /** One event in so many has a canary before it; default 200, 0 for none. */
  canaryOneIn?: number;
  /** One event in so many carries text that is hard on readers; default 4, 0 for none. */
  awkwardOneIn?: number;
  /** Each well-formed event carries so many bytes more, in a field that no default column takes; default 0. */
  paddingBytes?: number;
  /**
   * False for long runs: the ledger keeps keys and digests only, and the log the last 20,000 events or more.
   * A reader that falls further behind loses events. Default true.
   */
  keepPayloads?: boolean;
  /** Default 0, a free one. */
  port?: number;
  /** The address to listen at; default 127.0.0.1. */
  host?: string;
  /** Open connections from one address before the next gets 429; default 3. */
  maxConnections?: number;
  /** A connection ends after so many events, at least and at most; default 150 to 300. False for never. */
  cutAfterEvents?: readonly [least: number, most: number] | false;
  /** One event in so many arrives in several pieces; default 10, 0 for none. */
  splitOneIn?: number;
  /** Requests that are refused; default none. The demo refuses its second with 429 and a later one with 503. */
  refusals?: readonly ScheduledRefusal[];
  /** Sent as the `retry:` field of each connection when given. */
  retryMilliseconds?: number;
}

/** One request that was answered, in the order of arrival. */
export interface SeenRequest {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly lastEventId: string | undefined;
  readonly since: string | undefined;
  readonly userAgent: string | undefined;
  readonly status: number;
}

const path = '/v2/stream/recentchange';

/** So that one turn of the event loop stays short however fast the rate is. */
const eventsPerTurn = 500;
const turnMilliseconds = 5;

const defaults = {
  seed: 7,
  events: 0,
  ratePerSecond: 50,
  startsWhen: 'first-connection',
  brokenKinds: ['not-json', 'not-an-object', 'too-large'],
  ...USUAL_EVENTS,
  keepPayloads: true,
  port: 0,
  host: '127.0.0.1',
  maxConnections: 3,
  cutAfterEvents: [150, 300],
  splitOneIn: 10,
  refusals: [],
} satisfies SimulatedStreamOptions;

type Settings = SimulatedStreamOptions & Required<Pick<SimulatedStreamOptions, keyof typeof defaults>>;

/** A Wikimedia EventStreams of one's own. */
export class SimulatedStream {
  /** Resolves when all events of this run are in the log; never, when the stream is closed before. */
  readonly published: Promise<void>;
  readonly #settings: Settings;
  readonly #publisher: Publisher;
  readonly #faults: Random;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #requests: SeenRequest[] = [];
  readonly #pendingRefusals: RefusedRequest[] = [];
  #refusesNextId = false;
  #isStalled = false;
  #startRun: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: SimulatedStreamOptions) {
    this.#settings = { ...defaults, ...options };
    const { seed, keepPayloads, canaryOneIn, awkwardOneIn, paddingBytes } = this.#settings;
    const retained = keepPayloads ? Infinity : 20_000;
    this.#publisher = new Publisher({
      seed,
      keepPayloads,
      retained,
      canaryOneIn,
      awkwardOneIn,
      paddingBytes,
    });
    // A generator of its own: how clients behave must not change the events.
    this.#faults = seededRandom(seed + 1);
    this.#server = createServer((request, response) => this.#answer(request, response));
    const plan = planRun(this.#settings, seededRandom(seed + 2));
    this.published = new Promise((resolve) => {
      if (plan.length === 0) resolve();
      else this.#startRun = () => this.#publishRun(plan, resolve);
    });
  }

  /** @throws RangeError when more events are to be broken than published */
  static async start(options: SimulatedStreamOptions): Promise<SimulatedStream> {
    const stream = new SimulatedStream(options);
    const { port, host, startsWhen } = stream.#settings;
    await once(stream.#server.listen(port, host), 'listening');
    if (startsWhen === 'at-once') stream.#startRunOnce();
    return stream;
  }

  get url(): string {
    const address = this.#server.address();
    if (!isNetworkAddress(address)) throw new Error('The simulated stream is closed: start another.');
    return `http://127.0.0.1:${address.port}${path}`;
  }

  get ledger(): Ledger {
    return this.#publisher.ledger;
  }

  get requests(): readonly SeenRequest[] {
    return this.#requests;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Bytes held in this process for clients that do not read. */
  get bufferedBytes(): number {
    return [...this.#connections].reduce((sum, connection) => sum + connection.bufferedBytes, 0);
  }

  /** Publishes this many more well-formed events at once. @returns those that will be sent */
  publish(count: number): readonly PublishedEvent[] {
    const before = this.ledger.published.length;
    this.#append(Array.from({ length: count }, () => 'well-formed'));
    return this.ledger.published.slice(before);
  }

  /** The next well-formed events use up offsets, are not sent, and are listed in `ledger.withheld`. */
  withhold(count: number): void {
    this.#publisher.withhold(count);
  }

  /**
   * So many of the withheld events, the oldest first, turn up late: a request that begins before them gets them. They are as they
   * were, or something else at the same offset.
   */
  release(count: number, kind: EventKind = 'well-formed'): void {
    this.#publisher.release(count, kind);
  }

  /** From now on events have the offsets of another Kafka cluster, a thousand million ahead. */
  switchCluster(): void {
    this.#publisher.switchCluster();
  }

  /** From now on the other datacenter's topic gets the events, with its own offsets. */
  switchDatacenter(): void {
    this.#publisher.switchDatacenter();
  }

  /** The next requests, so many of them, get this status (204 too) instead of the stream. */
  refuseNext(refusal: { status: number; count: number; retryAfterSeconds?: number }): void {
    const { status, count, retryAfterSeconds } = refusal;
    const refused = new RefusedRequest(status, 'Refused on request.', retryAfterSeconds);
    this.#pendingRefusals.push(...Array.from({ length: count }, () => refused));
  }

  /** The next request with a Last-Event-ID gets 400, however well-formed that is. */
  refuseNextLastEventId(): void {
    this.#refusesNextId = true;
  }

  /** Connections stay open and nothing is sent, until `unstall`. */
  stall(): void {
    this.#isStalled = true;
  }

  unstall(): void {
    this.#isStalled = false;
    this.#sendAll();
  }

  /** Every open connection gets `event: error` and ends. */
  sendError(message: string): void {
    for (const connection of this.#connections) connection.sendError(message);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const connection of this.#connections) connection.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1');
    const asked = {
      at: Date.now(),
      lastEventId: request.headers['last-event-id']?.toString(),
      since: searchParams.get('since') ?? undefined,
      userAgent: request.headers['user-agent'],
    };
    const address = request.socket.remoteAddress;
    try {
      const starts = this.#admit(pathname, asked, address);
      this.#requests.push({ ...asked, status: 200 });
      this.#open(response, address, starts);
    } catch (error) {
      if (!(error instanceof RefusedRequest)) throw error;
      this.#requests.push({ ...asked, status: error.status });
      refuse(response, error);
    }
  }

  /** @throws RefusedRequest */
  #admit(pathname: string, asked: Omit<SeenRequest, 'status'>, address: string | undefined): Starts {
    if (pathname !== path) throw new RefusedRequest(404, `There is only ${path} here.`);
    // Wikimedia's policy asks for "name/version (contact)"; no library's default has a contact.
    if (!/\([^()]+\)/.test(asked.userAgent ?? '')) {
      throw new RefusedRequest(403, 'Set a User-Agent like "name/version (contact)".');
    }
    const refusal = this.#pendingRefusals.shift() ?? this.#scheduledRefusal(this.#requests.length + 1);
    if (refusal) throw refusal;
    const fromAddress = [...this.#connections].filter((connection) => connection.address === address).length;
    if (fromAddress >= this.#settings.maxConnections) throw new RefusedRequest(429, 'Too many connections.');
    if (asked.lastEventId && this.#refusesNextId) {
      this.#refusesNextId = false;
      throw new RefusedRequest(400, 'Last-Event-ID refused on request.');
    }
    return requestedStarts(asked.lastEventId, asked.since, topics);
  }

  #scheduledRefusal(request: number): RefusedRequest | undefined {
    const refusal = this.#settings.refusals.find((candidate) => candidate.request === request);
    return refusal && new RefusedRequest(refusal.status, 'Refused on schedule.', refusal.retryAfterSeconds);
  }

  #open(response: ServerResponse, address: string | undefined, starts: Starts): void {
    const { cutAfterEvents, splitOneIn, retryMilliseconds } = this.#settings;
    const connection = new Connection(response, address, this.#publisher.logs, starts, {
      random: this.#faults,
      cutAtEvent: cutAfterEvents ? this.#faults.integer(...cutAfterEvents) : Infinity,
      splitOneIn,
      retryMilliseconds,
      isStalled: () => this.#isStalled,
    });
    this.#connections.add(connection);
    response.once('close', () => this.#connections.delete(connection));
    this.#startRunOnce();
    connection.send();
  }

  #startRunOnce(): void {
    this.#startRun();
    this.#startRun = () => {};
  }

  #publishRun(plan: readonly EventKind[], done: () => void): void {
    const startedAt = Date.now();
    let published = 0;
    const turn = () => {
      const due = (this.#settings.ratePerSecond * (Date.now() - startedAt + turnMilliseconds)) / 1000;
      const next = plan.slice(published, Math.min(due, published + eventsPerTurn));
      published += next.length;
      this.#append(next);
      if (published < plan.length) return;
      clearInterval(this.#timer);
      done();
    };
    this.#timer = setInterval(turn, turnMilliseconds);
  }

  #append(kinds: readonly EventKind[]): void {
    for (const kind of kinds) this.#publisher.publish(kind);
    this.#sendAll();
  }

  #sendAll(): void {
    for (const connection of this.#connections) connection.send();
  }
}

/** Starts a simulated Wikimedia EventStreams. Close it when done. */
export function startSimulatedStream(options: SimulatedStreamOptions = {}): Promise<SimulatedStream> {
  return SimulatedStream.start(options);
}

/** What the events of the run are, with the broken ones at places that the seed decides. */
export function planRun(
  {
    events,
    broken = Math.min(3, events),
    brokenKinds,
  }: Pick<SimulatedStreamOptions, 'broken'> & { events: number; brokenKinds: readonly BrokenKind[] },
  random: Random,
): EventKind[] {
  if (broken > events) throw new RangeError(`broken is ${broken}, and events is only ${events}.`);
  const places = new Set<number>();
  while (places.size < broken) places.add(random.integer(0, events - 1));
  const kinds = new Map([...places].map((place, index) => [place, brokenKinds[index % brokenKinds.length]]));
  return Array.from({ length: events }, (_, place) => kinds.get(place) ?? 'well-formed');
}

function refuse(response: ServerResponse, { status, message, retryAfterSeconds }: RefusedRequest): void {
  if (retryAfterSeconds !== undefined) response.setHeader('retry-after', retryAfterSeconds);
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(status === 204 ? undefined : JSON.stringify({ status, message }));
}

function isNetworkAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
