import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { eventually } from './eventually';

/** @param count of the request, from 1 */
export type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;

export interface SeenRequest {
  /** Milliseconds, by a clock that never steps. */
  at: number;
  /** Path and query as they were sent. */
  url: string | undefined;
  since: string | null;
  lastEventId: string | undefined;
  userAgent: string | undefined;
}

/** A server on 127.0.0.1 that answers as a test says. */
export class LocalServer {
  readonly requests: SeenRequest[] = [];
  /** Answers under way. */
  open = 0;
  readonly #server: Server;

  private constructor(answer: Answer) {
    this.#server = createServer((request, response) => {
      const id = request.headers['last-event-id']?.toString();
      this.requests.push({
        at: performance.now(),
        url: request.url,
        since: new URL(request.url ?? '/', 'http://localhost').searchParams.get('since'),
        // Node reads each byte of a header as one character.
        lastEventId: id === undefined ? undefined : Buffer.from(id, 'latin1').toString('utf8'),
        userAgent: request.headers['user-agent'],
      });
      this.open += 1;
      response.once('close', () => (this.open -= 1));
      answer(request, response, this.requests.length);
    });
  }

  static async start(answer: Answer, port = 0): Promise<LocalServer> {
    const server = new LocalServer(answer);
    await once(server.#server.listen(port, '127.0.0.1'), 'listening');
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The server is closed');
    return address.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/stream`;
  }

  async asked(count: number): Promise<void> {
    await eventually(`${count} requests`, () => this.requests.length >= count);
  }

  /** Milliseconds between the nth request, counted from 1, and the one after it. */
  gapAfter(count: number): number {
    const [one, other] = this.requests.slice(count - 1);
    if (!one || !other) throw new Error(`There is no request after the ${count}th`);
    return other.at - one.at;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

/** Begins an event stream. */
export function openStream(response: ServerResponse, retryMs?: number): ServerResponse {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  response.write(retryMs === undefined ? ':ok\n\n' : `:ok\n\nretry: ${retryMs}\n\n`);
  return response;
}

/** One event on the wire. */
export function frame(data: string, { id, event }: { id?: string; event?: string } = {}): string {
  return `${event === undefined ? '' : `event: ${event}\n`}${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`;
}
