import { type PeerName, PEERS } from './peers/peer';
import type { ServersName } from './servers/servers';

/** What can be measured, by the names that `--case` takes. */
export const CASES = {
  ingest: 'a published stream into the queue, events/s',
  process: 'a full queue into objects, rows/s',
  'end-to-end': 'a published stream into objects, rows/s',
  backlog: 'the same as process with 100,000 messages waiting',
  requests: 'SQS and S3 requests per event under load, counted by a proxy and not timed',
  latency: 'from publication to object at 50 and 500 events/s, and requests per event',
  scale: 'process with 1, 2, 4, 8 batches in flight and with 1, 2, 4 worker processes',
  sizes: 'events of 1.3 and 20 KB, objects of 100, 300 and 1,000 rows',
  lane: 'one lane with SQS and S3 stubbed: workflow and activities alone',
  heap: 'the heap of a worker after garbage collection, from 10,000 to 200,000 rows',
  packing: 'what several events in one SQS message would give',
} as const;
export type CaseName = keyof typeof CASES;

/** One thing to measure. */
export interface Measurement {
  case: CaseName;
  peer: PeerName;
  /** `none`: stubs. */
  servers: ServersName | 'none';
  /** Which path is measured. */
  kind: 'ingest' | 'process' | 'pipeline' | 'lane' | 'heap' | 'packing';
  events: number;
  batchRows: number;
  /** What each event carries beyond its usual 1.3 KB. */
  paddingBytes: number;
  workers: number;
  /** Sluice's batches in flight; the product's own when missing. */
  inFlight?: number;
  /** Where the events come from; the SSE stream when missing. */
  source?: 'kafka';
  /** Events published in a second; all at once when missing. */
  rate?: number;
  /** Whether SQS and S3 are reached through counting proxies. */
  counted: boolean;
  /** Events in one message; packing only. */
  packed?: number;
  /** Seconds after which what was reached counts. */
  limitSeconds: number;
}

export interface Selection {
  cases: readonly CaseName[];
  peers: readonly PeerName[];
  servers: readonly ServersName[];
  /** So much of the usual number of events; the smoke test takes a tenth. Default 1. */
  share?: number;
}

const DEFAULTS = {
  batchRows: 100,
  paddingBytes: 0,
  workers: 1,
  counted: false,
  limitSeconds: 45,
} as const;

const SCRIPTS_LIMIT_SECONDS = 20;

/** moto's own cost grows with its backlog: it gets fewer events. */
const EVENTS = {
  moto: { ingest: 1_500, process: 1_000, pipeline: 1_000, counted: 1_000 },
  fast: { ingest: 30_000, process: 20_000, pipeline: 20_000, counted: 5_000 },
} as const;

const LARGE_EVENT_PADDING = 20_000 - 1_300;

type Part = Pick<Measurement, 'kind' | 'events'> & Partial<Measurement>;

/** One measurement on the fast servers, of Sluice alone. */
function sluice(part: Part): Planned {
  return { ...DEFAULTS, peer: 'sluice', servers: 'fast', ...part };
}

/** The same for everyone; the scripts, whose speed is low and even, are watched for a shorter time. */
function everyone(servers: ServersName, part: Part): Planned[] {
  return PEERS.filter((peer) => peer !== 'bento-packed' || isWholeAtSpeed(servers, part)).map((peer) => {
    const planned = { ...sluice(part), peer, servers };
    return peer === 'scripts' && part.rate === undefined
      ? { ...planned, limitSeconds: SCRIPTS_LIMIT_SECONDS }
      : planned;
  });
}

/** Where a pack makes what Bento does without one: the whole way, as fast as it goes. */
function isWholeAtSpeed(servers: ServersName, { kind, rate, counted = false }: Part): boolean {
  return servers === 'fast' && kind === 'pipeline' && rate === undefined && !counted;
}

function onBoth(part: (servers: ServersName) => Part): Planned[] {
  return (['moto', 'fast'] as const).flatMap((servers) => everyone(servers, part(servers)));
}

type Planned = Omit<Measurement, 'case'>;

const MEASUREMENTS: Readonly<Record<CaseName, Planned[]>> = {
  ingest: [
    ...onBoth((servers) => ({ kind: 'ingest', events: EVENTS[servers].ingest })),
    sluice({ kind: 'ingest', events: EVENTS.fast.ingest, source: 'kafka' }),
  ],
  process: onBoth((servers) => ({ kind: 'process', events: EVENTS[servers].process })),
  'end-to-end': onBoth((servers) => ({ kind: 'pipeline', events: EVENTS[servers].pipeline })),
  backlog: everyone('fast', { kind: 'process', events: 100_000, limitSeconds: 60 }),
  requests: onBoth((servers) => ({ kind: 'pipeline', events: EVENTS[servers].counted, counted: true })),
  latency: [
    ...onBoth(() => ({ kind: 'pipeline', events: 2_000, rate: 50, counted: true })),
    ...everyone('fast', { kind: 'pipeline', events: 20_000, rate: 500, counted: true }),
  ],
  scale: [
    ...[1, 2, 4, 8].map((inFlight) => sluice({ kind: 'process', events: 20_000, inFlight })),
    ...[1, 2, 4].map((workers) => sluice({ kind: 'process', events: 20_000, workers })),
  ],
  sizes: [
    ...everyone('fast', { kind: 'ingest', events: 5_000, paddingBytes: LARGE_EVENT_PADDING }),
    ...everyone('fast', { kind: 'process', events: 5_000, paddingBytes: LARGE_EVENT_PADDING }),
    ...[300, 1_000].flatMap((batchRows) => everyone('fast', { kind: 'process', events: 30_000, batchRows })),
  ],
  lane: [
    ...[1, 2, 4, 8].map((inFlight) => ({ kind: 'lane', events: 30_000, inFlight }) as const),
    ...[300, 1_000].map((batchRows) => ({ kind: 'lane', events: 60_000, batchRows }) as const),
  ].map((part) => ({ ...sluice(part), servers: 'none' })),
  heap: [sluice({ kind: 'heap', events: 200_000, limitSeconds: 540 })],
  packing: [1, 5, 20, 50].map((packed) => sluice({ kind: 'packing', events: 20_000, packed })),
};

/** What the fast servers do before the first of them is measured. */
export const WARM_UP: Measurement = {
  case: 'packing',
  ...sluice({ kind: 'packing', events: 60_000, packed: 1 }),
};

/** Everything that is to be measured once, in order: peers of the same thing follow each other. */
export function planOf({ cases, peers, servers, share = 1 }: Selection): Measurement[] {
  const wholeBatches = (events: number, rows: number) =>
    Math.max(2 * rows, Math.round((events * share) / rows) * rows);
  return cases
    .flatMap((name) => MEASUREMENTS[name].map((planned) => ({ case: name, ...planned })))
    .filter(({ peer }) => peers.includes(peer))
    .filter(({ servers: on }) => on === 'none' || servers.includes(on))
    .map((measurement) => ({
      ...measurement,
      events: wholeBatches(measurement.events, measurement.batchRows),
    }));
}

/** What a measurement is called: the same in every run of the same plan. */
export function labelOf(measurement: Measurement): string {
  return [
    measurement.case,
    measurement.servers,
    measurement.peer,
    measurement.kind,
    ...variantOf(measurement),
    `${measurement.events} events`,
  ].join(', ');
}

/** What differs from the defaults, in words. */
export function variantOf(measurement: Measurement): string[] {
  const { source, rate, batchRows, paddingBytes, inFlight, workers, packed, case: name } = measurement;
  return [
    ...(source === undefined ? [] : ['from Kafka']),
    ...(rate === undefined ? [] : [`${rate} events/s`]),
    ...(batchRows === DEFAULTS.batchRows ? [] : [`${batchRows} rows a batch`]),
    ...(paddingBytes === 0 ? [] : ['20 KB events']),
    ...(inFlight === undefined ? [] : [`${inFlight} in flight`]),
    ...(workers === DEFAULTS.workers && !(name === 'scale' && inFlight === undefined)
      ? []
      : [`${workers} worker processes`]),
    ...(packed === undefined ? [] : [`${packed} events a message`]),
  ];
}
