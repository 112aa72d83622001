import type { Say } from '../cache';
import type { PeerName, StartPeer } from '../peers/peer';
import type { Servers } from '../servers/servers';

/** What a measurement runs in. */
export interface BenchContext {
  peers: Record<PeerName, StartPeer>;
  servers: Servers;
  /** Of this measurement alone; gone afterwards. */
  folder: string;
  /** Of queue and bucket: no measurement meets another's. */
  name: string;
  /** Of Sluice's worker processes. */
  nodeOptions: readonly string[];
  say: Say;
}

/** Ends what a measurement started, the newest first, however it ends. */
export async function withEndings<T>(
  work: (ending: (end: () => Promise<unknown>) => void) => Promise<T>,
): Promise<T> {
  const endings: (() => Promise<unknown>)[] = [];
  try {
    return await work((end) => endings.push(end));
  } finally {
    for (let end = endings.pop(); end; end = endings.pop()) await end();
  }
}
