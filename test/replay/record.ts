/**
 * Records the histories that replay.test.ts replays: `npm run record`. The real workflows run against a real Temporal,
 * with activities that act out what can happen. To be run again when a change of the workflows is meant to break the
 * replay of old histories.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { addSearchAttributes } from '../../src/cli/search-attributes';
import type { PipelineDefinition } from '../../src/pipeline/definition';
import { OWN_SIGNALS } from '../../src/pipeline/names';
import { eventually } from '../support/eventually';
import { definitionOf } from '../support/definition';
import { FakeLane, hopeless, keysOf } from '../support/fake-lane';
import {
  blocked,
  cursorAt,
  done,
  failed,
  FakeStints,
  measuredAt,
  thrown,
  untilCancelled,
} from '../support/fake-stints';
import { historiesOf } from '../support/history';
import { batchStatus, ingestStatus, searchAttributes, startBatch, startIngest } from '../support/pipelines';
import { TestTemporal } from '../support/temporal';

const FOLDER = path.join(__dirname, 'histories');
const MOST_BYTES = 300_000;

/** Twenty rows with it are large enough to be compressed. */
const LONG_TEXT = 'long enough, '.repeat(25);

/** Two batches of full size, a partial one, and everything that can go wrong, over several runs. */
async function recordBatch(temporal: TestTemporal): Promise<void> {
  const lane = new FakeLane();
  const breaks = { claim: true, upload: false, receive: false };
  lane.beforeClaim = () => {
    if (breaks.claim) throw hopeless('The queue belongs to another lane');
  };
  lane.beforeUpload = (count) => {
    if (breaks.upload) throw hopeless('NoSuchBucket');
    if (count === 2) throw new Error('503 SlowDown');
  };
  lane.afterReceive = () => {
    if (!breaks.receive) return;
    breaks.receive = false;
    throw new Error('the answer was lost');
  };
  const handle = await startBatch(
    temporal,
    lane,
    definitionOf({ batch: { rows: 10, flushAfterSeconds: 1 }, windowKeys: 100 }),
    { typedSearchAttributes: searchAttributes },
  );
  const status = () => batchStatus(handle);
  const becomes = (activity: string) =>
    eventually(activity, async () => (await status()).activity === activity);
  const settled = (rows: number) =>
    eventually(`${rows} rows`, () => lane.rowKeys.length === rows && lane.size === 0);

  await becomes('parked');
  breaks.claim = false;
  await handle.signal('resume');
  lane.send(keysOf(25));
  await settled(25);

  lane.send(keysOf(25)); // repeats
  await settled(25);

  breaks.receive = true;
  lane.send(keysOf(10, 26));
  await eventually('a lost receive', async () => (await status()).counts.lostReceives === 1);
  lane.redeliver();
  await settled(35);

  breaks.upload = true;
  lane.send(keysOf(20, 36));
  await becomes('parked');
  lane.redeliver();
  breaks.upload = false;
  await handle.signal('resume');
  await eventually('redeliveries', async () => (await status()).counts.redelivered >= 10);
  await settled(55);

  lane.staleDeletions = 10;
  lane.send(keysOf(10, 56));
  await eventually('deletions that did nothing', () => lane.staleDeletions === 0);
  lane.redeliver();
  await settled(65);

  await handle.signal('pause');
  await becomes('paused');
  await handle.signal(OWN_SIGNALS.askReached);
  await handle.signal('resume');
  lane.send(keysOf(3, 66));
  await eventually('three rows', async () => (await status()).rowsWaiting === 3);
  await handle.signal('flush');
  await settled(68);

  lane.send(keysOf(3, 69));
  await eventually('three rows', async () => (await status()).rowsWaiting === 3);
  const wanted = definitionOf({ batch: { rows: 20, flushAfterSeconds: 2 }, windowKeys: 200 });
  await handle.executeUpdate<number, [PipelineDefinition]>('update', { args: [wanted] });
  await handle.executeUpdate('update').catch(() => {});
  await settled(71);

  await handle.signal('stop');
  await becomes('stopped');
  lane.send(keysOf(100, 72), LONG_TEXT);
  await handle.signal('start');
  await settled(171);
  await write(temporal, 'batch', handle);
  lane.close();
}

async function recordIngest(temporal: TestTemporal): Promise<void> {
  const stints = new FakeStints(
    ...Array.from({ length: 20 }, (_, index) => done(cursorAt(index + 1), 100)),
    failed(cursorAt(20), 'the source is away'),
    untilCancelled(cursorAt(21), 50),
    blocked(cursorAt(22), 'The source answers 403: set SLUICE_CONTACT'),
    thrown(new Error('Something is wrong for good')),
    untilCancelled(cursorAt(23), 50),
    failed(cursorAt(23), 'the source is away'),
    done(cursorAt(24)),
  );
  // Of such a queue ingest takes a look every second.
  const begin = Date.now();
  const retentionSeconds = 8;
  stints.measure = () => measuredAt(begin, 1, retentionSeconds);
  const { handle } = await startIngest(temporal, stints, definitionOf(), {
    typedSearchAttributes: searchAttributes,
  });
  const begun = (count: number) => eventually(`stint ${count}`, () => stints.seen.length === count);
  const becomes = (activity: string) =>
    eventually(activity, async () => (await ingestStatus(handle)).activity === activity);

  await begun(22);
  await handle.signal('pause');
  await becomes('paused');
  await eventually('the stint ended', async () => (await ingestStatus(handle)).counts.stints === 21);
  await handle.signal('resume');
  await begun(23);
  await becomes('parked');
  await handle.signal('resume');
  await begun(24);
  await becomes('parked');
  await handle.signal('resume');
  await begun(25);
  await handle.signal('stop');
  await becomes('stopped');
  await handle.signal('start');
  await begun(26);
  await handle.signal('pause');
  await becomes('paused');
  await handle.signal('resume');
  await begun(28);
  const wanted = definitionOf({ windowKeys: 900 });
  await handle.executeUpdate<number, [PipelineDefinition]>('update', { args: [wanted] });
  await begun(29);
  stints.measure = () => measuredAt(begin + 5_000, 1, retentionSeconds);
  await becomes('parked');
  await handle.signal(OWN_SIGNALS.reached, begin + 5_000);
  await begun(30);
  await handle.signal('stop');
  await becomes('stopped');
  await handle.executeUpdate('remove');
  await write(temporal, 'ingest', handle);
}

/** One file for each run. */
async function write(temporal: TestTemporal, name: string, { workflowId }: WorkflowHandle): Promise<void> {
  const histories = await historiesOf(temporal.client, workflowId);
  for (const [index, history] of histories.entries()) {
    // Stack traces hold paths of this machine.
    const text = historyToJSON(history).replace(/"stackTrace":\s*"(?:[^"\\]|\\.)*"/g, '"stackTrace": ""');
    if (text.length > MOST_BYTES) throw new Error(`${name}-${index + 1} has ${text.length} bytes`);
    await writeFile(path.join(FOLDER, `${name}-${index + 1}.json`), `${text}\n`);
  }
  console.log(`${name}: ${histories.length} runs`);
}

async function record(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  for (const file of await readdir(FOLDER)) await rm(path.join(FOLDER, file));
  const temporal = new TestTemporal({ dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': 100 } });
  try {
    await temporal.start();
    await addSearchAttributes(temporal.client);
    await recordBatch(temporal);
    await recordIngest(temporal);
  } finally {
    await temporal.stop();
  }
}

record().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
