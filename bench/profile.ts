import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { markdownTable } from '../scripts/generated-docs';

/** The part of a `.cpuprofile` (Chrome DevTools Protocol, `Profiler.Profile`) that is read. */
export interface CpuProfile {
  nodes: ProfileNode[];
  /** Ids of nodes, one for each sample. */
  samples: number[];
  /** Microseconds before each sample. */
  timeDeltas: number[];
}

interface ProfileNode {
  id: number;
  callFrame: { functionName: string; url: string };
  children?: number[];
}

/** Reading code, which happens once and counts nowhere. */
const START = 'start';
const COLLECTOR = 'garbage collection';
const REST = 'Node, and what has no name';

/** Where time goes: the first that matches a frame's URL. What matches none is its caller's. */
const PARTS: readonly (readonly [RegExp, string])[] = [
  [/^node:internal\/modules\//, START],
  [/\/node_modules\/(@aws-sdk|@smithy|@aws-crypto)\//, "AWS's clients"],
  [/\/node_modules\/csv-stringify\//, 'csv-stringify'],
  [/\/node_modules\/(eventsource|eventsource-parser)\//, 'eventsource'],
  [/\/workflow-bundle\.js$/, "Sluice's workflows, with Temporal's library for them"],
  [/\/node_modules\/(@temporalio|protobufjs|rxjs|long)\//, "Temporal's SDK"],
  [/\/node_modules\//, 'other packages'],
  [/^node:zlib/, 'zlib'],
  [
    /^node:(_http|https?|net|internal\/(streams?|stream_base_commons|webstreams|http))/,
    'HTTP, sockets, streams',
  ],
  [/\/dist\//, 'Sluice'],
];

/** Seconds of work by part, of one thread. */
export function partsOf({ nodes, samples, timeDeltas }: CpuProfile): Map<string, number> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const partOf = memoised((id: number): string => {
    const { functionName, url } = byId.get(id)?.callFrame ?? { functionName: '', url: '' };
    const parent = parents.get(id);
    const above = parent === undefined ? REST : partOf(parent);
    // Whatever runs while code is read is part of reading it.
    if (above === START) return START;
    if (functionName === '(garbage collector)') return COLLECTOR;
    if (functionName === '(idle)') return '';
    return PARTS.find(([pattern]) => pattern.test(url))?.[1] ?? above;
  });
  const seconds = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const part = partOf(id);
    if (part === '' || part === START) continue;
    seconds.set(part, (seconds.get(part) ?? 0) + (timeDeltas[index] ?? 0) / 1e6);
  }
  return seconds;
}

/**
 * Where a worker process spent its time: a column for each of its threads that run JavaScript, the busiest first.
 *
 * @param folder of `.cpuprofile` files of one process
 */
export async function profileTable(folder: string): Promise<string> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.cpuprofile'));
  const threads = await Promise.all(
    files.map(async (name) =>
      partsOf(JSON.parse(await readFile(path.join(folder, name), 'utf8')) as CpuProfile),
    ),
  );
  const busy = threads.filter((parts) => sum(parts) > 1).sort((a, b) => sum(b) - sum(a));
  const all = [...new Set(busy.flatMap((parts) => [...parts.keys()]))];
  const share = (parts: ReadonlyMap<string, number>, part: string) =>
    `${Math.round((100 * (parts.get(part) ?? 0)) / sum(parts))} %`;
  const total = (part: string) => busy.reduce((seconds, parts) => seconds + (parts.get(part) ?? 0), 0);
  return markdownTable(
    ['part', ...busy.map((parts, index) => `thread ${index + 1}, ${sum(parts).toFixed(1)} s`)],
    all.sort((a, b) => total(b) - total(a)).map((part) => [part, ...busy.map((parts) => share(parts, part))]),
  );
}

function sum(parts: ReadonlyMap<string, number>): number {
  return [...parts.values()].reduce((all, seconds) => all + seconds, 0);
}

function memoised<K, V>(work: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = work(key);
    known.set(key, made);
    return made;
  };
}
