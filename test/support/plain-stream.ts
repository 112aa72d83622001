import type { ServerResponse } from 'node:http';
import { frame, LocalServer, openStream } from './local-server';

/** One event of a stream that is not Wikimedia's. */
export interface Published {
  data: string;
  id?: string;
  event?: string;
}

/**
 * A server of Server-Sent Events such as anybody writes: a list of events, each with an id or without. Who names an id is sent what
 * stands behind the last event with it; anybody else what comes from now on.
 */
export class PlainStream {
  readonly published: Published[] = [];
  readonly #server: LocalServer;
  readonly #open: Set<ServerResponse>;

  private constructor(server: LocalServer, open: Set<ServerResponse>) {
    this.#server = server;
    this.#open = open;
  }

  /** @param retryMs milliseconds after which clients are to connect again */
  static async start(retryMs = 1): Promise<PlainStream> {
    const open = new Set<ServerResponse>();
    const server = await LocalServer.start(({ headers }, response) => {
      openStream(response, retryMs);
      open.add(response);
      response.once('close', () => open.delete(response));
      for (const event of stream.#behind(headers['last-event-id']?.toString()))
        response.write(frame(event.data, event));
    });
    const stream = new PlainStream(server, open);
    return stream;
  }

  get url(): string {
    return this.#server.url;
  }

  /** Ids that readers asked to resume from; undefined: none. */
  get asked(): (string | undefined)[] {
    return this.#server.requests.map(({ lastEventId }) => lastEventId);
  }

  get connections(): number {
    return this.#open.size;
  }

  publish(...events: Published[]): void {
    this.published.push(...events);
    for (const response of this.#open) for (const event of events) response.write(frame(event.data, event));
  }

  /** Ends every connection in its order: what was published before it arrives. */
  cut(): void {
    for (const response of this.#open) response.end();
    this.#open.clear();
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  #behind(id: string | undefined): Published[] {
    if (id === undefined) return [];
    const last = this.published.findLastIndex((event) => event.id === id);
    return last === -1 ? [] : this.published.slice(last + 1);
  }
}
