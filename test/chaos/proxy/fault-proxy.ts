import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { BasicPlaneBackend } from './basic-plane-backend';
import { type Counts, Dice, type FaultKind, type Roll } from '../rules/faults';
import { OUTAGES } from './refusals';
import { S3Faults } from './s3-faults';
import { s3Operation } from '../rules/s3-rules';
import { SqsBackend } from './sqs-backend';
import { SqsFaults } from './sqs-faults';
import { SqsServer } from './sqs-server';
import { type Answer, BackendLost, type Call } from './upstream';
import { type Listener, type Point, Watchers } from './watchers';

export type Service = 'sqs' | 's3';

/** What can be away: a service, or of SQS the deletions alone. */
export type Outage = Service | 'deletions';

export interface FaultProxyOptions {
  /** URL of the server behind, one for both services or one for each. */
  target: string | Record<Service, string>;
  /** The SQS behind refuses characters beyond the basic plane; no client is to notice. Default: it takes them. */
  isBasicPlaneOnly?: boolean;
  /** The same seed decides the same about the nth request of each operation. */
  seed: number;
  /** How often a fault happens, 0 to 1. A fault without a rate does not. */
  rates?: Partial<Record<FaultKind, number>>;
  /** The longest that `slow` takes, in milliseconds. Default: 3 seconds. */
  slowestMs?: number;
  /** How old the counts of a queue's messages are, in milliseconds; 0: they are true. Default: 2 seconds. */
  countsLagMs?: number;
  /** What the buckets do with ACLs. Default: refused, as on new buckets. */
  acls?: 'refused' | 'taken';
}

/** SQS and S3 as they fail in the cloud: an HTTP server on 127.0.0.1 in front of one that never does. */
export interface FaultProxy {
  /** What AWS_ENDPOINT_URL is to be. */
  url: string;
  /** How often each fault happened, and each rule made a difference. */
  counts: Readonly<Counts>;
  /** Requests by operation, such as `SendMessageBatch` and `PutObject`. */
  requests: Readonly<Record<string, number>>;
  /** What went wrong in the proxy itself; its client got a 500. Empty, or the run proves nothing. */
  failures: readonly unknown[];
  /** No new faults from now on, counts are true, and whoever is made to wait goes on. The rules stay. */
  heal(): Promise<void>;
  /** Resets every connection that asks for it. @returns what ends the outage */
  cut(outage: Outage): () => void;
  /** Answers 400 or 403 to every receive: it hands out nothing. @returns what ends that */
  refuseReceives(): () => void;
  /** @returns what ends the observation */
  observe(point: Point, listener: Listener): () => void;
  /** Ends the proxy and every connection. */
  close(): Promise<void>;
}

/** What ends a request before it is carried out, the first that is due. */
const BEFORE = ['resetBefore', 'failedBefore', 'unavailable', 'throttled'] as const;
/** What becomes of the answer to one that was carried out. */
const AFTER = ['resetAfter', 'failedAfter'] as const;

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const proxy = new ProxyServer(options);
  await proxy.listen();
  return proxy;
}

/** A request that is to be answered. */
interface Exchange {
  service: Service;
  operation: string;
  call: Call;
  roll: Roll;
  response: ServerResponse;
}

class ProxyServer implements FaultProxy {
  readonly failures: unknown[] = [];
  readonly #slowestMs: number;
  readonly #dice: Dice;
  readonly #watchers = new Watchers();
  readonly #sqs: SqsFaults;
  readonly #s3: S3Faults;
  readonly #server: Server;
  readonly #healed = new AbortController();
  readonly #cut = new Set<Outage>();
  #refusesReceives = false;

  constructor(options: FaultProxyOptions) {
    const { target, seed, rates = {}, slowestMs = 3_000, countsLagMs = 2_000, acls = 'refused' } = options;
    const targets = typeof target === 'string' ? { sqs: target, s3: target } : target;
    const dice = new Dice(seed, rates);
    const watchers = this.#watchers;
    this.#slowestMs = slowestMs;
    this.#dice = dice;
    const Backend = options.isBasicPlaneOnly ? BasicPlaneBackend : SqsBackend;
    this.#sqs = new SqsFaults(new SqsServer(dice, watchers, new Backend(targets.sqs)), countsLagMs);
    this.#s3 = new S3Faults({ target: targets.s3, dice, watchers, acls });
    this.#server = createServer((request, response) => void this.#serve(request, response));
    // A connection that the server closes while it idles would look like a fault.
    this.#server.keepAliveTimeout = 0;
    this.#server.requestTimeout = 0;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The fault proxy is closed');
    return `http://127.0.0.1:${address.port}`;
  }

  get counts(): Readonly<Counts> {
    return this.#dice.counts;
  }

  get requests(): Readonly<Record<string, number>> {
    return this.#dice.requests;
  }

  async listen(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  async heal(): Promise<void> {
    this.#dice.heal();
    this.#cut.clear();
    this.#refusesReceives = false;
    this.#healed.abort();
    await this.#sqs.heal();
  }

  cut(outage: Outage): () => void {
    this.#cut.add(outage);
    return () => this.#cut.delete(outage);
  }

  refuseReceives(): () => void {
    this.#refusesReceives = true;
    return () => (this.#refusesReceives = false);
  }

  observe(point: Point, listener: Listener): () => void {
    return this.#watchers.observe(point, listener);
  }

  async close(): Promise<void> {
    await this.heal();
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  /** Never rejects. */
  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const exchange = await this.#exchange(request, response, gone.signal);
      const answer = await this.#answer(exchange);
      if (answer) await send(exchange, answer);
    } catch (error) {
      if (gone.signal.aborted) return;
      if (error instanceof BackendLost) return reset(response);
      this.failures.push(error);
      response.writeHead(500).end(`The fault proxy failed: ${String(error)}`);
    }
  }

  async #exchange(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<Exchange> {
    const { method = 'GET', url: path = '/', headers } = request;
    const sqsOperation = /^AmazonSQS\.(\w+)$/.exec(headers['x-amz-target']?.toString() ?? '')?.[1];
    const operation = sqsOperation ?? s3Operation(method, path);
    const roll = this.#dice.roll(operation);
    const call = { method, path, headers, body: await buffer(request), signal };
    return { service: sqsOperation === undefined ? 's3' : 'sqs', operation, call, roll, response };
  }

  /** @returns the answer, or none for a connection that was reset */
  async #answer(exchange: Exchange): Promise<Answer | undefined> {
    const { service, operation, call, roll } = exchange;
    const isAway = this.#cut.has(service) || (isDeletion(operation) && this.#cut.has('deletions'));
    if (isAway) return reset(exchange.response);
    if (this.#refusesReceives && operation === 'ReceiveMessage') return this.#refuse(exchange, 'throttled');
    const isSlow = roll.happens('slow');
    const isSlowFirst = roll.fraction('slow first') < 0.5;
    if (isSlow && isSlowFirst) await this.#pause(exchange);
    const before = BEFORE.find((fault) => roll.happens(fault));
    if (before) return this.#refuse(exchange, before);
    const answer = await this.#carryOut(service, call, operation, roll);
    if (isSlow && !isSlowFirst) await this.#pause(exchange);
    const after = answer.status < 300 ? AFTER.find((fault) => roll.happens(fault)) : undefined;
    if (!after) return answer;
    if (!Buffer.isBuffer(answer.body)) answer.body.destroy();
    return this.#refuse(exchange, after);
  }

  async #carryOut(service: Service, call: Call, operation: string, roll: Roll): Promise<Answer> {
    return service === 'sqs'
      ? await this.#sqs.carryOut(call, operation, roll)
      : await this.#s3.carryOut(call, operation, roll);
  }

  #refuse(
    { service, roll, response }: Exchange,
    fault: (typeof BEFORE)[number] | (typeof AFTER)[number],
  ): Answer | undefined {
    this.#dice.happened(fault);
    if (fault === 'resetBefore' || fault === 'resetAfter') return reset(response);
    const outage = OUTAGES[service];
    if (fault === 'unavailable') return outage.unavailable();
    return fault === 'throttled' ? outage.throttled(roll.fraction('throttled how')) : outage.failed();
  }

  async #pause({ call, roll }: Exchange): Promise<void> {
    if (this.#healed.signal.aborted) return;
    this.#dice.happened('slow');
    const signal = AbortSignal.any([this.#healed.signal, call.signal]);
    await delay(roll.fraction('how slow') * this.#slowestMs, undefined, { signal }).catch(() => {});
  }
}

function reset(response: ServerResponse): undefined {
  response.socket?.resetAndDestroy();
}

async function send({ call, response }: Exchange, { status, headers, body }: Answer): Promise<void> {
  if (!Buffer.isBuffer(body)) {
    response.writeHead(status, headers);
    return await pipeline(body, response);
  }
  response.writeHead(status, { ...headers, 'content-length': body.byteLength });
  response.end(call.method === 'HEAD' ? undefined : body);
}

function isDeletion(operation: string): boolean {
  return operation === 'DeleteMessage' || operation === 'DeleteMessageBatch';
}
