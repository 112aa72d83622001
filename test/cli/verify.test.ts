import assert from 'node:assert/strict';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { verify, type VerifyOptions } from '../../src/cli/verify';
import type { PipelineDefinition } from '../../src/config';
import { writeCsv } from '../../src/lake/csv';
import type { LakeReport } from '../../src/lake/lake-report';
import { batchObjectKey } from '../../src/lake/object-key';
import { keepCanary, keepRejected } from '../../src/lake/rejected';
import { resentObjectKey } from '../../src/lake/resend';
import { type MotoServer, startMotoServer } from '../../src/local/moto-server';
import { keyDigest } from '../../src/sources/event';
import { definitionOf } from '../support/definition';
import { s3Error } from '../support/fake-s3';
import { MemoryS3 } from '../support/memory-s3';
import { sha256 } from '../support/sha256';

const COLUMNS = [
  { name: 'event_id', path: 'meta.id' },
  { name: 'title', path: 'title' },
  { name: 'topic', path: 'meta.topic' },
  { name: 'partition', path: 'meta.partition' },
  { name: 'offset', path: 'meta.offset' },
];

const TEN = Date.parse('2025-01-31T10:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const lakeOf = (prefix: string) => ({ bucket: 'lake', prefix, columns: COLUMNS, escapeFormulas: false });

/** One row for each offset of the partition `t/0`; its id follows from the offset. */
function batchOf(sequence: number, offsets: readonly number[], { prefix = 'raw', frozenAt = TEN } = {}) {
  const rows = offsets.map((offset) => [`id-${offset}`, 'a "title"\r', 't', '0', String(offset)]);
  const firstKeyDigest = keyDigest(`id-${offsets[0]}`);
  return {
    key: batchObjectKey(prefix, { sequence, frozenAt, firstKeyDigest }),
    body: writeCsv(
      COLUMNS.map(({ name }) => name),
      rows,
    ),
  };
}

const eventAt = (offset: number, domain = 'x') =>
  JSON.stringify({ meta: { id: `id-${offset}`, domain, topic: 't', partition: 0, offset } });

interface Layout {
  prefix: string;
  columns: { name: string; path: string }[];
  source: PipelineDefinition['source'];
}

async function run(
  s3: S3Client,
  options: VerifyOptions = {},
  { prefix = 'raw', columns = COLUMNS, source }: Partial<Layout> = {},
) {
  const lines: string[] = [];
  const pipeline = definitionOf({ lake: { ...lakeOf(prefix), columns }, ...(source ? { source } : {}) });
  const isWhole = await verify({ pipeline, s3, say: (line) => lines.push(line) }, options);
  return { isWhole, lines, findings: lines.filter((line) => line.startsWith('FINDING')) };
}

describe('sluice verify', () => {
  let s3: MemoryS3;

  beforeEach(() => {
    s3 = new MemoryS3();
  });

  const put = (
    sequence: number,
    offsets: readonly number[],
    { frozenAt = TEN, modifiedAt = frozenAt }: { frozenAt?: number; modifiedAt?: number } = {},
  ) => {
    const { key, body } = batchOf(sequence, offsets, { frozenAt });
    s3.put(key, body, modifiedAt);
    return key;
  };

  it('is content with a whole lake, and says in one line what it holds', async () => {
    put(1, [5, 6, 7]);
    put(2, [8, 10], { frozenAt: TEN + 2 * HOUR });
    await keepCanary(s3.client, lakeOf('raw'), {
      source: 's',
      id: '[]',
      key: 'id-9',
      text: eventAt(9, 'canary'),
    });
    assert.deepEqual(await run(s3.client), {
      isWhole: true,
      findings: [],
      lines: [
        '2 objects, 5 rows: sequence 1–2 without holes; no key twice; 1 topic partition, offsets without holes (1 canary, 0 rejected)',
      ],
    });
  });

  it('finds an empty lake whole, and says that it is empty', async () => {
    assert.deepEqual(await run(s3.client), {
      isWhole: true,
      findings: [],
      lines: ['s3://lake/raw: no rows (0 canaries, 0 rejected)'],
    });
  });

  it('finds an offset that nothing explains, and names the object after it', async () => {
    put(1, [5, 6]);
    const key = put(2, [9, 8]);
    const { isWhole, lines, findings } = await run(s3.client);
    assert.equal(isWhole, false);
    assert.deepEqual(findings, [`FINDING offset t/0: 7 missing before ${key}`]);
    assert.match(lines[0] ?? '', /1 topic partition, 1 offset missing/);
  });

  it('takes a rejected event for an explanation, and counts those that can not be read', async () => {
    put(1, [1, 3, 5, 6]);
    const rejected = { detail: 'd', source: 's', id: '[]' };
    await keepRejected(s3.client, lakeOf('raw'), {
      ...rejected,
      key: 'id-2',
      reason: 'row-too-large',
      text: eventAt(2),
    });
    await keepRejected(s3.client, lakeOf('raw'), {
      ...rejected,
      key: 'cut',
      reason: 'not-json',
      text: '{"meta',
    });
    const { isWhole, lines } = await run(s3.client);
    assert.ok(isWhole);
    assert.equal(
      lines[1],
      "missing offsets: 1; for all of them rejected events may account, whose offsets can't be read",
    );
    put(2, [8]);
    const { isWhole: isStillWhole, findings, lines: more } = await run(s3.client);
    assert.equal(isStillWhole, false);
    assert.equal(findings.length, 2);
    assert.match(more.at(-1) ?? '', /^missing offsets: 2; for 1 of them rejected events may account/);
  });

  it('takes a rejected record of Kafka for an explanation, each by its place, whoever rejected it', async () => {
    const columns = ['topic', 'partition', 'offset', 'from'].map((name) => ({ name, path: `kafka.${name}` }));
    const header = columns.map(({ name }) => name);
    const rows = [1, 5].map((offset) => ['t', '0', String(offset), String(offset)]);
    s3.put(
      batchObjectKey('raw', { sequence: 1, frozenAt: TEN, firstKeyDigest: keyDigest('t/0/1') }),
      writeCsv(header, rows),
      TEN,
    );
    const url = 'kafka://localhost:9092/t';
    const record = (offset: number) => ({ topic: 't', partition: 0, offset, from: offset, timestamp: 7 });
    const rejected = { detail: 'd', source: url, reason: 'not-json', text: 'null?' } as const;
    const lake = lakeOf('raw');
    await keepRejected(s3.client, lake, { ...rejected, id: 't/0/2', key: 't/0/2', record: record(2) });
    await keepRejected(s3.client, lake, { ...rejected, id: 't/0/3', key: 't/0/3', record: record(3) });
    const options = { columns, source: { url, contact: '' } };
    const { findings } = await run(s3.client, {}, options);
    assert.match(findings.join(), /^FINDING offset t\/0: 4 missing before [^,]*$/);
    // As the lane keeps a message that is too large for a row.
    const text = JSON.stringify({ kafka: record(4) });
    await keepRejected(s3.client, lake, {
      ...rejected,
      id: 'm-1',
      key: 'm-1',
      source: 'queue',
      reason: 'row-too-large',
      text,
    });
    assert.deepEqual((await run(s3.client, {}, options)).findings, []);
  });

  it('names a key that is repeated, and both objects that hold it', async () => {
    const first = put(1, [5, 6]);
    const second = put(2, [7, 6, 8]);
    const { isWhole, findings } = await run(s3.client);
    assert.equal(isWhole, false);
    assert.deepEqual(findings, [
      `FINDING key "id-6" stands in 2 rows: row 2 of ${first}, row 2 of ${second}`,
    ]);
  });

  it('reads objects a second time only to name repeats, and no more of them than it takes', async () => {
    s3.pageSize = 7;
    for (let sequence = 1; sequence <= 40; sequence += 1) put(sequence, [sequence]);
    const gets = () => s3.commands.filter((command) => command.startsWith('Get')).length;
    await run(s3.client);
    assert.equal(gets(), 40);
    put(2, [1]);
    await run(s3.client);
    assert.ok(gets() < 40 + 41 + 20, String(gets()));
    assert.equal(s3.mostGetsAtOnce, 8);
  });

  it('finds a hole in the sequence, and two objects of one number', async () => {
    const keys = [put(2, [1, 2]), put(2, [3, 4]), put(5, [5])];
    const { isWhole, lines, findings } = await run(s3.client);
    assert.equal(isWhole, false);
    assert.match(lines[0] ?? '', /sequence 2–5, 3 missing/);
    const [one, other] = keys.slice(0, 2).sort();
    assert.deepEqual(findings, [
      `FINDING sequence 1 missing before ${one}`,
      `FINDING sequence 3–4 missing before ${keys[2]}`,
      `FINDING sequence 2 stands in ${one} and in ${other}`,
    ]);
  });

  it('lets what is missing before a young object be on its way, for ten minutes unless told otherwise', async () => {
    put(1, [1]);
    put(3, [3], { modifiedAt: Date.now() - 9 * MINUTE });
    for (const options of [{}, { grace: '1h' }]) {
      const { isWhole, lines } = await run(s3.client, options);
      assert.ok(isWhole);
      assert.match(lines[1] ?? '', /^missing sequence numbers: 1 may still be on the way/);
      assert.match(lines[2] ?? '', /^missing offsets: 1 may still be on the way/);
    }
    assert.equal((await run(s3.client, { grace: '8m' })).findings.length, 2);
    assert.equal((await run(s3.client, { grace: '0s' })).findings.length, 2);
  });

  it('finds an object that is no pipeline’s, and shows its name so that a terminal stays as it is', async () => {
    put(1, [1]);
    s3.put('raw/\u001b[2J.txt', 'x');
    s3.put('rawer/one.txt', 'in another folder');
    const { isWhole, findings } = await run(s3.client);
    assert.equal(isWhole, false);
    assert.deepEqual(findings, ['FINDING object raw/\\u001b[2J.txt is none that a pipeline writes']);
  });

  it('finds objects that are not what they should be, and goes on', async () => {
    const key = put(1, [1]);
    s3.put(key, 'event_id,title\nid-1\n', TEN);
    put(2, [2]);
    s3.put(`raw/rejected/${sha256('a')}.json`, '{"reason"', TEN);
    s3.put(`raw/canaries/${sha256('b')}.json`, '[]', TEN);
    const { findings } = await run(s3.client);
    assert.deepEqual(findings, [
      `FINDING object ${key}: row 1 has 1 fields, and the header 2`,
      `FINDING object raw/canaries/${sha256('b')}.json: it is not the JSON of an event that was kept whole`,
      `FINDING object raw/rejected/${sha256('a')}.json: it is not the JSON of an event that was kept whole`,
    ]);
  });

  it('finds an object that is gone since it was listed', async () => {
    const key = put(1, [1]);
    s3.before = (command) => {
      if (command.startsWith('Get')) s3.objects.delete(key);
    };
    assert.deepEqual((await run(s3.client)).findings, [`FINDING object ${key}: it was listed, and is gone`]);
  });

  it('names an event that was sent again and never came, and how to send it once more', async () => {
    put(1, [1, 3]);
    const digest = sha256(eventAt(2));
    const time = '2025-01-31T09:00:00.000Z';
    const body = JSON.stringify({
      reason: 'row-too-large',
      detail: 'd',
      source: 's',
      id: 'i',
      time,
      text: eventAt(2),
    });
    s3.put(resentObjectKey('raw', { digest, time }), body, TEN);
    const { findings } = await run(s3.client);
    assert.deepEqual(findings, [
      `FINDING offset t/0: 2 was sent to the queue again and never came: \`sluice rejected again ${digest.slice(0, 12)} --force\``,
    ]);
  });

  it('says what it can not check', async () => {
    put(1, [1, 3]);
    const columns = [{ name: 'title', path: 'title' }];
    assert.deepEqual((await run(s3.client, {}, { columns })).lines, [
      '1 object, 2 rows: sequence 1 without holes; keys not compared; offsets not checked (0 canaries, 0 rejected)',
      "repeats can't be checked: that takes columns with the paths meta.id",
      "missing rows can't be checked: that takes columns with the paths meta.topic, meta.partition, meta.offset",
    ]);
  });

  it('names twenty findings of a kind and counts the rest', async () => {
    for (let n = 1; n <= 25; n += 1) s3.put(`raw/file-${n}`, 'x');
    const { findings } = await run(s3.client);
    assert.equal(findings.length, 21);
    assert.equal(findings.at(-1), 'FINDING object … and 5 more');
  });

  it('says everything as JSON when asked to', async () => {
    put(1, [1]);
    const key = put(3, [3]);
    const { isWhole, lines } = await run(s3.client, { json: true, until: '2026-01-01T00:00:00Z' });
    assert.equal(isWhole, false);
    assert.equal(lines.length, 1);
    const report = JSON.parse(lines[0] ?? '') as LakeReport;
    assert.equal(report.whole, false);
    assert.deepEqual(report.hours, { until: '2026-01-01T00:00:00.000Z' });
    assert.deepEqual(report.sequence.missing, { count: 1, named: [{ from: 2, to: 2, before: key }] });
    assert.deepEqual(report.offsets?.missing.named, [{ partition: 't/0', from: 2, to: 2, before: key }]);
  });

  describe('of some hours', () => {
    const at = (hour: number) => ({ frozenAt: TEN + (hour - 10) * HOUR });
    const hours = { since: '2025-01-31T10:20:00Z', until: '2025-01-31T11:10:00Z' };

    it('judges whole hours, and says so', async () => {
      for (const hour of [8, 9, 10, 11, 12, 13]) put(hour, [hour], at(hour));
      const { isWhole, lines } = await run(s3.client, hours);
      assert.ok(isWhole);
      assert.deepEqual(lines, [
        'whole hours (UTC) in which objects were frozen, from 2025-01-31T10:00Z to before 2025-01-31T12:00Z',
        '2 objects, 2 rows: sequence 10–11 without holes; no key twice; 1 topic partition, offsets without holes (0 canaries, 0 rejected)',
      ]);
    });

    it('reads one hour more on each side and no other, and lists little else', async () => {
      s3.pageSize = 1;
      const keys = [8, 9, 10, 11, 12, 13, 14].map((hour) => put(hour, [hour], at(hour)));
      await run(s3.client, hours);
      const read = s3.commands.filter((command) => command.startsWith('Get'));
      assert.deepEqual(
        read,
        keys.slice(1, 5).map((key) => `Get ${key}`),
      );
      const listed = s3.commands.filter((command) => command === 'List raw/date=');
      assert.equal(listed.length, 5, 'the pages of four hours, and the one that ends it');
    });

    it('does not miss rows that came a little out of order across an edge', async () => {
      put(9, [1, 2, 4], at(9));
      put(10, [3, 5, 7], at(10));
      put(11, [8], at(11));
      put(12, [6, 9], at(12));
      assert.ok((await run(s3.client, hours)).isWhole);
      const only = { since: '2025-01-31T10:00:00Z', until: '2025-01-31T11:00:00Z' };
      const { findings } = await run(s3.client, only);
      assert.equal(findings.length, 1, 'row 6 came two hours late, which nobody can know who asks for one');
    });

    it('leaves holes before and after them to others', async () => {
      put(7, [1], at(9));
      put(9, [3], at(9));
      put(10, [4, 6], at(10));
      put(12, [8], at(12));
      put(14, [10], at(12));
      const { findings } = await run(s3.client, hours);
      assert.equal(findings.length, 1);
      assert.match(findings[0] ?? '', /offset t\/0: 5 missing/);
    });

    it('are explained by canary events met up to 14 days before, or whenever after, and read no others', async () => {
      put(1, [1, 5], at(10));
      for (const [offset, days] of [
        [2, 13],
        [3, 15],
        [4, -3],
      ] as const) {
        s3.put(
          `raw/canaries/${sha256(String(offset))}.json`,
          JSON.stringify({
            source: 's',
            id: '',
            time: '2025-01-01T00:00:00Z',
            text: eventAt(offset, 'canary'),
          }),
          TEN - days * 24 * HOUR,
        );
      }
      const { findings } = await run(s3.client, hours);
      assert.equal(findings.length, 1);
      assert.match(findings[0] ?? '', /t\/0: 3 missing/);
      assert.ok((await run(s3.client)).isWhole);
    });

    for (const [what, options, says] of [
      ['a time without an offset', { since: '2025-01-31T10:00' }, /^--since must be an ISO 8601 time/],
      ['no time', { until: 'noon' }, /^--until must be an ISO 8601 time .* it is "noon"$/],
      ['an empty range', { since: hours.until, until: hours.since }, /--until must be later than --since/],
      ['a grace without a unit', { grace: '600' }, /^--grace must be a number with its unit/],
    ] as const) {
      it(`can not be ${what}`, async () => {
        await assert.rejects(run(s3.client, options), { name: 'UsageError', message: says });
      });
    }
  });

  describe('when S3 refuses', () => {
    for (const [name, status, says] of [
      ['NoSuchBucket', 404, 'There is no bucket lake: run `sluice provision`, or correct SLUICE_BUCKET'],
      ['AccessDenied', 403, 'Could not use the bucket lake: AccessDenied: AccessDenied, said S3'],
    ] as const) {
      it(`says so in a sentence: ${name}`, async () => {
        s3.before = () => {
          throw s3Error(name, status);
        };
        await assert.rejects(run(s3.client), { name: 'CommandError', message: says });
      });
    }

    it('leaves mistakes of our own as they are', async () => {
      s3.before = () => {
        throw new TypeError('undefined is not a function');
      };
      await assert.rejects(run(s3.client), { name: 'TypeError' });
    });
  });

  describe('on a terminal', () => {
    it('draws how many objects were read in one line, and removes it', async () => {
      for (let sequence = 1; sequence <= 20; sequence += 1) put(sequence, [sequence]);
      const drawn: string[] = [];
      const pipeline = definitionOf({ lake: lakeOf('raw') });
      const screen = { isTTY: true, write: (text: string) => drawn.push(text) };
      await verify({ pipeline, s3: s3.client, say: () => {} }, {}, screen);
      assert.equal(drawn[0], '\r\u001b[Kobjects read: 0 of 20');
      assert.equal(drawn.at(-1), '\r\u001b[K');
      drawn.length = 0;
      await verify({ pipeline, s3: s3.client, say: () => {} }, {}, { ...screen, isTTY: false });
      assert.deepEqual(drawn, []);
    });
  });
});

describe('sluice verify, against moto', () => {
  let moto: MotoServer;
  let s3: S3Client;

  before(async () => {
    moto = await startMotoServer();
    s3 = new S3Client({
      endpoint: moto.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
      forcePathStyle: true,
    });
    await s3.send(new CreateBucketCommand({ Bucket: 'lake' }));
  });

  after(async () => {
    s3.destroy();
    await moto.stop();
  });

  const put = async (prefix: string, sequence: number, offsets: readonly number[], frozenAt = TEN) => {
    const { key, body } = batchOf(sequence, offsets, { prefix, frozenAt });
    await s3.send(new PutObjectCommand({ Bucket: 'lake', Key: key, Body: body }));
    return key;
  };

  it('finds what is missing and what is there twice, and nothing else', async () => {
    const first = await put('a', 1, [1, 2, 3]);
    const second = await put('a', 2, [5, 3, 7]);
    const last = await put('a', 4, [8]);
    await keepCanary(s3, lakeOf('a'), { source: 's', id: '[]', key: 'id-4', text: eventAt(4, 'canary') });
    const { isWhole, findings } = await run(s3, { grace: '0s' }, { prefix: 'a' });
    assert.equal(isWhole, false);
    assert.deepEqual(findings, [
      `FINDING sequence 3 missing before ${last}`,
      `FINDING key "id-3" stands in 2 rows: row 3 of ${first}, row 2 of ${second}`,
      `FINDING offset t/0: 6 missing before ${second}`,
    ]);
    const { findings: sureAlready } = await run(s3, {}, { prefix: 'a' });
    assert.deepEqual(sureAlready, findings.slice(1, 2), 'the rest may still come: all objects are new');
  });

  it('lists the hours asked for', async () => {
    for (const hour of [8, 9, 10, 11, 12, 13]) await put('b/c', hour, [hour], TEN + (hour - 10) * HOUR);
    const { lines } = await run(
      s3,
      { since: '2025-01-31T10:00:00Z', until: '2025-01-31T12:00:00Z' },
      { prefix: 'b/c' },
    );
    assert.match(lines[1] ?? '', /^2 objects, 2 rows: sequence 10–11 without holes/);
  });

  it('says what to do without a bucket', async () => {
    const pipeline = definitionOf({ lake: { ...lakeOf('raw'), bucket: 'no-such-bucket' } });
    await assert.rejects(verify({ pipeline, s3, say: () => {} }), {
      name: 'CommandError',
      message: /^There is no bucket no-such-bucket: run `sluice provision`/,
    });
  });
});
