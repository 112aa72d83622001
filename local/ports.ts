import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { StackError } from './stack-error';

/** The only address that the embedded stack listens on. */
export const HOST = '127.0.0.1';

/**
 * Where free ports are looked for: below those that Linux (32768 and up), macOS and Windows (49152 and up) give to
 * outgoing connections. One of those can be some client's own by the time that a server listens on it.
 */
export const FREE_PORTS = { from: 10_000, to: 32_767 };

const given = new Set<number>();

/** A port that nothing listens on, chosen at random from FREE_PORTS; no two calls in a process get the same one. */
export async function freePort(): Promise<number> {
  const port = randomInt(FREE_PORTS.from, FREE_PORTS.to + 1);
  if (given.has(port) || !(await isFree(port))) return freePort();
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

async function isFree(port: number): Promise<boolean> {
  try {
    await close(await listen(port));
    return true;
  } catch (error) {
    // EACCES: Windows keeps ranges for itself.
    if (codeOf(error) === 'EADDRINUSE' || codeOf(error) === 'EACCES') return false;
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return codeOf(error) === 'EADDRINUSE' ? 'it is in use' : error.message;
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
