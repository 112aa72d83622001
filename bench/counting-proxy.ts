import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request as open, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { HOST } from '../local/ports';

/** SQS bills a request for every 64 KB of payload that it carries (SQS pricing). */
const BILLED_BYTES = 64 * 1024;

export interface OperationCounts {
  requests: number;
  /** As SQS bills them. */
  billed: number;
  /** Of bodies, both ways. */
  bytes: number;
}

/** What went through so far. */
export interface Counts {
  /** SQS's operation, or the HTTP method. */
  byOperation: Record<string, OperationCounts>;
}

/** A proxy in front of SQS or S3 that counts. It costs time, so what is counted through it is not timed. */
export interface CountingProxy {
  url: string;
  pid: number;
  counts(): Counts;
  /** Epoch milliseconds at which each PUT was answered, by path. */
  puts: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

/** Starts one on a free port of loopback. */
export async function startCountingProxy(target: string): Promise<CountingProxy> {
  const counts: Counts = { byOperation: {} };
  const puts = new Map<string, number>();
  const agent = new Agent({ keepAlive: true });

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    const upstream = open(new URL(target).origin + request.url, {
      agent,
      method: request.method,
      // The Host header stays the client's: it is signed.
      headers: request.headers,
    });
    upstream.end(body);
    const [answer] = (await once(upstream, 'response')) as [IncomingMessage];
    const answered = await buffer(answer);
    const operation = operationOf(request);
    const payload = Math.max(body.byteLength, answered.byteLength);
    const count = (counts.byOperation[operation] ??= { requests: 0, billed: 0, bytes: 0 });
    count.requests += 1;
    count.billed += Math.max(1, Math.ceil(payload / BILLED_BYTES));
    count.bytes += body.byteLength + answered.byteLength;
    if (operation === 'PUT') puts.set(new URL(request.url ?? '/', target).pathname, Date.now());
    const { 'transfer-encoding': _, ...headers } = answer.headers;
    response.writeHead(answer.statusCode ?? 502, { ...headers, 'content-length': answered.byteLength });
    response.end(answered);
  }

  const server = createServer((request, response) => {
    pass(request, response).catch(() => response.destroy());
  });
  await once(server.listen(0, HOST), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${HOST}:${port}`,
    pid: process.pid,
    counts: () => structuredClone(counts),
    puts,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await once(server, 'close');
    },
  };
}

/** The operation of SQS's JSON protocol, else the HTTP method. */
function operationOf({ headers, method = '' }: IncomingMessage): string {
  const target = headers['x-amz-target'];
  return typeof target === 'string' ? (target.split('.').at(-1) ?? target) : method;
}
