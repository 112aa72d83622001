import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../src/package-root';
import { markdownTable, withTable } from '../scripts/generated-docs';
import { PEERS, type PeerName } from './peers/peer';
import { type CaseName, type Measurement, variantOf } from './plan';
import { median, type Result, summarise, type Summary } from './results';

/** The page whose tables are made from results. */
export const PAGE = path.join(packageRoot, 'docs/performance.md');

/** What a cell says of what was not measured. */
const NONE = '–';

const NAMES: Record<PeerName, string> = {
  sluice: 'Sluice',
  scripts: 'scripts',
  bento: 'Bento',
  'bento-packed': 'Bento packed',
};

/** What `npm run bench` prints: a line for each thing that was measured, with the medians of its rounds. */
export function tableOf(results: readonly Result[]): string[] {
  const rows = [...summarise(results).values()].map(({ measurement, figures, rounds }) => [
    measurement.case,
    what(measurement),
    measurement.servers,
    NAMES[measurement.peer],
    number(figures.perSecond),
    number(figures.p50Ms),
    number(figures.p99Ms),
    number(figures.sqsRequestsPerEvent),
    number(figures.s3RequestsPerEvent),
    number(sumOf(figures, 'cpuMsPerEvent: ', ofPeer)),
    number(sumOf(figures, 'peakRssMb: ', ofPeer)),
    number(figures.lost),
    number(figures.repeated),
    String(rounds),
  ]);
  return aligned([
    [
      'case',
      'of what',
      'servers',
      'peer',
      'per second',
      'p50 ms',
      'p99 ms',
      'SQS/event',
      'S3/event',
      'CPU ms/event',
      'peak MB',
      'lost',
      'repeated',
      'rounds',
    ],
    ...rows,
  ]);
}

/** Writes the tables of docs/performance.md. */
export function writeReport(results: readonly Result[]): void {
  writeFileSync(PAGE, reported(readFileSync(PAGE, 'utf8'), results));
}

/** The page with its tables as these results make them. */
export function reported(page: string, results: readonly Result[]): string {
  return Object.entries(TABLES).reduce(
    (text, [name, make]) => withTable(text, `bench ${name}`, make(results)),
    page,
  );
}

type Table = (results: readonly Result[]) => string;

const TABLES: Record<string, Table> = {
  machine: (results) => {
    const machines = new Set(
      results.map(
        ({ machine: { cores, cpu, memoryGb, node } }) =>
          `${cores} cores (${cpu}), ${memoryGb} GB, Node ${node}`,
      ),
    );
    const commits = [...new Set(results.map(({ commit }) => commit))];
    const days = results.map(({ at }) => at.slice(0, 10)).sort();
    if (results.length === 0) return 'Nothing is measured yet.';
    return `On ${[...machines].join('; ')}. Code: ${commits.join(', ')}. ${days[0]} to ${days.at(-1)}.`;
  },
  chart: (results) => chartOf(results, ['ingest', 'process', 'end-to-end']),
  throughput: (results) => compared(results, ['ingest', 'process', 'end-to-end', 'backlog', 'sizes']),
  requests: (results) =>
    listed(results, ['requests', 'latency'], {
      'SQS requests per event': 'sqsRequestsPerEvent',
      'as billed': 'sqsBilledPerEvent',
      'S3 requests per event': 's3RequestsPerEvent',
    }),
  latency: (results) =>
    listed(results, ['latency'], { 'p50, ms': 'p50Ms', 'p99, ms': 'p99Ms', 'longest, ms': 'maxMs' }),
  temporal: (results) =>
    listed(
      results.filter(({ measurement }) => measurement.peer === 'sluice'),
      ['lane', 'process', 'requests', 'latency'],
      {
        actions: 'temporalActionsPer100Rows',
        heartbeats: 'heartbeatsPer100Rows',
        'workflow tasks': 'workflowTasksPer100Rows',
        'history, KB': 'historyKbPer100Rows',
      },
    ),
  cost: (results) => costs(results, ['ingest', 'process', 'end-to-end']),
  scale: (results) =>
    listed(results.map(withAllWorkers), ['scale'], {
      'rows/s': 'perSecond',
      'CPU ms per row: workers together': ALL_WORKERS,
      'CPU ms per row: dev server': 'cpuMsPerEvent: Temporal dev server',
    }),
  lane: (results) =>
    listed(results, ['lane'], {
      'rows/s': 'perSecond',
      'CPU ms per row: worker': 'cpuMsPerEvent: worker',
      'CPU ms per row: dev server': 'cpuMsPerEvent: Temporal dev server',
    }),
  heap: (results) =>
    listed(results, ['heap'], {
      'rows/s, early': 'perSecondEarly',
      'rows/s, late': 'perSecondLate',
      'activities, MB, early': 'heapMb early: activities',
      late: 'heapMb late: activities',
      'workflows, MB, early': 'heapMb early: workflows',
      'late ': 'heapMb late: workflows',
    }),
  packing: (results) =>
    listed(results, ['packing'], {
      'events/s sent': 'sentPerSecond',
      'rows/s received': 'perSecond',
      'SQS requests per event': 'sqsRequestsPerEvent',
      'as billed': 'sqsBilledPerEvent',
      'CPU ms per event: sending': 'cpuMsPerEvent: sending',
      receiving: 'cpuMsPerEvent: receiving',
    }),
};

const ALL_WORKERS = 'cpuMsPerEvent: all workers';

/** With what all worker processes take together: each is measured by itself. */
function withAllWorkers(result: Result): Result {
  const ofWorkers = Object.entries(result.figures).filter(([name]) => /^cpuMsPerEvent: worker\b/.test(name));
  const sum = ofWorkers.reduce((total, [, value]) => total + value, 0);
  return { ...result, figures: { ...result.figures, [ALL_WORKERS]: sum } };
}

/** A bar for each peer and case on the fast servers, for whoever draws Mermaid, as GitHub does. */
function chartOf(results: readonly Result[], cases: readonly CaseName[]): string {
  const bars = [...summarise(of(results, cases)).values()].flatMap(({ measurement, figures }) => {
    const { servers, peer, source } = measurement;
    if (servers !== 'fast' || source !== undefined || figures.perSecond === undefined) return [];
    return [{ label: `${measurement.case}, ${NAMES[peer]}`, value: Math.round(figures.perSecond) }];
  });
  if (bars.length === 0) return 'Nothing is measured yet.';
  const top = 1_000 * Math.ceil(Math.max(...bars.map(({ value }) => value)) / 1_000);
  return [
    '```mermaid',
    'xychart-beta horizontal',
    `  x-axis [${bars.map(({ label }) => JSON.stringify(label)).join(', ')}]`,
    `  y-axis "events or rows in a second" 0 --> ${top}`,
    `  bar [${bars.map(({ value }) => value).join(', ')}]`,
    '```',
  ].join('\n');
}

/** One line for a measurement, one column for a peer, and how Sluice stands to the others. */
function compared(results: readonly Result[], cases: readonly CaseName[]): string {
  const summaries = [...summarise(of(results, cases)).values()];
  const lines = new Map<string, Partial<Record<PeerName, Summary>>>();
  for (const summary of summaries) {
    const line = JSON.stringify(cellsOf(summary.measurement));
    lines.set(line, { ...lines.get(line), [summary.measurement.peer]: summary });
  }
  return markdownTable(
    [
      'what',
      'of what',
      'servers',
      ...PEERS.map((peer) => `${NAMES[peer]}, /s`),
      'to scripts',
      'to Bento',
      'to Bento packed',
      'rounds',
    ],
    [...lines].map(([line, peers]) => [
      ...(JSON.parse(line) as string[]),
      ...PEERS.map((peer) => withSpread(peers[peer], 'perSecond')),
      ratio(results, peers.sluice, peers.scripts),
      ratio(results, peers.sluice, peers.bento),
      ratio(results, peers.sluice, peers['bento-packed']),
      String(Math.min(...Object.values(peers).map(({ rounds }) => rounds))),
    ]),
  );
}

/** One line for a measurement and peer, one column for a figure. */
function listed(
  results: readonly Result[],
  cases: readonly CaseName[],
  figures: Readonly<Record<string, string>>,
): string {
  const summaries = [...summarise(of(results, cases)).values()];
  return markdownTable(
    ['what', 'of what', 'servers', 'peer', ...Object.keys(figures), 'rounds'],
    summaries.map((summary) => [
      ...cellsOf(summary.measurement),
      NAMES[summary.measurement.peer],
      ...Object.values(figures).map((name) => withSpread(summary, name)),
      String(summary.rounds),
    ]),
  );
}

/** CPU time and peak memory of each process. */
function costs(results: readonly Result[], cases: readonly CaseName[]): string {
  const rows = [...summarise(of(results, cases)).values()].flatMap((summary) => {
    const processes = Object.keys(summary.figures).flatMap((name) =>
      name.startsWith('cpuMsPerEvent: ') ? [name.slice('cpuMsPerEvent: '.length)] : [],
    );
    return processes.map((process) => [
      ...cellsOf(summary.measurement),
      NAMES[summary.measurement.peer],
      process,
      number(summary.figures[`cpuMsPerEvent: ${process}`]),
      number(summary.figures[`peakRssMb: ${process}`]),
    ]);
  });
  return markdownTable(
    ['what', 'of what', 'servers', 'peer', 'process', 'CPU ms per event', 'peak memory, MB'],
    rows,
  );
}

/** Of each round by itself, then their median: peers meet the same machine in a round, not in another one. */
function ratio(results: readonly Result[], one: Summary | undefined, other: Summary | undefined): string {
  if (!one || !other) return NONE;
  const inRound = (summary: Summary) =>
    new Map(
      results
        .filter(({ measurement }) => sameMeasurement(measurement, summary.measurement))
        .map(({ round, figures }) => [round, figures.perSecond]),
    );
  const others = inRound(other);
  const ratios = [...inRound(one)].flatMap(([round, rate]) => {
    const otherRate = others.get(round);
    return rate === undefined || otherRate === undefined ? [] : [rate / otherRate];
  });
  return ratios.length === 0 ? NONE : `${number(median(ratios))} ×`;
}

function sameMeasurement(one: Measurement, other: Measurement): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function of(results: readonly Result[], cases: readonly CaseName[]): Result[] {
  return cases.flatMap((name) => results.filter(({ measurement }) => measurement.case === name));
}

function cellsOf(measurement: Measurement): string[] {
  const name = measurement.case === 'sizes' ? measurement.kind : measurement.case;
  return [name, what(measurement), measurement.servers];
}

function what(measurement: Measurement): string {
  return [...variantOf(measurement), `${measurement.events.toLocaleString('en')} events`].join(', ');
}

function withSpread(summary: Summary | undefined, name: string): string {
  const value = summary?.figures[name];
  const [least, most] = summary?.spread[name] ?? [];
  if (!summary || value === undefined) return NONE;
  return summary.rounds === 1 || least === most
    ? number(value)
    : `${number(value)} (${number(least)}–${number(most)})`;
}

/** A peer's own processes, and not the servers that all of them use. */
function ofPeer(process: string): boolean {
  return !['moto', 'ElasticMQ', 'MinIO', 'source'].includes(process);
}

function sumOf(
  figures: Readonly<Record<string, number>>,
  prefix: string,
  wanted: (process: string) => boolean,
): number | undefined {
  const values = Object.entries(figures).filter(
    ([name]) => name.startsWith(prefix) && wanted(name.slice(prefix.length)),
  );
  return values.length === 0 ? undefined : values.reduce((sum, [, value]) => sum + value, 0);
}

/** Three digits, for no measurement here has more. */
function number(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return NONE;
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}

function aligned(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
