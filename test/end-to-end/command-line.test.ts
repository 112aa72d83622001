import assert from 'node:assert/strict';
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { Queue } from '../../src/queue/queue';
import { eventually } from '../support/eventually';
import { type Output, Pipeline } from './pipeline';

const BUCKET = 'sse-bucket';

const COLUMNS = 'event_id=meta.id,title,topic=meta.topic,partition=meta.partition,offset=meta.offset';
const HEADER = 'event_id,title,topic,partition,offset,_key';

describe('A day with the command line', function () {
  this.timeout(600_000);
  let pipeline: Pipeline;

  before(async () => {
    pipeline = await Pipeline.create(
      // Broken in a way that leaves their offsets readable, so that everything can be checked.
      { seed: 4, events: 700, broken: 2, brokenKinds: ['too-large'], ratePerSecond: 12 },
      { SLUICE_BATCH_ROWS: '20', SLUICE_VISIBILITY_TIMEOUT: '8s', SLUICE_FLUSH_AFTER: '2m' },
    );
    pipeline.startWorker();
  });

  after(() => pipeline.close());

  async function fails(running: Promise<unknown>, code: number, says: RegExp): Promise<void> {
    await assert.rejects(running, (error: Error & { code?: number } & Partial<Output>) => {
      assert.match(error.stderr || error.stdout || '', says);
      assert.equal(error.code, code, error.stderr);
      return true;
    });
  }

  const json = async (...args: string[]): Promise<unknown> =>
    JSON.parse(await pipeline.sluice(...args, '--json'));
  const rows = async () => (await pipeline.status()).batch.counts.rows;
  const activities = async () => {
    const { ingest, batch } = await pipeline.status();
    return [ingest.activity, batch.activity];
  };
  const become = (...wanted: string[]) =>
    eventually(wanted.join(), async () => (await activities()).join() === wanted.join());

  /** Whatever a test that failed has left. */
  async function makeItRun(): Promise<void> {
    const found = await activities().catch(() => []);
    if (found.join() === 'running,running') return;
    for (const command of ['provision', 'start', 'resume']) await pipeline.sluice(command);
    await become('running', 'running');
  }

  async function lastHeader(): Promise<string> {
    const { lastObject: Key } = (await pipeline.status()).batch;
    const { Body } = await pipeline.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
    const [header = ''] = ((await Body?.transformToString()) ?? '').split('\n', 1);
    return header;
  }

  it('says what is wrong with options and settings, and ends with 2', async () => {
    await fails(pipeline.sluice('sratt'), 2, /unknown command 'sratt'.*\n.*start/);
    await fails(pipeline.sluice('pause', 'everything'), 2, /Allowed choices are ingest, lane, both/);
    const wrong = { SLUICE_QUEUE: 'a.fifo', SLUICE_WINDOW: '1' };
    await fails(pipeline.sluiceWith(wrong, 'status'), 2, /^SLUICE_QUEUE must .*\nSLUICE_WINDOW must /);
    await fails(pipeline.sluice('verify', '--since', 'yesterday'), 2, /^--since must .*yesterday/);
    await fails(pipeline.sluice('verify', '--grace', '2h'), 2, /^--grace must .*2h/);
    await fails(pipeline.sluice('rejected', 'list', '--limit', 'abc'), 2, /^--limit must be 1 or more/);
    await fails(pipeline.sluice('rejected', 'again'), 2, /^Name one digest, or give --all/);
    assert.match(await pipeline.sluice('update', '--help'), /Exit codes: 0 done/);
  });

  it('starts nothing before the queue and the bucket are there', async () => {
    await fails(pipeline.sluice('start'), 1, /^There is no queue sse_queue: run `sluice provision`/);
  });

  it('provisions what is missing, and leaves what is there', async () => {
    assert.deepEqual(await json('provision'), {
      queue: { name: 'sse_queue', state: 'created' },
      bucket: { name: BUCKET, state: 'created' },
      searchAttributes: 'created',
    });
    const there = `queue sse_queue: there\nbucket ${BUCKET}: there\nsearch attributes: there\n`;
    // Temporal lists new attributes a moment later.
    await eventually(there, async () => (await pipeline.sluice('provision')) === there);
    await fails(pipeline.sluiceWith({ SLUICE_BUCKET: 'other' }, 'start'), 1, /^There is no bucket other/);
    await fails(pipeline.sluice('status'), 1, /never started here, or was removed: run `sluice start`/);
  });

  it('starts, and shows how far it is while the first stint still runs', async () => {
    assert.equal(await pipeline.sluice('start'), 'pipeline recentchange: started\n');
    await eventually('rows', async () => (await rows()) >= 40);
    const { ingest, lagSeconds, batch } = await pipeline.status();
    assert.equal(ingest.counts.stints, 0);
    assert(ingest.counts.sent >= 40, `${ingest.counts.sent} sent`);
    assert(lagSeconds !== undefined && lagSeconds < 60, `${lagSeconds} s behind`);
    assert.equal(batch.counts.rows, batch.counts.batches * 20);
    const shown = await pipeline.sluice('status');
    assert.match(shown, /^ingest +running$/m);
    assert.match(shown, /^lake +\d+ rows in \d+ objects/m);
  });

  it('shows other settings at a second start, and applies them at an update', async () => {
    await makeItRun();
    await eventually('rows', async () => (await rows()) > 0);
    const settings = {
      SLUICE_BATCH_ROWS: '10',
      SLUICE_COLUMNS: COLUMNS,
      SLUICE_WINDOW: '600',
    };
    const again = await pipeline.sluiceWith(settings, 'start');
    assert.match(
      again.stdout,
      /^pipeline recentchange: woken\nnot applied: SLUICE_COLUMNS=event_id=meta.id,title,topic/,
    );
    assert.match(again.stdout, /^not applied: SLUICE_BATCH_ROWS=10; the pipeline runs with 20$/m);
    assert.match(await lastHeader(), /^event_id,dt,uri,/);

    const updated = await pipeline.sluiceWith(settings, 'update');
    assert.match(updated.stdout, /^SLUICE_BATCH_ROWS=10; it was 20$/m);
    assert.match(updated.stdout, /^pipeline recentchange: version 2 of its settings holds$/m);
    await eventually('new columns', async () => (await lastHeader()) === HEADER);
    await fails(
      pipeline.sluiceWith({ ...settings, SLUICE_SOURCE_URL: 'http://127.0.0.1:9/x' }, 'update'),
      1,
      /^Nothing was changed: it has read .* start a pipeline of another name/,
    );
  });

  it('warns of a queue that forgets soon', async () => {
    await makeItRun();
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    const sqs = new SQSClient({ endpoint: pipeline.motoUrl, region: 'us-east-1', credentials });
    await new Queue(sqs, 'sse_queue').provide(3_600);
    sqs.destroy();
    assert.match(await pipeline.sluice('start'), /^warning: SQS forgets a message .* after 1 h: /m);
    await pipeline.sluice('provision');
    assert.doesNotMatch(await pipeline.sluice('start'), /^warning: /m);
  });

  it('refuses a queue that belongs to another pipeline, and another queue for this one', async () => {
    await makeItRun();
    await fails(
      pipeline.sluiceWith({ SLUICE_PIPELINE: 'other' }, 'start'),
      1,
      /^The queue sse_queue belongs to the pipeline recentchange: give other one of its own/,
    );
    await pipeline.sluiceWith({ SLUICE_QUEUE: 'second' }, 'provision');
    await fails(
      pipeline.sluiceWith({ SLUICE_QUEUE: 'second' }, 'start'),
      1,
      /^The pipeline recentchange runs with the queue sse_queue, for good/,
    );
  });

  it('refuses a prefix that belongs to another pipeline, at a start and at an update', async () => {
    await fails(
      pipeline.sluiceWith({ SLUICE_PIPELINE: 'other', SLUICE_QUEUE: 'second' }, 'start'),
      1,
      /^s3:\/\/sse-bucket\/ belongs to the pipeline recentchange \(.*: give this pipeline a prefix of its own \(SLUICE_PREFIX\)\n$/,
    );
    const owner = { pipeline: 'other', lane: 'sluice-batch/other', run: 'elsewhere/run' };
    const object = { Key: 'taken/_sluice/owner.json', Body: JSON.stringify(owner) };
    await pipeline.s3.send(new PutObjectCommand({ Bucket: BUCKET, ...object }));
    await fails(
      pipeline.sluiceWith({ SLUICE_PREFIX: 'taken' }, 'update'),
      1,
      /^Nothing was changed: s3:\/\/sse-bucket\/taken belongs to the pipeline other/,
    );
  });

  it('pauses, flushes and resumes, as a whole or in part', async () => {
    await makeItRun();
    await pipeline.sluice('pause', 'ingest');
    await become('paused', 'running');
    // What the lane receives after the flush would wait for others.
    await eventually('all is received, and full batches are written', async () => {
      const { ingest, batch } = await pipeline.status();
      const { counts, rowsWaiting, definition } = batch;
      return counts.events >= ingest.counts.sent && rowsWaiting < definition.batch.rows;
    });
    await pipeline.sluice('flush');
    await eventually('no rows that wait', async () => (await pipeline.status()).batch.rowsWaiting === 0);
    await pipeline.sluice('pause');
    await become('paused', 'paused');
    await pipeline.sluice('resume', 'ingest');
    await become('running', 'paused');
    await pipeline.sluice('resume');
    await become('running', 'running');
  });

  it("does the same by Temporal's own command line", async () => {
    await makeItRun();
    const ingest = ['--workflow-id', 'sluice-ingest/recentchange'];
    const { stdout } = await pipeline.temporal('workflow', 'query', ...ingest, '--type', 'status');
    assert.match(stdout, /cursorTime/);
    await pipeline.temporal('workflow', 'signal', ...ingest, '--name', 'pause');
    await become('paused', 'running');
    // Temporal's list follows a moment later.
    await eventually('ingest is listed', async () => {
      const found = await pipeline.temporal('workflow', 'list', '--query', 'SluiceActivity = "paused"');
      return found.stdout.includes('sluice-ingest/recentchange');
    });
    await pipeline.temporal('workflow', 'signal', ...ingest, '--name', 'resume');
    await become('running', 'running');
    await fails(
      pipeline.temporal(
        'workflow',
        'update',
        'execute',
        ...ingest,
        '--name',
        'update',
        '--input',
        '{"name":"x"}',
      ),
      1,
      /Refused: the argument is no pipeline definition/,
    );
  });

  it('removes nothing that runs', async () => {
    await makeItRun();
    await fails(pipeline.sluice('remove', '--yes'), 1, /Refused: ingest is running; stop the pipeline first/);
  });

  it('stops when all is in the lake, which proves to be whole', async () => {
    await makeItRun();
    await eventually('enough events', () => pipeline.stream.ledger.published.length === 698);
    // What ingest has not read when it stops stays in the source, for the next start.
    await eventually('all read', async () => (await pipeline.status()).ingest.counts.sent >= 698);
    await pipeline.sluice('stop', '--wait');
    assert.deepEqual(await activities(), ['stopped', 'stopped']);
    assert.match(
      await pipeline.sluice('verify'),
      /698 rows: sequence .* without holes; .*\n(.*\n)*Everything was checked: nothing was found\.\n$/,
    );
    assert.match(await pipeline.sluice('rejected', 'list'), /message-too-large/);
  });

  it('finds what somebody took out of the lake', async () => {
    // Not one of the last ones, which might be on their way.
    const { Contents = [] } = await pipeline.list('date=');
    assert(Contents.length > 1);
    await pipeline.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: Contents[0]?.Key }));
    await fails(pipeline.sluice('verify'), 1, /FINDING sequence .* missing before/);
  });

  it('is removed for good, and then was never started', async () => {
    await pipeline.sluice('stop', '--wait');
    assert.match(await pipeline.sluice('remove', '--yes'), /^pipeline recentchange: removed/);
    await fails(pipeline.sluice('status'), 1, /never started here, or was removed/);
    await pipeline.sluice('remove', '--yes');
    await fails(
      pipeline.sluice('start'),
      1,
      /^s3:\/\/sse-bucket\/ belongs to the pipeline recentchange .* does not run here: .* go on where it ended with `sluice start --adopt`$/m,
    );
    await pipeline.sluiceWith({ SLUICE_PIPELINE: 'other', SLUICE_PREFIX: 'other' }, 'start');
  });
});
