import { setTimeout as delay } from 'node:timers/promises';
import { freePort, HOST } from '../../local/ports';
import { type Counts, type OperationCounts, startCountingProxy } from '../counting-proxy';
import { countObjects, createBucket, judge, type LakeRow, readRows } from '../lake';
import type { Measurement } from '../plan';
import { watchProgress } from '../progress';
import { createQueue, depthOf } from '../queue';
import { type Figures, percentile } from '../results';
import { clientsOf } from '../servers/servers';
import { type BenchContext, withEndings } from './context';
import { jobOf, ofProgress, peaksOf, pidsOf, startSource } from './throughput';

/** Between looks at the lake. */
const EVERY_MS = 250;

/** Until the messages of the last rows are deleted. */
const LONGEST_SETTLING_MS = 15_000;

/** Requests of SQS that grow with the events. */
const OF_MESSAGES = /Message/;

/**
 * The whole way, from a stream to objects: rows/s where everything is published at once, the time from publication to object at a
 * rate, and, through counting proxies, requests for every event.
 */
export async function measurePipeline(context: BenchContext, measurement: Measurement): Promise<Figures> {
  const { servers, name, folder, say, peers, nodeOptions } = context;
  const { events, batchRows, rate, counted, limitSeconds } = measurement;
  const { sqs, s3 } = clientsOf(servers.endpoints);
  return await withEndings(async (ending) => {
    ending(async () => (sqs.destroy(), s3.destroy()));
    await createBucket(s3, name);
    const proxies = counted ? await startProxies(servers.endpoints) : undefined;
    if (proxies) ending(() => proxies.stop());
    const endpoints = proxies?.endpoints ?? servers.endpoints;
    const queueUrl = await createQueue(sqs, name, ending);
    const source = await startSource(measurement);
    ending(() => source.stop());
    const metrics = `${HOST}:${await freePort()}`;
    const running = await peers[measurement.peer]({
      ...jobOf(measurement),
      part: 'both',
      sourceUrl: rate === undefined ? `${source.url}?since=2020-01-01T00:00:00Z` : source.url,
      queue: name,
      queueUrl: queueUrl.replace(servers.endpoints.sqs, endpoints.sqs),
      bucket: name,
      endpoints,
      folder,
      nodeOptions,
      ...(counted ? { workerEnvironment: { SLUICE_METRICS_ADDRESS: metrics } } : {}),
      say,
    });
    ending(() => running.stop());
    const progress = await watchProgress({
      count: async () => (await countObjects(s3, name)) * batchRows,
      target: events,
      everyMs: EVERY_MS,
      limitMs: limitSeconds * 1_000 + (rate === undefined ? 0 : (events * 1_000) / rate),
      pids: { ...pidsOf(running), ...servers.pids, source: source.pid },
      requireAlive: () => running.requireAlive(),
    });
    // The last rows are in the lake before their messages are deleted.
    if (counted)
      await settled(
        () => depthOf(sqs, queueUrl),
        (depth) => depth === 0,
      );
    const counts = proxies?.counts();
    const peaks = peaksOf(running);
    // Objects were counted as whole batches: where some had fewer rows, the last of them are still on their way.
    const rows = await settled(
      () => readRows(s3, name),
      (found) => !progress.complete || judge(found, events).lost <= 0,
    );
    return {
      ...(counted ? {} : ofProgress(progress)),
      complete: progress.complete ? 1 : 0,
      ...peaks,
      ...(counts ? requestFigures(counts, rows.length) : {}),
      ...(rate !== undefined && proxies ? latencies(rows, proxies.puts, name) : {}),
      ...(await running.record?.(rows.length)),
      ...(counted && measurement.peer === 'sluice' ? await heartbeats(metrics, rows.length) : {}),
      ...(progress.complete ? judge(rows, events) : {}),
    };
  });
}

async function startProxies({ sqs, s3 }: { sqs: string; s3: string }) {
  const [queue, lake] = [await startCountingProxy(sqs), await startCountingProxy(s3)];
  return {
    endpoints: { sqs: queue.url, s3: lake.url },
    puts: lake.puts,
    counts: () => ({ sqs: queue.counts(), s3: lake.counts() }),
    stop: () => Promise.all([queue.stop(), lake.stop()]),
  };
}

/** Looks again until it is as it should be, or has had its time. */
async function settled<T>(look: () => Promise<T>, isSettled: (seen: T) => boolean): Promise<T> {
  const deadline = performance.now() + LONGEST_SETTLING_MS;
  let seen = await look();
  while (performance.now() < deadline && !isSettled(seen)) {
    await delay(EVERY_MS);
    seen = await look();
  }
  return seen;
}

/** Of the whole run: a part of it would count sends of other events than receives. What is asked once at the start is left out. */
function requestFigures({ sqs, s3 }: { sqs: Counts; s3: Counts }, events: number): Figures {
  const ofMessages = Object.entries(sqs.byOperation).filter(([name]) => OF_MESSAGES.test(name));
  const sum = (of: (operation: OperationCounts) => number) =>
    ofMessages.reduce((total, [, operation]) => total + of(operation), 0) / events;
  return {
    sqsRequestsPerEvent: sum(({ requests }) => requests),
    sqsBilledPerEvent: sum(({ billed }) => billed),
    sqsBytesPerEvent: sum(({ bytes }) => bytes),
    s3RequestsPerEvent: (s3.byOperation.PUT?.requests ?? 0) / events,
    ...Object.fromEntries(
      ofMessages.map(([name, { requests }]) => [`SQS per event: ${name}`, requests / events]),
    ),
  };
}

/**
 * From the event's own time to S3's answer to the PUT of its object, for the later half of the time: what was published earlier met a
 * pipeline that was starting, or that was catching up.
 */
function latencies(rows: readonly LakeRow[], puts: ReadonlyMap<string, number>, bucket: string): Figures {
  const times = rows.map(({ publishedAt }) => publishedAt).sort((a, b) => a - b);
  const middle = ((times[0] ?? NaN) + (times.at(-1) ?? NaN)) / 2;
  const waits = rows
    .filter(({ publishedAt }) => publishedAt >= middle)
    .map(({ object, publishedAt }) => {
      const put = puts.get(`/${bucket}/${object.split('/').map(encodeURIComponent).join('/')}`);
      if (put === undefined) throw new Error(`No PUT of ${object} went through the proxy`);
      return put - publishedAt;
    });
  if (waits.length === 0) return {};
  return { p50Ms: percentile(waits, 50), p99Ms: percentile(waits, 99), maxMs: Math.max(...waits) };
}

/** Heartbeats that reached the server: a history does not hold them, and a bill does. */
async function heartbeats(address: string, rows: number): Promise<Figures> {
  const text = await (await fetch(`http://${address}/metrics`)).text();
  const of = (taskQueue: string) =>
    text
      .split('\n')
      .filter((line) => /^temporal_request(_total)?\{/.test(line))
      .filter((line) => line.includes('operation="RecordActivityTaskHeartbeat"'))
      .filter((line) => !/task_queue="/.test(line) || line.includes(`task_queue="${taskQueue}"`))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  return { heartbeatsPer100Rows: (of('sluice-batch') * 100) / rows };
}
