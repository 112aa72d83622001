import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** The only way from one worker to Temporal, which can be cut. */
export interface TemporalLink {
  /** What TEMPORAL_ADDRESS is to be. */
  address: string;
  /** `silent`: connections stay and nothing passes. `reset`: they end, and so does each new one. */
  cut(how: 'silent' | 'reset'): void;
  mend(): void;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';

/** @param target host and port of a server, which may be away for a while */
export async function startTemporalLink(target: string): Promise<TemporalLink> {
  const link = new Link(target);
  await link.listen();
  return link;
}

class Link implements TemporalLink {
  readonly #port: number;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #state: 'whole' | 'silent' | 'reset' = 'whole';

  constructor(target: string) {
    this.#port = Number(target.split(':')[1]);
    this.#server = createServer((client) => this.#connect(client));
  }

  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The link is closed');
    return `${HOST}:${address.port}`;
  }

  async listen(): Promise<void> {
    await once(this.#server.listen(0, HOST), 'listening');
  }

  cut(how: 'silent' | 'reset'): void {
    this.#state = how;
    if (how === 'reset') this.#destroyAll();
    else for (const pair of this.#pairs) hush(pair);
  }

  mend(): void {
    this.#state = 'whole';
    for (const pair of this.#pairs) join(pair);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#destroyAll();
    await once(this.#server, 'close');
  }

  #connect(client: Socket): void {
    if (this.#state === 'reset') {
      client.on('error', () => {}).destroy();
      return;
    }
    const pair = [client, connect(this.#port, HOST)] as const;
    this.#pairs.add(pair);
    for (const socket of pair) {
      socket.on('error', () => {});
      socket.once('close', () => this.#end(pair));
    }
    if (this.#state === 'whole') join(pair);
  }

  #destroyAll(): void {
    for (const pair of this.#pairs) this.#end(pair);
  }

  #end(pair: readonly [Socket, Socket]): void {
    this.#pairs.delete(pair);
    for (const socket of pair) socket.destroy();
  }
}

function join([client, server]: readonly [Socket, Socket]): void {
  client.pipe(server);
  server.pipe(client);
}

function hush(pair: readonly [Socket, Socket]): void {
  for (const socket of pair) {
    socket.unpipe();
    socket.pause();
  }
}
