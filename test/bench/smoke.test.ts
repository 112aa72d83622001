import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bench } from '../../bench/bench';
import { planOf } from '../../bench/plan';
import { PAGE, reported, tableOf } from '../../bench/report';
import { readResults, type Result } from '../../bench/results';

/** Of the usual numbers: 300 rows, 450 events. */
const SHARE = 0.3;

/** Of full packs, sent, received and deleted one at a time, it is 0.03. */
const MOST_SQS_REQUESTS_PER_EVENT = 0.05;

/** Polls that a queue which just ran empty answers, once a run: a lane makes four receives at once, and each of them eight polls. */
const POLLS_OF_AN_EMPTY_QUEUE = 32;

/** Long enough for a loaded machine; where nothing else runs it takes half a minute. */
const TIMEOUT_MS = 600_000;

describe('The benchmark, in small', function () {
  this.timeout(TIMEOUT_MS);
  let folder: string;
  let file: string;
  let results: Result[];
  const plan = planOf({
    cases: ['ingest', 'requests'],
    peers: ['sluice'],
    servers: ['moto'],
    share: SHARE,
  });

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-smoke-'));
    file = path.join(folder, 'results.jsonl');
    results = await bench({ plan, rounds: 1, file, say: () => {} });
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  function figuresOf(name: string): Record<string, number> {
    const found = results.find(({ measurement }) => measurement.case === name);
    assert.ok(found, `${name} was measured`);
    return found.figures;
  }

  it('measures all that was asked for', () => {
    assert.deepEqual(
      results.map(({ measurement }) => measurement.case),
      ['ingest', 'requests'],
    );
    const [header = '', ...lines] = tableOf(results);
    assert.equal(lines.length, 2);
    assert.match(header, /per second .* SQS\/event .* CPU ms\/event .* lost +repeated/);
    for (const name of ['perSecond', 'cpuMsPerEvent: worker', 'peakRssMb: worker']) {
      assert.ok((figuresOf('ingest')[name] ?? 0) > 0, name);
    }
  });

  it('counts what reached the lake, and nothing is missing or there twice', () => {
    const { lost, repeated, complete } = figuresOf('requests');
    assert.deepEqual({ lost, repeated, complete }, { lost: 0, repeated: 0, complete: 1 });
  });

  it('finds SQS requests within their bound, and one PUT for each object', () => {
    const { sqsRequestsPerEvent = NaN, s3RequestsPerEvent = NaN } = figuresOf('requests');
    const { events = NaN } =
      results.find(({ measurement }) => measurement.case === 'requests')?.measurement ?? {};
    const requests = Math.round(sqsRequestsPerEvent * events);
    const counted = `${requests} requests for ${events} events`;
    assert.ok(requests >= 3, `${counted}: a pack is sent, received and deleted`);
    assert.ok(requests <= MOST_SQS_REQUESTS_PER_EVENT * events + POLLS_OF_AN_EMPTY_QUEUE, counted);
    assert.ok(s3RequestsPerEvent >= 0.01 && s3RequestsPerEvent <= 0.02, `${s3RequestsPerEvent} per event`);
  });

  it('finds what Temporal recorded', () => {
    const {
      temporalActionsPer100Rows = 0,
      historyKbPer100Rows = 0,
      heartbeatsPer100Rows,
    } = figuresOf('requests');
    assert.ok(temporalActionsPer100Rows >= 3, 'a receive, an upload and a deletion');
    assert.ok(historyKbPer100Rows > 0);
    assert.ok(heartbeatsPer100Rows !== undefined);
  });

  it('goes on where it was: what the file has is not measured again', async () => {
    const again = await bench({ plan, rounds: 1, file, say: assert.fail });
    assert.deepEqual(again, results);
    assert.deepEqual(await readResults(file), results);
  });
});

describe('The page on speed and cost', () => {
  it('has the tables that the results make', async () => {
    const measured = path.join(__dirname, '../../bench/results.jsonl');
    const results = existsSync(measured) ? await readResults(measured) : [];
    const page = readFileSync(PAGE, 'utf8');
    assert.equal(page, reported(page, results), 'run `npm run bench -- --report`');
  });
});
