import assert from 'node:assert/strict';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { verify, type VerifyOptions } from '../../src/cli/verify';
import type { Lake } from '../../src/pipeline/definition';
import { LakeStore } from '../../src/lake/store';
import type { AuditedStore } from '../../src/verify/audit';
import { rowsObject } from '../../src/lake/rows-object';
import type { LakeReport } from '../../src/verify/lake-audit';
import { batchKey, resentKey } from '../../src/lake/layout';
import { claimLake } from '../../src/lake/owner';
import { keepGap } from '../../src/lake/gap-objects';
import { keepCanary, keepRejected } from '../../src/lake/kept';
import { type MotoServer, startMotoServer } from '../../local/moto-server';
import { keyDigest } from '../../src/event/key';
import { s3Error } from '../support/fake-store';
import { MemoryBucket } from '../support/memory-bucket';
import { sha256 } from '../support/sha256';

const COLUMNS = ['event_id', 'title', 'topic', 'partition', 'offset'];

const TEN = Date.parse('2025-01-31T10:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Lane and incarnation. */
const LIFE = { lane: 0, incarnation: '1a2b3c4d' };

const OWNER = { pipeline: 'test', lane: 'sluice-batch/test', run: 'default/run' };

const lakeOf = (prefix: string) => ({ bucket: 'lake', prefix });

type Rows = Partial<Parameters<typeof rowsObject>[0]>;

/** An object of rows, whose key is that of `id-<first>`. */
function objectOf(
  sequence: number,
  first: number,
  {
    prefix = 'raw',
    frozenAt = TEN,
    life = LIFE,
    ...rows
  }: { prefix?: string; frozenAt?: number; life?: typeof LIFE } & Rows,
) {
  const firstKeyDigest = keyDigest(`id-${first}`);
  const place = { kind: 'meta', at: [2, 3, 4] } as const;
  return {
    key: batchKey(prefix, { ...life, sequence, frozenAt, firstKeyDigest }),
    ...rowsObject({ version: 1, columns: COLUMNS, place, rows: [], ...rows }),
  };
}

/** One row for each offset of the partition `t/0`; its id follows from the offset. */
function batchOf(
  sequence: number,
  offsets: readonly number[],
  options: { prefix?: string; frozenAt?: number; life?: typeof LIFE } = {},
) {
  return objectOf(sequence, offsets[0] ?? 0, {
    ...options,
    rows: offsets.map((offset) => [`id-${offset}`, 'a "title"\r', 't', '0', String(offset)]),
    keys: offsets.map((offset) => keyDigest(`id-${offset}`)),
  });
}

const eventAt = (offset: number, domain = 'x') =>
  JSON.stringify({ meta: { id: `id-${offset}`, domain, topic: 't', partition: 0, offset } });

interface Surroundings {
  prefix: string;
  /** What happens while it waits, for the how-manieth time. */
  meanwhile: (count: number) => void;
}

/** `isFine`: everything was checked, and nothing was found. */
async function run(
  s3: { store: (lake: Lake) => AuditedStore },
  options: VerifyOptions = {},
  { prefix = 'raw', meanwhile = () => {} }: Partial<Surroundings> = {},
) {
  const lines: string[] = [];
  const pauses: number[] = [];
  const pause = async (milliseconds: number) => {
    pauses.push(milliseconds);
    meanwhile(pauses.length);
  };
  const isFine = await verify({ store: s3.store(lakeOf(prefix)), say: (line) => lines.push(line) }, options, {
    pause,
  });
  const linesOf = (kind: string) => lines.filter((line) => line.startsWith(kind));
  return { isFine, lines, findings: linesOf('FINDING'), unchecked: linesOf('NOT CHECKED'), pauses };
}

const ALL_CHECKED = 'Everything was checked: nothing was found.';

describe('sluice verify', () => {
  let s3: MemoryBucket;

  beforeEach(async () => {
    s3 = new MemoryBucket();
    await claimLake(s3.store(lakeOf('raw')), OWNER);
    s3.commands.length = 0;
  });

  const put = (
    sequence: number,
    offsets: readonly number[],
    { frozenAt = TEN, modifiedAt = frozenAt }: { frozenAt?: number; modifiedAt?: number } = {},
  ) => {
    return putObject(batchOf(sequence, offsets, { frozenAt }), modifiedAt);
  };

  const putObject = ({ key, body, metadata }: ReturnType<typeof objectOf>, modifiedAt = TEN) => {
    s3.put(key, body, modifiedAt, metadata);
    return key;
  };

  it('is content with a whole lake, and says in one line what it holds', async () => {
    put(1, [5, 6, 7]);
    put(2, [8, 10], { frozenAt: TEN + 2 * HOUR });
    await keepCanary(s3.store(lakeOf('raw')), {
      source: 's',
      id: '[]',
      key: 'id-9',
      text: eventAt(9, 'canary'),
    });
    const { isFine, lines, pauses } = await run(s3);
    assert.deepEqual([isFine, pauses], [true, []]);
    assert.deepEqual(lines, [
      '2 objects, 5 rows: sequence 1–2 without holes; no key twice; 1 topic partition, offsets without holes (1 canary, 0 rejected)',
      ALL_CHECKED,
    ]);
  });

  it('judges the numbers of each lane by themselves, and says whose they are', async () => {
    const lanes = [LIFE, { lane: 1, incarnation: '1a2b3c4d' }, { lane: 0, incarnation: '5e6f7a8b' }];
    for (const [index, life] of lanes.entries()) {
      for (const sequence of index === 1 ? [1, 3] : [1]) {
        putObject(batchOf(sequence, [1 + index + 3 * sequence], { life }));
      }
    }
    const { isFine, lines, findings } = await run(s3);
    assert.equal(isFine, false);
    assert.match(
      lines[0] ?? '',
      /: sequence 1 of lane 0 \(1a2b3c4d\), 1 of lane 0 \(5e6f7a8b\), 1–3 of lane 1 \(1a2b3c4d\), 1 missing; /,
    );
    assert.deepEqual(
      findings.map((line) => line.replace(/before .*/, 'before')).filter((line) => /sequence/.test(line)),
      ['FINDING sequence of lane 1 (1a2b3c4d): 2 missing before'],
    );
  });

  it('is content with the lake of a pipeline that has written nothing yet, and says so', async () => {
    for (const options of [{}, { since: '2025-01-31T10:00:00Z' }]) {
      const { isFine, lines } = await run(s3, options);
      assert.ok(isFine);
      assert.deepEqual(lines.slice(-2), ['s3://lake/raw: no rows (0 canaries, 0 rejected)', ALL_CHECKED]);
    }
  });

  it('is not content where no pipeline has written and none has claimed the prefix', async () => {
    for (const options of [{}, { since: '2025-01-31T10:00:00Z' }]) {
      const { isFine, lines, findings } = await run(s3, options, { prefix: 'rwa' });
      assert.deepEqual([isFine, findings], [false, []]);
      assert.deepEqual(lines.slice(-2), [
        'NOT CHECKED lake: nothing lies under s3://lake/rwa, and no pipeline has claimed it: see SLUICE_BUCKET and SLUICE_PREFIX',
        'Not everything could be checked, as said above. In the rest nothing was found.',
      ]);
    }
  });

  it('finds an offset that nothing explains, and names the object after it', async () => {
    put(1, [5, 6]);
    const key = put(2, [9, 8]);
    const { isFine, lines, findings } = await run(s3);
    assert.equal(isFine, false);
    assert.deepEqual(findings, [`FINDING offset t/0: 7 missing before ${key}`]);
    assert.match(lines[0] ?? '', /1 topic partition, 1 offset missing/);
  });

  it('takes a rejected event for an explanation, and counts those that can not be read', async () => {
    put(1, [1, 3, 5, 6]);
    const rejected = { detail: 'd', source: 's', id: '[]' };
    await keepRejected(s3.store(lakeOf('raw')), {
      ...rejected,
      key: 'id-2',
      reason: 'row-too-large',
      text: eventAt(2),
    });
    await keepRejected(s3.store(lakeOf('raw')), {
      ...rejected,
      key: 'cut',
      reason: 'not-json',
      text: '{"meta',
    });
    const { isFine, findings: none, unchecked } = await run(s3);
    assert.deepEqual([isFine, none], [false, []]);
    assert.deepEqual(unchecked, [
      "NOT CHECKED offsets: 1 offset missing for which rejected events may account, whose offsets can't be read: " +
        '`sluice rejected list` shows these',
    ]);
    put(2, [8]);
    const { isFine: isFineStill, findings, unchecked: more, lines } = await run(s3);
    assert.equal(isFineStill, false);
    assert.equal(findings.length, 2);
    assert.match(more.join(), /^NOT CHECKED offsets: 1 offset missing for which rejected events may account/);
    assert.equal(
      lines.at(-1),
      'Not everything could be checked, as said above. In the rest 2 findings, listed above.',
    );
  });

  it('takes a rejected record of Kafka for an explanation, each by its place, whoever rejected it', async () => {
    putObject(
      objectOf(1, 1, {
        columns: ['topic', 'partition', 'offset', 'from'],
        place: { kind: 'kafka', at: [0, 1, 2, 3] },
        rows: [1, 5].map((offset) => ['t', '0', String(offset), String(offset)]),
        keys: [1, 5].map((offset) => keyDigest(`t/0/${offset}`)),
      }),
    );
    const url = 'kafka://localhost:9092/t';
    const record = (offset: number) => ({ topic: 't', partition: 0, offset, from: offset, timestamp: 7 });
    const rejected = { detail: 'd', source: url, reason: 'not-json', text: 'null?' } as const;
    const lake = lakeOf('raw');
    await keepRejected(s3.store(lake), { ...rejected, id: 't/0/2', key: 't/0/2', record: record(2) });
    await keepRejected(s3.store(lake), { ...rejected, id: 't/0/3', key: 't/0/3', record: record(3) });
    const { findings } = await run(s3);
    assert.match(findings.join(), /^FINDING offset t\/0: 4 missing before [^,]*$/);
    // As the lane keeps a message that is too large for a row.
    const text = JSON.stringify({ kafka: record(4) });
    await keepRejected(s3.store(lake), {
      ...rejected,
      id: 'm-1',
      key: 'm-1',
      source: 'queue',
      reason: 'row-too-large',
      text,
    });
    assert.deepEqual((await run(s3)).findings, []);
  });

  it('names a key that is repeated, and both objects that hold it', async () => {
    const first = put(1, [5, 6]);
    const second = put(2, [7, 6, 8]);
    const { isFine, findings } = await run(s3);
    assert.equal(isFine, false);
    assert.deepEqual(findings, [
      `FINDING key ${keyDigest('id-6')} stands in 2 rows: row 2 of ${first}, row 2 of ${second}`,
    ]);
  });

  it('reads objects a second time only to name repeats, and no more of them than it takes', async () => {
    for (let sequence = 1; sequence <= 40; sequence += 1) put(sequence, [sequence]);
    const gets = () => s3.commands.filter((command) => command.startsWith('Get')).length;
    await run(s3);
    assert.equal(gets(), 40);
    put(2, [1]);
    await run(s3);
    assert.ok(gets() < 40 + 41 + 20, String(gets()));
    assert.equal(s3.mostGetsAtOnce, 8);
  });

  it('finds a hole in the sequence, and two objects of one number', async () => {
    const keys = [put(2, [1, 2]), put(2, [3, 4]), put(5, [5])];
    const { isFine, lines, findings } = await run(s3);
    assert.equal(isFine, false);
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
      const { isFine, findings, unchecked, pauses } = await run(s3, options);
      assert.deepEqual([isFine, findings], [false, []]);
      assert.match(
        unchecked[0] ?? '',
        /^NOT CHECKED sequence: 1 sequence number missing, and may be on the way, since what follows is younger than \d+ s: run/,
      );
      assert.match(unchecked[1] ?? '', /^NOT CHECKED offsets: 1 offset missing, and may be on the way/);
      assert.equal(pauses.length, 5, 'it looked again first');
    }
    for (const grace of ['8m', '0s']) {
      const { findings, pauses } = await run(s3, { grace });
      assert.deepEqual([findings.length, pauses], [2, []]);
    }
  });

  it('finds an object that was taken out of a stopped pipeline just now, unless it is among the newest few', async () => {
    for (let sequence = 1; sequence <= 9; sequence += 1)
      put(sequence, [sequence], { modifiedAt: Date.now() });
    for (const [key] of s3.objects) if (key.includes('-0000000005-')) s3.objects.delete(key);
    const { isFine, findings } = await run(s3);
    assert.equal(isFine, false);
    assert.match(findings.join(), /^FINDING sequence 5 missing before [^,]*-0000000006-/);
    for (const [key] of s3.objects) if (key.includes('-0000000006-')) s3.objects.delete(key);
    const { isFine: isStill, findings: same, unchecked } = await run(s3);
    assert.equal(isStill, false);
    assert.match(same.join(), /^FINDING sequence 5 missing/);
    assert.match(
      unchecked.join('\n'),
      /^NOT CHECKED sequence: 1 sequence number missing, and may be on the way/,
    );
  });

  it('looks again for what is on its way while the pipeline runs, and is content when it came', async () => {
    const now = { frozenAt: Date.now() };
    put(1, [1, 2], now);
    put(4, [6, 8], now);
    const { isFine, lines, pauses } = await run(
      s3,
      {},
      {
        meanwhile: (count) => {
          if (count === 1) put(2, [3, 4], now);
          if (count === 2) put(3, [5], now);
          // Beside row 7 it brings a new hole, which is not asked for.
          if (count === 3) put(6, [7, 20], now);
        },
      },
    );
    assert.deepEqual([isFine, pauses], [true, [1_000, 2_000, 4_000]]);
    assert.deepEqual(lines, [
      '2 objects, 4 rows: sequence 1–4 without holes; no key twice; 1 topic partition, offsets without holes (0 canaries, 0 rejected)',
      ALL_CHECKED,
    ]);
  });

  it('takes an event that was rejected meanwhile for an explanation', async () => {
    put(1, [1, 3], { frozenAt: Date.now() });
    const { isFine } = await run(
      s3,
      {},
      {
        meanwhile: () => {
          const facts = { reason: 'row-too-large', detail: 'd', source: 's', id: 'i', text: eventAt(2) };
          const time = new Date().toISOString();
          s3.put(`raw/rejected/${sha256(eventAt(2))}.json`, JSON.stringify({ ...facts, time }));
        },
      },
    );
    assert.ok(isFine);
  });

  it('does not wait longer than the grace that it was given', async () => {
    put(1, [1, 3], { modifiedAt: Date.now() });
    assert.deepEqual((await run(s3, { grace: '3s' })).pauses, [1_000, 2_000]);
  });

  it('finds an object that is no pipeline’s, and shows its name so that a terminal stays as it is', async () => {
    put(1, [1]);
    s3.put('raw/\u001b[2J.txt', 'x');
    s3.put('rawer/one.txt', 'in another folder');
    const { isFine, findings } = await run(s3);
    assert.equal(isFine, false);
    assert.deepEqual(findings, ['FINDING object raw/\\u001b[2J.txt is none that a pipeline writes']);
  });

  it('leaves the prefixes of other pipelines to them, and says which these are', async () => {
    put(1, [1]);
    const isOthers = { pipeline: 'other', lane: 'lane', run: 'default/other' };
    for (const prefix of ['raw/orders', 'raw/a/b', 'raw/orders/within']) {
      await claimLake(s3.store(lakeOf(prefix)), isOthers);
      putObject(batchOf(1, [9], { prefix }));
    }
    // Listed before the object that names the other pipeline.
    s3.put('raw/orders/NOTES.txt', 'x');
    const whole = await run(s3);
    assert.deepEqual([whole.isFine, whole.findings], [true, []]);
    assert.match(
      whole.lines.join('\n'),
      /^not judged: what lies under raw\/a\/b, raw\/orders, raw\/orders\/within, which belongs to other pipelines/m,
    );
    s3.put('raw/a/notes.txt', 'x');
    s3.put('raw/ordersX/notes.txt', 'x');
    assert.deepEqual((await run(s3)).findings, [
      'FINDING object raw/a/notes.txt is none that a pipeline writes',
      'FINDING object raw/ordersX/notes.txt is none that a pipeline writes',
    ]);
  });

  it('leaves them alone where the prefix is the bucket itself, as the first pipeline has it', async () => {
    putObject(batchOf(1, [1], { prefix: '' }));
    await claimLake(s3.store(lakeOf('orders')), { pipeline: 'orders', lane: 'lane', run: 'default/run' });
    putObject(batchOf(1, [9], { prefix: 'orders' }));
    const { isFine, findings } = await run(s3, {}, { prefix: '' });
    assert.deepEqual([isFine, findings], [true, []]);
  });

  it('finds objects that are not what they should be, and goes on', async () => {
    const key = put(1, [1]);
    s3.put(key, 'event_id,title\nid-1\n', TEN);
    put(2, [2]);
    s3.put(`raw/rejected/${sha256('a')}.json`, '{"reason"', TEN);
    s3.put(`raw/canaries/${sha256('b')}.json`, '[]', TEN);
    const { findings } = await run(s3);
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
    assert.deepEqual((await run(s3)).findings, [`FINDING object ${key}: it was listed, and is gone`]);
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
    s3.put(resentKey('raw', { digest, time }), body, TEN);
    const { findings } = await run(s3);
    assert.deepEqual(findings, [
      `FINDING offset t/0: 2 was sent to the queue again and never came: \`sluice rejected again ${digest.slice(0, 12)} --force\``,
    ]);
  });

  it('says what it can not check', async () => {
    const rows = [['x'], ['y']];
    putObject(objectOf(1, 1, { columns: ['title'], place: { kind: 'meta', at: [] }, rows }));
    const { isFine, lines } = await run(s3);
    assert.equal(isFine, false);
    assert.deepEqual(lines, [
      '1 object, 2 rows: sequence 1 without holes; keys not compared; offsets not checked (0 canaries, 0 rejected)',
      "NOT CHECKED keys: repeats can't be looked for in 2 rows without the column _key, which SLUICE_KEY_COLUMN=off leaves out",
      "NOT CHECKED offsets: missing rows can't be looked for in 2 rows without columns that have the paths meta.topic, meta.partition, meta.offset",
      'Not everything could be checked, as said above. In the rest nothing was found.',
    ]);
  });

  it('finds a body that somebody changed, and one that another hand wrote', async () => {
    const first = put(1, [1, 2]);
    const second = put(2, [3]);
    put(3, [4]);
    const { body = '', metadata } = s3.objects.get(first) ?? {};
    s3.put(first, Buffer.from(body).toString().replace('title', 'Title'), TEN, metadata);
    s3.put(second, s3.objects.get(second)?.body ?? '', TEN);
    const { isFine, findings, unchecked } = await run(s3);
    assert.equal(isFine, false);
    assert.deepEqual(findings, [
      `FINDING offset t/0: 3 missing before ${batchOf(3, [4]).key}`,
      `FINDING object ${first}: its body is not the one that was written: it has another SHA-256 than its metadata states`,
      `FINDING object ${second}: it states nothing in its metadata, as others do: another hand wrote it`,
    ]);
    assert.deepEqual(unchecked, [
      "NOT CHECKED offsets: missing rows can't be looked for in 1 row, whose objects do not state which columns hold topic, partition and offset",
    ]);
  });

  it('says of a copy of bodies alone that it can not tell what was changed', async () => {
    for (const n of [1, 2]) {
      const { key, body } = batchOf(n, [n]);
      s3.put(key, body, TEN);
    }
    const { isFine, lines, findings } = await run(s3);
    assert.deepEqual([isFine, findings], [false, []]);
    assert.deepEqual(lines.slice(0, 3), [
      '2 objects, 2 rows: sequence 1–2 without holes; no key twice; offsets not checked (0 canaries, 0 rejected)',
      'NOT CHECKED bodies: 2 objects without what Sluice states in the metadata of each: somebody copied the bodies alone, so that what was changed since it was written does not show',
      "NOT CHECKED offsets: missing rows can't be looked for in 2 rows, whose objects do not state which columns hold topic, partition and offset",
    ]);
  });

  describe('of a stream that is none of Wikimedia’s', () => {
    const putRows = (sequence: number, names: readonly string[]) =>
      putObject(
        objectOf(sequence, sequence, {
          columns: ['temp'],
          place: { kind: 'maybe-meta', at: [] },
          rows: names.map(() => ['21']),
          keys: names.map(keyDigest),
        }),
      );

    it('goes by the key that each row has, and asks for no offsets', async () => {
      putRows(1, ['a', 'b']);
      putRows(2, ['c']);
      const whole = await run(s3);
      assert.deepEqual([whole.isFine, whole.findings, whole.unchecked], [true, [], []]);
      putRows(3, ['b']);
      const { isFine, findings } = await run(s3);
      assert.equal(isFine, false);
      assert.match(findings.join(), new RegExp(`^FINDING key ${keyDigest('b')} stands in 2 rows`));
    });

    it('notes when nobody listened, and finds nothing in it', async () => {
      putRows(1, ['a']);
      const gap = { from: TEN + 60_000, to: TEN + 90_000, source: 'https://example.org/readings' };
      await keepGap(s3.store(lakeOf('raw')), gap);
      const { isFine, lines } = await run(s3);
      assert.equal(isFine, true);
      assert(
        lines.includes(
          "possible gap from 2025-01-31T10:01:00.000Z to 2025-01-31T10:01:30.000Z: nobody listened to the source, which can't be resumed",
        ),
        lines.join('\n'),
      );
      const other = await run(s3, { since: '2025-01-31T11:00:00Z' });
      assert(!other.lines.join().includes('possible gap'));
    });
  });

  it('says which rows it could not compare, and not those of other hours than were asked for', async () => {
    put(1, [1, 2]);
    putObject(objectOf(2, 3, { rows: [['', 'x', '', '', '']] }));
    const { isFine, unchecked } = await run(s3);
    assert.equal(isFine, false);
    assert.deepEqual(unchecked, [
      "NOT CHECKED keys: repeats can't be looked for in 1 row without the column _key, which SLUICE_KEY_COLUMN=off leaves out",
      'NOT CHECKED offsets: 1 row without topic, partition and offset not counted: an offset that is missing may be one of theirs',
    ]);
    put(3, [3], { frozenAt: TEN + HOUR });
    assert.ok((await run(s3, { since: '2025-01-31T11:00:00Z' })).isFine);
  });

  it('names twenty findings of a kind and counts the rest', async () => {
    for (let n = 1; n <= 25; n += 1) s3.put(`raw/file-${n}`, 'x');
    const { findings } = await run(s3);
    assert.equal(findings.length, 21);
    assert.equal(findings.at(-1), 'FINDING object … and 5 more');
  });

  it('says everything as JSON when asked to', async () => {
    put(1, [1]);
    const key = put(3, [3]);
    const { isFine, lines } = await run(s3, { json: true, until: '2026-01-01T00:00:00Z' });
    assert.equal(isFine, false);
    assert.equal(lines.length, 1);
    const report = JSON.parse(lines[0] ?? '') as LakeReport;
    assert.deepEqual([report.whole, report.unchecked, report.claimed], [false, [], true]);
    assert.deepEqual(report.hours, { until: '2026-01-01T00:00:00.000Z' });
    assert.deepEqual(report.sequence.missing, {
      count: 1,
      named: [{ ...LIFE, from: 2, to: 2, before: key }],
    });
    assert.deepEqual(report.offsets?.missing.named, [{ partition: 't/0', from: 2, to: 2, before: key }]);
  });

  describe('of some hours', () => {
    const at = (hour: number) => ({ frozenAt: TEN + (hour - 10) * HOUR });
    const hours = { since: '2025-01-31T10:20:00Z', until: '2025-01-31T11:10:00Z' };

    it('judges whole hours, and says so', async () => {
      for (const hour of [8, 9, 10, 11, 12, 13]) put(hour, [hour], at(hour));
      const { isFine, lines } = await run(s3, hours);
      assert.ok(isFine);
      assert.deepEqual(lines, [
        'whole hours (UTC) in which objects were frozen, from 2025-01-31T10:00Z to before 2025-01-31T12:00Z',
        '2 objects, 2 rows: sequence 10–11 without holes; no key twice; 1 topic partition, offsets without holes (0 canaries, 0 rejected)',
        ALL_CHECKED,
      ]);
    });

    it('reads one hour more on each side and no other, and lists little else', async () => {
      const keys = [8, 9, 10, 11, 12, 13, 14].map((hour) => put(hour, [hour], at(hour)));
      await run(s3, hours);
      const read = s3.commands.filter((command) => command.startsWith('Get'));
      assert.deepEqual(
        read,
        keys.slice(1, 5).map((key) => `Get ${key}`),
      );
      assert.deepEqual(s3.listed, [...keys.slice(1, 5), 'raw/_sluice/owner.json']);
    });

    it('does not miss rows that came a little out of order across an edge', async () => {
      put(9, [1, 2, 4], at(9));
      put(10, [3, 5, 7], at(10));
      put(11, [8], at(11));
      put(12, [6, 9], at(12));
      assert.ok((await run(s3, hours)).isFine);
      const only = { since: '2025-01-31T10:00:00Z', until: '2025-01-31T11:00:00Z' };
      const { findings } = await run(s3, only);
      assert.equal(findings.length, 1, 'row 6 came two hours late, which nobody can know who asks for one');
    });

    it('leaves holes before and after them to others', async () => {
      put(7, [1], at(9));
      put(9, [3], at(9));
      put(10, [4, 6], at(10));
      put(12, [8], at(12));
      put(14, [10], at(12));
      const { findings } = await run(s3, hours);
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
      const { findings } = await run(s3, hours);
      assert.equal(findings.length, 1);
      assert.match(findings[0] ?? '', /t\/0: 3 missing/);
      assert.ok((await run(s3)).isFine);
    });

    for (const [what, options, says] of [
      ['a time without an offset', { since: '2025-01-31T10:00' }, /^--since must be an ISO 8601 time/],
      [
        'a day that there is not',
        { since: '2025-02-29' },
        /^--since must be an ISO 8601 time of a day that there is/,
      ],
      [
        'another one',
        { until: '2025-04-31T00:00:00Z' },
        /^--until must be an ISO 8601 time of a day that there is/,
      ],
      ['no time', { until: 'noon' }, /^--until must be an ISO 8601 time .* it is "noon"$/],
      ['an empty range', { since: hours.until, until: hours.since }, /--until must be later than --since/],
      ['a grace without a unit', { grace: '600' }, /^--grace must be a number with its unit/],
    ] as const) {
      it(`can not be ${what}`, async () => {
        await assert.rejects(run(s3, options), { name: 'UsageError', message: says });
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
        await assert.rejects(run(s3), { name: 'CommandError', message: says });
      });
    }

    it('leaves mistakes of our own as they are', async () => {
      s3.before = () => {
        throw new TypeError('undefined is not a function');
      };
      await assert.rejects(run(s3), { name: 'TypeError' });
    });
  });

  describe('on a terminal', () => {
    it('draws how many objects were read in one line, and removes it', async () => {
      for (let sequence = 1; sequence <= 20; sequence += 1) put(sequence, [sequence]);
      const drawn: string[] = [];
      const store = s3.store(lakeOf('raw'));
      const screen = { isTTY: true, write: (text: string) => drawn.push(text) };
      await verify({ store, say: () => {} }, {}, { screen });
      assert.equal(drawn[0], '\r\u001b[Kobjects read: 0 of 20');
      assert.equal(drawn.at(-1), '\r\u001b[K');
      drawn.length = 0;
      await verify({ store, say: () => {} }, {}, { screen: { ...screen, isTTY: false } });
      assert.deepEqual(drawn, []);
    });
  });
});

describe('sluice verify, against moto', () => {
  let moto: MotoServer;
  let s3: S3Client;
  const lakes = { store: (lake: Lake) => new LakeStore(s3, lake) };

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
    const { key, body, metadata } = batchOf(sequence, offsets, { prefix, frozenAt });
    await s3.send(new PutObjectCommand({ Bucket: 'lake', Key: key, Body: body, Metadata: metadata }));
    return key;
  };

  it('finds what is missing and what is there twice, and nothing else', async () => {
    const first = await put('a', 1, [1, 2, 3]);
    const second = await put('a', 2, [5, 3, 7]);
    const last = await put('a', 4, [8]);
    await keepCanary(lakes.store(lakeOf('a')), {
      source: 's',
      id: '[]',
      key: 'id-4',
      text: eventAt(4, 'canary'),
    });
    const { isFine, findings } = await run(lakes, { grace: '0s' }, { prefix: 'a' });
    assert.equal(isFine, false);
    assert.deepEqual(findings, [
      `FINDING sequence 3 missing before ${last}`,
      `FINDING key ${keyDigest('id-3')} stands in 2 rows: row 3 of ${first}, row 2 of ${second}`,
      `FINDING offset t/0: 6 missing before ${second}`,
    ]);
    const { findings: sureAlready } = await run(lakes, {}, { prefix: 'a' });
    assert.deepEqual(sureAlready, findings.slice(1, 2), 'the rest may still come: all objects are new');
  });

  it('lists the hours asked for', async () => {
    for (const hour of [8, 9, 10, 11, 12, 13]) await put('b/c', hour, [hour], TEN + (hour - 10) * HOUR);
    const { lines } = await run(
      lakes,
      { since: '2025-01-31T10:00:00Z', until: '2025-01-31T12:00:00Z' },
      { prefix: 'b/c' },
    );
    assert.match(lines[1] ?? '', /^2 objects, 2 rows: sequence 10–11 without holes/);
  });

  it('says what to do without a bucket', async () => {
    const store = lakes.store({ bucket: 'no-such-bucket', prefix: 'raw' });
    await assert.rejects(verify({ store, say: () => {} }), {
      name: 'CommandError',
      message: /^There is no bucket no-such-bucket: run `sluice provision`/,
    });
  });
});
