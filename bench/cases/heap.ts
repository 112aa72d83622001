import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { createBucket, judge, readRows } from '../lake';
import type { Measurement } from '../plan';
import { type Progress, watchProgress } from '../progress';
import { createQueue, depthOf, eventTexts, fillQueue, take } from '../queue';
import { type Figures, median } from '../results';
import { clientsOf } from '../servers/servers';
import { type BenchContext, withEndings } from './context';
import { jobOf, ofProgress, peaksOf, pidsOf, startSource } from './throughput';

const PROBE = path.join(__dirname, '../heap-probe.cjs');
const EVERY_MS = 500;

/** The queue server keeps messages in memory: the backlog stays between these. */
const LEAST_WAITING = 20_000;
const SENT_AT_ONCE = 10_000;

/** The first and the last part of a run, as shares of its rows: 10,000 to 30,000 of 200,000, and the last 20,000. */
const EARLY = [0.05, 0.15] as const;
const LATE = [0.9, 1] as const;

/** A worker's heap and speed early and late in a long run. */
export async function measureHeap(context: BenchContext, measurement: Measurement): Promise<Figures> {
  const { servers, name, folder, say, peers } = context;
  const { events, limitSeconds } = measurement;
  const { sqs, s3 } = clientsOf(servers.endpoints);
  return await withEndings(async (ending) => {
    ending(async () => (sqs.destroy(), s3.destroy()));
    const queueUrl = await createQueue(sqs, name, ending);
    await createBucket(s3, name);
    const silent = await startSource({ ...measurement, events: 0 });
    ending(() => silent.stop());
    const feed = new Feed(sqs, queueUrl, events);
    await feed.fill();
    const file = path.join(folder, 'heap.jsonl');
    const running = await peers.sluice({
      ...jobOf(measurement),
      part: 'process',
      sourceUrl: silent.url,
      queue: name,
      queueUrl,
      bucket: name,
      endpoints: servers.endpoints,
      folder,
      nodeOptions: ['--require', PROBE],
      workerEnvironment: { BENCH_HEAP_FILE: file },
      say,
    });
    ending(() => running.stop());
    feed.keepFilled();
    ending(() => feed.stop());
    const began = Date.now();
    const progress = await watchProgress({
      count: () => feed.deleted(),
      target: events,
      from: EARLY[0],
      everyMs: EVERY_MS,
      limitMs: limitSeconds * 1_000,
      pids: { ...pidsOf(running), ...servers.pids },
      requireAlive: () => running.requireAlive(),
    });
    const heap = (await readFile(file, 'utf8'))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as HeapReading);
    return {
      ...ofProgress(progress),
      ...peaksOf(running),
      perSecondEarly: rateBetween(progress, events, EARLY),
      perSecondLate: rateBetween(progress, events, LATE),
      ...heapFigures(heap, (share) => began + timeAt(progress, share * events)),
      ...(progress.complete ? judge(await readRows(s3, name), events) : {}),
    };
  });
}

interface HeapReading {
  /** Epoch milliseconds. */
  at: number;
  thread: 'main' | 'workflows';
  heapMb: number;
}

function heapFigures(readings: readonly HeapReading[], timeOf: (share: number) => number): Figures {
  const between = (thread: HeapReading['thread'], [from, to]: readonly [number, number]) =>
    median(
      readings
        .filter(({ at, thread: of }) => of === thread && at >= timeOf(from) && at <= timeOf(to))
        .map(({ heapMb }) => heapMb),
    );
  return {
    'heapMb early: activities': between('main', EARLY),
    'heapMb late: activities': between('main', LATE),
    'heapMb early: workflows': between('workflows', EARLY),
    'heapMb late: workflows': between('workflows', LATE),
  };
}

function rateBetween(progress: Progress, events: number, [from, to]: readonly [number, number]): number {
  const seconds = (timeAt(progress, to * events) - timeAt(progress, from * events)) / 1_000;
  return ((to - from) * events) / seconds;
}

/** Milliseconds until so many were through; the end of the run where it never was. */
function timeAt({ samples }: Progress, count: number): number {
  return (samples.find(([, seen]) => seen >= count) ?? samples.at(-1))?.[0] ?? NaN;
}

/** Sends events as they are taken. */
class Feed {
  readonly #sqs: SQSClient;
  readonly #queueUrl: string;
  readonly #texts;
  readonly #stopping = new AbortController();
  #sent = 0;
  #sending: Promise<void> = Promise.resolve();

  constructor(sqs: SQSClient, queueUrl: string, events: number) {
    this.#sqs = sqs;
    this.#queueUrl = queueUrl;
    this.#texts = eventTexts(events, 0);
  }

  async fill(): Promise<boolean> {
    const next = take(this.#texts, SENT_AT_ONCE);
    await fillQueue(this.#sqs, this.#queueUrl, next.values(), 1);
    this.#sent += next.length;
    return next.length > 0;
  }

  keepFilled(): void {
    this.#sending = this.#keepFilled();
  }

  async #keepFilled(): Promise<void> {
    let hasMore = true;
    while (hasMore && !this.#stopping.signal.aborted) {
      if ((await depthOf(this.#sqs, this.#queueUrl)) < LEAST_WAITING) hasMore = await this.fill();
      else await delay(EVERY_MS);
    }
  }

  /** Sent and no longer in the queue. While it sends, fewer than it was. */
  async deleted(): Promise<number> {
    const sent = this.#sent;
    return Math.max(0, sent - (await depthOf(this.#sqs, this.#queueUrl)));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#sending;
  }
}
