import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP connection that can be cut, stalled and measured: what is between a source and its server. */
export class TcpLink {
  /** Bytes that the server has sent through it. */
  received = 0;
  /** How often somebody connected. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isStalled = false;
  #isBroken = false;

  private constructor(target: () => number) {
    this.#server = createServer((client) => this.#join(client, target()));
  }

  /** @param target the server's port on 127.0.0.1, asked at each connection */
  static async start(target: () => number): Promise<TcpLink> {
    const link = new TcpLink(target);
    await once(link.#server.listen(0, '127.0.0.1'), 'listening');
    return link;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sockets.size / 2;
  }

  /** Resets what is open; others may come. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Nothing passes, and nothing ends. */
  stall(): void {
    this.#isStalled = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Whoever connects is cut off at once, until {@link mend}. */
  break(): void {
    this.#isBroken = true;
    this.cut();
  }

  mend(): void {
    this.#isBroken = false;
    this.#isStalled = false;
    for (const socket of this.#sockets) socket.resume();
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  #join(client: Socket, port: number): void {
    this.connections += 1;
    if (this.#isBroken) {
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    const server = connect(port, '127.0.0.1');
    server.on('data', (bytes) => (this.received += bytes.length));
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => {});
      from.once('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      // Back-pressure passes through.
      from.pipe(to);
      if (this.#isStalled) from.pause();
    }
  }
}
