import type { Say } from '../cache';
import type { BenchProcess } from '../processes';
import type { Endpoints } from '../servers/servers';

/** What is compared. */
export const PEERS = ['sluice', 'scripts', 'bento', 'bento-packed'] as const;
export type PeerName = (typeof PEERS)[number];

/** Which half of the job is done: the stream into the queue, the queue into objects, or both. */
export type Part = 'ingest' | 'process' | 'both';

/** The same job for everyone. */
export interface Job {
  part: Part;
  /** The stream, from its first event on. */
  sourceUrl: string;
  /** Both are there. */
  queue: string;
  queueUrl: string;
  bucket: string;
  batchRows: number;
  /** As in SLUICE_COLUMNS. */
  columns: string;
  endpoints: Endpoints;
  /** For logs and state; gone afterwards. */
  folder: string;
  /** Worker processes of Sluice. */
  workers: number;
  /** Batches that Sluice uploads at once; the product's own when undefined. */
  inFlight: number | undefined;
  /** Of Node.js, for Sluice's worker processes. */
  nodeOptions: readonly string[];
  /** Further environment variables of theirs. */
  workerEnvironment?: Record<string, string>;
  say: Say;
}

/** A peer at work. */
export interface Running {
  /** Of its processes, by what to call them in a table. */
  processes: Record<string, Pick<BenchProcess, 'pid'>>;
  requireAlive(): void;
  /** What Temporal recorded of it; only Sluice has any. */
  record?(rows: number): Promise<Record<string, number>>;
  stop(): Promise<void>;
}

export type StartPeer = (job: Job) => Promise<Running>;

/** A peer that is nothing but its processes. */
export function together(processes: Record<string, BenchProcess>): Running {
  const all = Object.values(processes);
  return {
    processes,
    requireAlive: () => all.forEach((one) => one.requireAlive()),
    stop: async () => {
      await Promise.all(all.map((one) => one.stop()));
    },
  };
}
