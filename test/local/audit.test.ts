import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';

import { S3Client } from '@aws-sdk/client-s3';
import { stringify } from 'csv-stringify/sync';

import { auditLake, formatAudit } from '../../local/audit';
import { awkwardTexts, startSimulatedStream, type PublishedEvent } from '../../local/simulated-stream';

/** Speaks just enough S3 to list, one object a page, and to get. */
function serveObjects(objects: ReadonlyMap<string, string>): Server {
  return createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1');
    if (!searchParams.has('list-type')) {
      response.end(objects.get(decodeURIComponent(pathname.replace('/lake/', ''))));
      return;
    }
    const keys = [...objects.keys()].filter((key) => key.startsWith(searchParams.get('prefix') ?? ''));
    const page = Number(searchParams.get('continuation-token') ?? '0');
    const isLast = page + 1 >= keys.length;
    response.setHeader('content-type', 'application/xml');
    response.end(
      `<?xml version="1.0"?><ListBucketResult><IsTruncated>${!isLast}</IsTruncated>` +
        (keys[page] === undefined ? '' : `<Contents><Key>${keys[page]}</Key></Contents>`) +
        (isLast ? '' : `<NextContinuationToken>${page + 1}</NextContinuationToken>`) +
        '</ListBucketResult>',
    );
  });
}

const columns = ['event_id', 'title', 'comment', 'bot', 'length_new', 'log_params'];

function csv(rows: readonly (readonly string[])[]): string {
  return stringify([columns, ...rows.map((row) => [...row])], { record_delimiter: '\n' });
}

function published(key: string, fields: object): PublishedEvent {
  const text = JSON.stringify({ meta: { id: key }, ...fields });
  return { key, topic: 't', partition: 0, offset: 1, text, sha256: '', publishedAt: 0 };
}

function rejected(text: string): string {
  return JSON.stringify({ reason: 'Not JSON', source: 's', id: '[]', time: '2026-01-01T00:00:00Z', text });
}

describe('The audit of a lake', () => {
  let objects: Map<string, string>;
  let server: Server;
  let s3: S3Client;

  const one = published('one', { title: 'a', comment: 'b', bot: true, length: { new: 7 } });
  const two = published('two', { title: 'c', bot: false, log_params: ['x', { y: 1 }] });
  const rowOfOne = ['one', 'a', 'b', 'true', '7', ''];
  const rowOfTwo = ['two', 'c', '', 'false', '', '["x",{"y":1}]'];
  const ledger = { published: [one, two], broken: [{ text: '{"cut', reason: 'Cut off.' }] };

  beforeEach(async () => {
    objects = new Map();
    server = serveObjects(objects);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    assert(typeof address === 'object' && address !== null);
    s3 = new S3Client({
      endpoint: `http://127.0.0.1:${address.port}`,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    });
  });

  afterEach(() => {
    s3.destroy();
    server.close();
  });

  const audit = (prefix: string) => auditLake({ s3, bucket: 'lake', prefix, ledger });

  it('is clean when each event has one row and each broken one is kept, over several pages of the listing', async () => {
    objects.set('wiki/date=2026-01-01/one.csv', csv([rowOfOne]));
    objects.set('wiki/date=2026-01-01/two.csv', csv([rowOfTwo]));
    objects.set('wiki/rejected/1.json', rejected('{"cut'));
    objects.set('wiki/_sluice/owner.json', '{}');
    objects.set('wiki-of-others/three.csv', csv([['three', '', '', '', '', '']]));

    const result = await audit('wiki');

    assert.deepEqual(result.changed, []);
    assert.deepEqual(result.unknown, []);
    assert.equal(
      formatAudit(result),
      '3 events published: 2 rows in 2 objects, 1 rejected, 0 missing, 0 repeated',
    );
  });

  it('finds rejected events at the top where there is no prefix', async () => {
    objects.set('rejected/1.json', rejected('{"cut'));
    objects.set('rows.csv', csv([rowOfOne, rowOfTwo]));

    assert.equal(
      formatAudit(await audit('')),
      '3 events published: 2 rows in 1 objects, 1 rejected, 0 missing, 0 repeated',
    );
  });

  it('names what is missing, repeated, unknown and changed', async () => {
    objects.set('wiki/1.csv', csv([rowOfOne, ['three', '', '', '', '', '']]));
    objects.set('wiki/2.csv', csv([['one', 'A', 'b', 'true', '7', '']]));
    objects.set('wiki/notes.txt', 'hello');
    objects.set('wiki/orders/_sluice/owner.json', '{}');
    objects.set('wiki/rejected/1.json', rejected('something else'));

    const result = await audit('wiki/');

    assert.deepEqual(result.missing, ['two', '{"cut']);
    assert.deepEqual(result.repeated, ['one']);
    assert.deepEqual(result.unknown, [
      'three',
      'something else',
      'wiki/notes.txt',
      'wiki/orders/_sluice/owner.json',
    ]);
    assert.deepEqual(result.changed, [{ key: 'one', column: 'title', expected: 'a', actual: 'A' }]);
    assert.equal(
      formatAudit(result),
      '3 events published: 3 rows in 2 objects, 1 rejected, 2 missing, 1 repeated, 4 unknown, 1 changed',
    );
  });

  it('sees a row with the key of another, also where the ledger has no payloads', async () => {
    const keyOf = (id: string) => createHash('sha256').update(`payload:${id}`).digest('hex').slice(0, 16);
    const rows = [
      ['event_id', '_key'],
      ['one', keyOf('one')],
      ['two', keyOf('one')],
    ];
    objects.set('wiki/1.csv', stringify(rows, { record_delimiter: '\n' }));
    const events = [one, { ...two, text: '' }];

    const { changed } = await auditLake({
      s3,
      bucket: 'lake',
      prefix: 'wiki',
      ledger: { published: events, broken: [] },
    });

    assert.deepEqual(changed, [{ key: 'two', column: '_key', expected: keyOf('two'), actual: keyOf('one') }]);
  });

  it('counts a broken event that was kept twice as repeated', async () => {
    objects.set('wiki/1.csv', csv([rowOfOne, rowOfTwo]));
    objects.set('wiki/rejected/1.json', rejected('{"cut'));
    objects.set('wiki/rejected/2.json', rejected('{"cut'));

    assert.deepEqual((await audit('wiki')).repeated, ['{"cut']);
  });

  it('reads awkward text back as it was, CR and quotes and noncharacters included', async () => {
    const events = awkwardTexts.map((text, index) =>
      published(`key ${index}`, { title: text, comment: text }),
    );
    const rows = awkwardTexts.map((text, index) => [`key ${index}`, text, text, '', '', '']);
    objects.set('wiki/1.csv', csv(rows));

    const result = await auditLake({
      s3,
      bucket: 'lake',
      prefix: 'wiki',
      ledger: { published: events, broken: [] },
    });

    assert.deepEqual(result.changed, []);
    assert.deepEqual(result.missing, []);
    assert.equal(result.rows, awkwardTexts.length);
  });

  it('sees a carriage return that became a new line', async () => {
    const event = published('one', { comment: 'a\r\nb' });
    objects.set('wiki/1.csv', csv([['one', '', 'a\nb', '', '', '']]));

    const { changed } = await auditLake({
      s3,
      bucket: 'lake',
      prefix: 'wiki',
      ledger: { published: [event], broken: [] },
    });

    assert.deepEqual(changed, [{ key: 'one', column: 'comment', expected: 'a\r\nb', actual: 'a\nb' }]);
  });

  it('compares keys alone where the ledger has no payloads', async () => {
    const stream = await startSimulatedStream({ keepPayloads: false });
    stream.publish(1);
    await stream.close();
    const key = stream.ledger.published[0]?.key ?? '';
    objects.set('wiki/1.csv', csv([[key, 'whatever', '', '', '', '']]));

    const result = await auditLake({ s3, bucket: 'lake', prefix: 'wiki', ledger: stream.ledger });

    assert.equal(
      formatAudit(result),
      '1 events published: 1 rows in 1 objects, 0 rejected, 0 missing, 0 repeated',
    );
  });

  it('refuses a CSV object without event_id, and a rejected one without its text', async () => {
    objects.set('wiki/1.csv', 'title\nx\n');
    await assert.rejects(audit('wiki'), /wiki\/1.csv has no column event_id/);

    objects.clear();
    objects.set('wiki/rejected/1.json', '{"reason":"?"}');
    await assert.rejects(audit('wiki'), /wiki\/rejected\/1.json has no text/);
  });
});
