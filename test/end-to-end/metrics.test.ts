import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { GetQueueUrlCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { freePort, HOST } from '../../local/ports';
import { encodeMessage, attributeValues, type OutgoingMessage } from '../../src/queue/message';
import { eventually } from '../support/eventually';
import { Pipeline, type WorkerProcess } from './pipeline';
import { Scrape } from './scrape';

const EVENTS = 240;
/** Of each of the three kinds. */
const BROKEN_OF_A_KIND = 2;
const WITHHELD = 2;
/** Counters of what goes wrong are not there before it does. */
const ONLY_AFTER_FAILURES = /_fail(ed|ure)_total$/;
const BROKEN_MESSAGE = 'another program sent this';

/** One a minute, and one for each sixth of a window, of which a run has few. */
const MOST_CURSORS = 20;

describe('The metrics', function () {
  this.timeout(600_000);
  let pipeline: Pipeline;
  let worker: WorkerProcess;
  let address: string;
  let sqs: SQSClient;

  before(async () => {
    address = `${HOST}:${await freePort()}`;
    pipeline = await Pipeline.create(
      {
        seed: 13,
        events: EVENTS,
        broken: 3 * BROKEN_OF_A_KIND,
        ratePerSecond: 60,
        cutAfterEvents: [60, 100],
        retryMilliseconds: 200,
      },
      {
        SLUICE_BATCH_ROWS: '20',
        SLUICE_FLUSH_AFTER: '1s',
        // Long enough that nothing comes back, however slow this machine is: a redelivery is counted.
        SLUICE_VISIBILITY_TIMEOUT: '60s',
        SLUICE_METRICS_ADDRESS: address,
      },
    );
    const { endpoint, region, credentials } = pipeline.s3.config;
    sqs = new SQSClient({ ...(endpoint ? { endpoint } : {}), region, credentials });
    await pipeline.sluice('provision');
    await pipeline.sluice('start');
    worker = pipeline.startWorker();
  });

  after(async () => {
    sqs.destroy();
    await pipeline.close();
  });

  async function send(message: OutgoingMessage): Promise<void> {
    const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: 'sse_queue' }));
    await sqs.send(
      new SendMessageCommand({
        QueueUrl,
        MessageBody: message.body,
        MessageAttributes: attributeValues(message),
      }),
    );
  }

  async function bytesOfObjects(): Promise<number> {
    const { Contents = [] } = await pipeline.s3.send(new ListObjectsV2Command({ Bucket: 'sse-bucket' }));
    const objects = Contents.filter(({ Key }) => Key?.endsWith('.csv'));
    return objects.reduce((sum, { Size = 0 }) => sum + Size, 0);
  }

  it('agree with the lake and with what the source published', async () => {
    const { ledger } = pipeline.stream;
    await eventually('some events', () => ledger.published.length >= 50);
    pipeline.stream.withhold(WITHHELD);
    const [again] = ledger.published;
    assert.ok(again);
    await send(encodeMessage({ ...again, key: `payload:${again.key}` }));
    await send(encodeMessage({ key: 'a-key', text: BROKEN_MESSAGE }));
    await pipeline.stream.published;
    await eventually('all are in the lake', async () => (await pipeline.audit()).missing.length === 0);

    await eventually(
      'the holes are measured',
      async () => (await Scrape.of(address)).max('sluice_source_holes') === WITHHELD,
    );
    const running = await Scrape.of(address);
    assert.ok((running.max('sluice_source_lag_seconds') ?? Infinity) < 60);
    assert.equal(running.max('sluice_queue_retention_seconds'), 14 * 24 * 60 * 60);
    const reached = running.max('sluice_queue_reached_timestamp_seconds') ?? 0;
    assert.ok(Math.abs(Date.now() / 1_000 - reached) < 60, `${reached}, in seconds`);
    const wait = running.max('sluice_row_wait_seconds') ?? Infinity;
    assert.ok(wait > 0 && wait < 30, `${wait} seconds`);

    await pipeline.sluice('stop', '--wait');
    const scrape = await Scrape.of(address);
    const audit = await pipeline.audit();
    const sent = scrape.sum('sluice_events_sent_total');
    const repeated = scrape.sum('sluice_events_repeated_total');
    assert.equal(sent, EVENTS - WITHHELD - 3 * BROKEN_OF_A_KIND);
    assert.equal(sent, ledger.published.length);
    assert.ok(repeated > 0, 'a source that is resumed sends some events again');
    assert.equal(scrape.sum('sluice_canary_events_total'), ledger.canaries);
    for (const reason of ['not-json', 'not-an-object', 'message-too-large']) {
      assert.equal(scrape.sum('sluice_events_rejected_total', { reason }), BROKEN_OF_A_KIND, reason);
    }
    assert.equal(
      scrape.sum('sluice_events_received_total'),
      sent + repeated + ledger.canaries + ledger.broken.length,
    );
    assert.ok(scrape.sum('sluice_source_reconnects_total', { reason: 'closed' }) > 0);
    assert.equal(
      scrape.max('sluice_source_lag_seconds'),
      undefined,
      'no longer measured, so no value is left',
    );

    const receivedOnce =
      scrape.sum('sluice_messages_received_total') - scrape.sum('sluice_messages_redelivered_total');
    assert.ok(receivedOnce > 2 && receivedOnce <= sent + 2, `${receivedOnce} messages`);
    assert.equal(scrape.sum('sluice_rows_repeated_total'), 1);
    assert.equal(scrape.sum('sluice_rows_rejected_total', { reason: 'not-json' }), 1);
    assert.deepEqual(audit.unknown, [BROKEN_MESSAGE]);
    assert.equal(scrape.sum('sluice_rows_written_total'), audit.rows);
    assert.equal(scrape.sum('sluice_batches_written_total'), audit.objects);
    assert.equal(scrape.sum('sluice_written_bytes_total'), await bytesOfObjects());
    const puts = { service: 's3', operation: 'PutObject', outcome: 'ok' };
    const { broken, canaries } = ledger;
    const written =
      audit.objects + broken.length + canaries + [BROKEN_MESSAGE, 'the object that names the owner'].length;
    // The cursor is kept in the lake at a stint's beginning and end, and by time and by events between.
    const ofCursor = scrape.sum('sluice_aws_requests_total', puts) - written;
    assert.ok(ofCursor >= 2 && ofCursor <= MOST_CURSORS, `${ofCursor} writings of the cursor`);
    assert.equal(scrape.max('sluice_window_keys'), audit.rows + 1, 'rows, and the message that is none');

    for (const state of ['visible', 'not-visible', 'delayed']) {
      assert.equal(scrape.max('sluice_queue_messages', { state }), 0, state);
    }
    assert.equal(scrape.max('sluice_queue_oldest_message_age_seconds'), 0);
    assert.equal(scrape.max('sluice_rows_waiting'), 0);
    assert.equal(scrape.max('sluice_messages_unsettled'), 0);
    for (const workflow of ['ingest', 'batch']) assert.equal(scrape.max('sluice_parked', { workflow }), 0);
  });

  it('of the SDK that the documentation names are there', async () => {
    const page = readFileSync(join(__dirname, '../../docs/metrics.md'), 'utf8');
    const named = [...new Set(page.match(/\btemporal_\w+/g))];
    const expected = named.filter((name) => !ONLY_AFTER_FAILURES.test(name));
    const { text } = await Scrape.of(address);
    assert.ok(expected.length > 0);
    for (const name of expected) {
      assert.ok(text.includes(`# TYPE ${name.replace(/_bucket$/, '')} `), `${name} is not served`);
    }
  });

  it('are not counted again by a worker that replays the workflows', async () => {
    await pipeline.sluice('stop', '--wait');
    worker.signal('SIGTERM');
    assert.equal(await worker.exited, 0);
    worker = pipeline.startWorker();
    assert.equal((await pipeline.status()).batch.counts.rows, pipeline.stream.ledger.published.length);
    const { text } = await Scrape.of(address);
    assert.match(text, /^temporal_/m);
    // Gauges are no count: a timer that the stopped lane had set may fire, and what it then shows is of now.
    assert.doesNotMatch(text, /^sluice_\w+_(total|count)\b/m);
  });
});
