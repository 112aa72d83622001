import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { StackError } from './stack-error';

/** The only address that the embedded stack listens on. */
export const HOST = '127.0.0.1';

const given = new Set<number>();

/** A port that nothing listens on, chosen by the operating system; no two calls in a process get the same one. */
export async function freePort(): Promise<number> {
  const server = await listen(0);
  const port = portOf(server);
  await close(server);
  if (given.has(port)) return freePort();
  given.add(port);
  return port;
}

/**
 * Checks a port that a person named for `server`.
 *
 * @throws StackError when the port can't be listened on
 */
export async function requireFreePort(port: number, server: string): Promise<void> {
  try {
    await close(await listen(port));
  } catch (error) {
    throw new StackError(
      `${server} can't listen on port ${port} of ${HOST} (${reasonOf(error)}): end the program that uses it, or name another port.`,
      { cause: error },
    );
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && error.code === 'EADDRINUSE' ? 'it is in use' : error.message;
}

async function listen(port: number): Promise<Server> {
  const server = createServer().listen(port, HOST);
  await once(server, 'listening');
  return server;
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('not a TCP server');
  return address.port;
}
