import assert from 'node:assert/strict';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { stringify } from 'csv-stringify/sync';
import { type MotoServer, startMotoServer } from '../../local/moto-server';
import { type Ledger, type PublishedEvent, startSimulatedStream } from '../../local/simulated-stream';
import { examineLake, idleProblems, lakeProblems } from './judge/judge';
import { table, verdict } from './judge/report';
import { describe as describePlanned, lastsMs, nameOf, planSchedule, TRACKS } from './nemesis/schedule';

const COLUMNS = ['event_id', 'wiki', 'topic', 'partition', 'offset'];
const ROWS = 10;

function rowOf({ key, text, topic, partition, offset }: PublishedEvent): string[] {
  const { wiki } = JSON.parse(text) as { wiki: string };
  return [key, wiki, topic, String(partition), String(offset)];
}

function csv(rows: readonly string[][]): string {
  return stringify([COLUMNS, ...rows], { record_delimiter: '\n' });
}

function objectName(sequence: number, lane = '1a2b3c4d'): string {
  return `lake/date=2026-01-01/hour=00/batch-${lane}-${String(sequence).padStart(10, '0')}-0123456789abcdef.csv`;
}

describe('The judge of a chaos run', () => {
  let moto: MotoServer;
  let s3: S3Client;
  let ledger: Ledger;
  let lakes = 0;

  before(async () => {
    moto = await startMotoServer();
    s3 = new S3Client({
      endpoint: moto.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      forcePathStyle: true,
    });
    const stream = await startSimulatedStream({
      events: 2 * ROWS + 1,
      broken: 1,
      brokenKinds: ['not-json'],
      ratePerSecond: Infinity,
      startsWhen: 'at-once',
    });
    await stream.published;
    await stream.close();
    ({ ledger } = stream);
  });

  after(async () => {
    s3.destroy();
    await moto.stop();
  });

  /** What a pipeline without a fault would have written. */
  function wholeLake(): Map<string, string> {
    const rows = ledger.published.map(rowOf);
    const rejected = ledger.broken.map(({ text }) => JSON.stringify({ reason: 'not-json', text }));
    return new Map([
      [objectName(1), csv(rows.slice(0, ROWS))],
      [objectName(2), csv(rows.slice(ROWS))],
      ...rejected.map((json) => ['lake/rejected/1.json', json] as const),
    ]);
  }

  async function problemsOf(objects: ReadonlyMap<string, string>): Promise<string> {
    lakes += 1;
    const bucket = `lake-${lakes}`;
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    for (const [Key, Body] of objects) await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
    return lakeProblems(await examineLake({ s3, bucket, prefix: 'lake', ledger })).join('\n');
  }

  it('takes no number for missing that a lane wrote down which took over, and every other', async () => {
    const rows = ledger.published.map(rowOf);
    const lake = wholeLake();
    lake.delete(objectName(2));
    // The second lane wrote what the first one had frozen as number 2.
    lake.set(objectName(3), csv([])).set(objectName(1, '5e6f7a8b'), csv(rows.slice(ROWS)));
    const closed = (missing: number[]) =>
      JSON.stringify({ closed: [{ lane: 0, incarnation: '1a2b3c4d', last: 3, missing }] });
    lake.set('lake/_sluice/adoptions/5e6f7a8b.json', closed([2]));
    assert.equal(await problemsOf(lake), '');
    lake.set('lake/_sluice/adoptions/5e6f7a8b.json', closed([]));
    assert.match(await problemsOf(lake), /1a2b3c4d: 2 is missing/);
  });

  /** The lake with the rows of its second object changed by hand. */
  function tampered(change: (rows: string[][]) => string[][]): Map<string, string> {
    const rows = ledger.published.slice(ROWS).map(rowOf);
    return wholeLake().set(objectName(2), csv(change(rows)));
  }

  const key = (index: number) => ledger.published[index]?.key ?? '';

  it('finds nothing in a lake that holds every event once', async () => {
    assert.equal(await problemsOf(wholeLake()), '');
  });

  it('finds a row that is missing', async () => {
    const problems = await problemsOf(tampered((rows) => rows.slice(1)));
    assert.equal(problems, `1 lost: ${key(ROWS)}`);
  });

  it('finds a row that is there twice', async () => {
    const problems = await problemsOf(tampered((rows) => [...rows, ...rows.slice(0, 1)]));
    assert.equal(problems, `1 repeated: ${key(ROWS)}`);
  });

  it('finds a field that was changed', async () => {
    const problems = await problemsOf(
      tampered(([first = [], ...rest]) => [first.with(1, 'wikipedia'), ...rest]),
    );
    assert.match(problems, new RegExp(`^1 changed: ${key(ROWS)} wiki: "wikipedia" instead of "\\w+"$`));
  });

  it('finds rows of events that were never published', async () => {
    const problems = await problemsOf(tampered((rows) => [...rows, ['stranger', 'enwiki', 't', '0', '1']]));
    assert.equal(problems, '1 unknown: stranger');
  });

  it('finds objects that are none of the pipeline', async () => {
    assert.equal(await problemsOf(wholeLake().set('lake/notes.txt', 'hello')), '1 unknown: lake/notes.txt');
  });

  it('finds a hole in the sequence of objects, and a number that stands twice', async () => {
    const lake = wholeLake();
    const second = lake.get(objectName(2)) ?? '';
    lake.delete(objectName(2));
    assert.equal(await problemsOf(lake.set(objectName(3), second)), '1 wrong in the sequence: 2 is missing');

    const again = objectName(1).replace('hour=00', 'hour=01');
    assert.equal(
      await problemsOf(wholeLake().set(again, csv([]))),
      '1 wrong in the sequence: 1 is there twice',
    );

    for (const lane of ['l1-1a2b3c4d', '5e6f7a8b']) {
      assert.equal(
        await problemsOf(wholeLake().set(objectName(2, lane), csv([]))),
        `1 wrong in the sequence: ${lane}: 1 is missing`,
      );
    }
  });

  it('finds a broken event that was dropped, or kept twice', async () => {
    const lake = wholeLake();
    const kept = lake.get('lake/rejected/1.json') ?? '';
    assert.match(await problemsOf(new Map(lake).set('lake/rejected/2.json', kept)), /^1 repeated: \{/);
    lake.delete('lake/rejected/1.json');
    assert.match(await problemsOf(lake), /^1 lost: \{/);
  });

  it('fails a run in which something that was planned did not happen', () => {
    assert.deepEqual(idleProblems(['kill', 'kill', 'resetAfter'], { kill: 2, resetAfter: 1 }), []);
    assert.deepEqual(idleProblems(['kill', 'kill', 'resetAfter', 'copied'], { kill: 1, resetAfter: 0 }), [
      'idle: no resetAfter, no copied',
    ]);
  });
});

describe('The schedule of a chaos run', () => {
  it('is the same for the same seed, and another for another', () => {
    assert.deepEqual(planSchedule(7, 3), planSchedule(7, 3));
    assert.notDeepEqual(planSchedule(7, 3), planSchedule(8, 3));
  });

  it('lets the actions of one track follow each other, and ends in time', () => {
    for (const track of TRACKS) {
      const planned = planSchedule(7, 3).filter((each) => each.track === track);
      const ends = planned.map(({ at, action }) => at + lastsMs(action));
      assert.ok(planned.every(({ at }, index) => index === 0 || at > (ends[index - 1] ?? 0)));
      assert.ok(ends.every((end) => end <= 3 * 60_000));
    }
  });

  it('deals every kind of action before long', () => {
    const names = new Set(
      [1, 2, 3, 4].flatMap((seed) => planSchedule(seed, 3)).map(({ action }) => nameOf(action)),
    );
    for (const point of ['sent', 'received', 'put', 'deleted', 'frozen', 'continued']) {
      assert.ok(names.has(`kill at ${point}`), point);
    }
    assert.equal(names.size, 30, [...names].join(', '));
  });

  it('disturbs a Kafka topic in place of the stream, and all else as before', () => {
    const others = (source: 'sse' | 'kafka') =>
      planSchedule(7, 3, { source }).filter(({ track }) => track !== 'source');
    assert.deepEqual(others('kafka'), others('sse'));
    const names = [1, 2, 3, 4]
      .flatMap((seed) => planSchedule(seed, 3, { source: 'kafka' }))
      .flatMap(({ track, action }) => (track === 'source' ? [nameOf(action)] : []));
    assert.deepEqual([...new Set(names)].sort(), ['crash broker', 'cut broker', 'freeze broker']);
  });

  it('takes Temporal its database once where that is asked for, and all else is as before', () => {
    const loss = { at: 60_000, track: 'processes', action: { kind: 'lose temporal' } };
    const planned = planSchedule(7, 4, { adopts: true });
    assert.deepEqual(
      planned.filter(({ action }) => action.kind === 'lose temporal'),
      [loss],
    );
    assert.deepEqual(
      planned.filter(({ action }) => action.kind !== 'lose temporal'),
      planSchedule(7, 4),
    );
  });

  it('is told in one line for each action', () => {
    const line = describePlanned({ at: 12_345, track: 'source', action: { kind: 'stall stream', forMs: 7 } });
    assert.equal(line, '  12.3 s  stall stream {"forMs":7}');
  });
});

describe('The report of a chaos run', () => {
  const lake = { rows: 9, objects: 2, rejected: 1, lost: 0, repeated: 0, changed: 0, unknown: 0 };
  const report = {
    seed: 7,
    minutes: 3,
    sqs: 'moto' as const,
    source: 'kafka' as const,
    adopts: false,
    passed: true,
    problems: [],
    seconds: 240,
    events: 10,
    ...lake,
    actions: { kill: 2, 'kill at put': 1, flush: 1 },
    faults: { resetBefore: 5, slow: 1 },
    recognised: { repeats: 3, redelivered: 4, lostReceives: 1 },
    surprises: [],
  };

  it('ends in a verdict that says what was lost, repeated and changed', () => {
    assert.equal(
      verdict(report),
      'seed 7: 10 events, 0 lost, 0 repeated, 0 changed, 0 unknown; 9 rows in 2 objects, 1 rejected; 240 s: passed',
    );
    const failed = { ...report, passed: false, problems: ['1 lost: a', 'idle: no kill'] };
    assert.match(verdict(failed), /: FAILED: 1 lost: a\n {2}idle: no kill$/);
  });

  it('makes a row of a table of each run', () => {
    assert.equal(
      table([report])[2],
      '| 7 | 3 | kafka | moto | 10 | 0 | 0 | 0 | 3 | 1 | 6 | 3 | 4 | passed |',
    );
  });
});
