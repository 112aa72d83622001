import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { SettingsError } from '../settings/setting';

/**
 * Listens at an address that a person set.
 *
 * @param setting its name, for the error
 * @returns where it listens, the host as an IP address
 * @throws SettingsError when nothing can listen there
 */
export async function listenAt(server: Server, hostAndPort: string, setting: string): Promise<AddressInfo> {
  const colon = hostAndPort.lastIndexOf(':');
  const host = hostAndPort.slice(0, colon).replaceAll(/[[\]]/g, '');
  server.listen({ host, port: Number(hostAndPort.slice(colon + 1)) });
  await once(server, 'listening').catch((error: unknown) => {
    throw new SettingsError(`${setting} ${refusal(error)}; it is ${JSON.stringify(hostAndPort)}`);
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new TypeError('not a TCP server');
  return bound;
}

function refusal(error: unknown): string {
  const isInUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
  return isInUse
    ? 'must be an address that no program listens at: end the one that does (another worker?), or name another address'
    : `must be an address that this process can listen at (${error instanceof Error ? error.message : String(error)})`;
}
