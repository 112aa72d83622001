import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DEFAULT_COLUMNS } from '../../src/rows/columns';
import { loadPipeline } from '../../src/settings/pipeline';
import { createBucket, judge, readRows } from '../lake';
import type { PeerName, Running } from '../peers/peer';
import type { Measurement } from '../plan';
import { startProgram, usageOf } from '../processes';
import { type Progress, watchProgress } from '../progress';
import { createQueue, depthOf, eventTexts, fillQueue } from '../queue';
import type { Figures } from '../results';
import { clientsOf } from '../servers/servers';
import { type BenchContext, withEndings } from './context';

/** Between looks at a queue's depth. */
const EVERY_MS = 100;

const STABLE_MS = 1_000;

const SOURCE = path.join(__dirname, '../source.ts');

/** Starts the source of a measurement. @returns its URL, from its first event on, and its process */
export async function startSource({ events, rate, paddingBytes, source: kind }: Measurement) {
  const source = await startProgram(SOURCE, [
    `--events=${events}`,
    `--padding=${paddingBytes}`,
    ...(kind === 'kafka' ? ['--kafka'] : []),
    ...(rate === undefined ? [] : [`--rate=${rate}`]),
  ]);
  return { ...source, url: source.line };
}

/** Events/s of a published stream into a queue. */
export async function measureIngest(context: BenchContext, measurement: Measurement): Promise<Figures> {
  const { servers, name, folder, say, peers, nodeOptions } = context;
  const { sqs, s3 } = clientsOf(servers.endpoints);
  return await withEndings(async (ending) => {
    ending(async () => (sqs.destroy(), s3.destroy()));
    const queueUrl = await createQueue(sqs, name, ending);
    await createBucket(s3, name);
    const source = await startSource(measurement);
    ending(() => source.stop());
    const running = await peers[measurement.peer]({
      ...jobOf(measurement),
      part: 'ingest',
      // The scripts and Bento ask for the beginning in the URL; Sluice replaces what stands there by its own cursor.
      sourceUrl: measurement.source === 'kafka' ? source.url : `${source.url}?since=2020-01-01T00:00:00Z`,
      queue: name,
      queueUrl,
      bucket: name,
      endpoints: servers.endpoints,
      folder,
      nodeOptions,
      say,
    });
    ending(() => running.stop());
    const perMessage = eventsPerMessage(measurement.peer);
    const depth = () => depthOf(sqs, queueUrl);
    const progress = await watchProgress({
      count: async () => (await depth()) * perMessage,
      target: measurement.events,
      everyMs: EVERY_MS,
      limitMs: measurement.limitSeconds * 1_000,
      pids: { ...pidsOf(running), ...servers.pids, source: source.pid },
      requireAlive: () => running.requireAlive(),
    });
    // Packs may have been sent before they were full.
    const isEstimate = perMessage > 1 && progress.complete;
    const share = isEstimate ? measurement.events / ((await stable(depth)) * perMessage) : 1;
    return { ...ofProgress(progress, share), ...peaksOf(running) };
  });
}

/** Of a queue that Sluice fills, or that is filled for it; others send each event by itself. */
function eventsPerMessage(peer: PeerName): number {
  return peer === 'sluice' ? loadPipeline({}).packEvents : 1;
}

/** What is the same for a second. */
async function stable(look: () => Promise<number>): Promise<number> {
  for (let before = await look(); ;) {
    await delay(STABLE_MS);
    const now = await look();
    if (now === before) return now;
    before = now;
  }
}

/** Rows/s of a queue that is full when it begins. */
export async function measureProcess(context: BenchContext, measurement: Measurement): Promise<Figures> {
  const { servers, name, folder, say, peers, nodeOptions } = context;
  const { events, paddingBytes } = measurement;
  const { sqs, s3 } = clientsOf(servers.endpoints);
  return await withEndings(async (ending) => {
    ending(async () => (sqs.destroy(), s3.destroy()));
    const queueUrl = await createQueue(sqs, name, ending);
    await createBucket(s3, name);
    const perMessage = eventsPerMessage(measurement.peer);
    await fillQueue(sqs, queueUrl, eventTexts(events, paddingBytes), perMessage);
    const silent = await startSource({ ...measurement, events: 0 });
    ending(() => silent.stop());
    const running = await peers[measurement.peer]({
      ...jobOf(measurement),
      part: 'process',
      sourceUrl: silent.url,
      queue: name,
      queueUrl,
      bucket: name,
      endpoints: servers.endpoints,
      folder,
      nodeOptions,
      say,
    });
    ending(() => running.stop());
    const progress = await watchProgress({
      // A message is deleted when its row is in the lake.
      count: async () => events - (await depthOf(sqs, queueUrl)) * perMessage,
      target: events,
      everyMs: EVERY_MS,
      limitMs: measurement.limitSeconds * 1_000,
      pids: { ...pidsOf(running), ...servers.pids },
      requireAlive: () => running.requireAlive(),
    });
    const peaks = peaksOf(running);
    const rows = await readRows(s3, name);
    return {
      ...ofProgress(progress),
      ...peaks,
      ...(await running.record?.(rows.length)),
      ...(progress.complete ? judge(rows, events) : {}),
    };
  });
}

/** What a job takes from a measurement. */
export function jobOf({ batchRows, workers, inFlight }: Measurement) {
  return { batchRows, workers, inFlight, columns: DEFAULT_COLUMNS };
}

export function pidsOf({ processes }: Running): Record<string, number> {
  return Object.fromEntries(Object.entries(processes).map(([name, { pid }]) => [name, pid]));
}

/** Peak memory of each process of a peer, in MB. */
export function peaksOf(running: Running): Figures {
  return Object.fromEntries(
    Object.entries(pidsOf(running)).map(([name, pid]) => [`peakRssMb: ${name}`, usageOf(pid).peakRssMb]),
  );
}

/** @param share of what was counted that was there */
export function ofProgress({ perSecond, cpuMsPerEvent, complete }: Progress, share = 1): Figures {
  return {
    perSecond: perSecond * share,
    complete: complete ? 1 : 0,
    ...Object.fromEntries(
      Object.entries(cpuMsPerEvent).map(([name, value]) => [`cpuMsPerEvent: ${name}`, value / share]),
    ),
  };
}
