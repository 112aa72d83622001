import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as fc from 'fast-check';
import type { Cursor } from '../../src/sources/cursor';
import { sseSource } from '../../src/sources/sse/source';
import { frame, LocalServer, openStream } from '../support/local-server';
import { anyText } from './awkward';
import { FUZZ_TIMEOUT_MS, runs } from './runs';

const STREAMS = runs(300);
const IDS = runs(300);
const START: Cursor = { since: Date.UTC(2026, 0, 31), positions: {}, recent: {} };

/** Streams come whole in milliseconds; what takes this long is lost. */
const LOST_MS = 10_000;

const wikimediaId = fc
  .array(
    fc.record({
      topic: fc.constantFrom('eqiad.recentchange', 'codfw.recentchange'),
      partition: fc.nat(2),
      timestamp: fc.nat(),
    }),
  )
  .map((entries) => JSON.stringify(entries));

const lineEnd = fc.constantFrom('\n', '\r', '\r\n');

const line = fc
  .tuple(
    fc.oneof(
      fc.constantFrom('data', 'id', 'event', 'retry', '', 'datum', ' data', '\uFEFFdata', 'DATA', 'id\0'),
      anyText,
    ),
    fc.constantFrom(':', ': ', '', ':  '),
    fc.oneof(
      anyText,
      wikimediaId,
      fc.constantFrom(
        '{"n":1}',
        'message',
        'error',
        'open',
        '0',
        '1',
        '99999999999999999999',
        '-1',
        '1e3',
        '\0',
      ),
      fc.integer({ min: 1, max: 300_000 }).map((length) => 'é'.repeat(length / 2)),
    ),
    lineEnd,
  )
  .map((parts) => parts.join(''));

const almostStream = fc
  .array(fc.oneof({ weight: 5, arbitrary: line }, { weight: 1, arbitrary: lineEnd }), { maxLength: 12 })
  .map((lines) => Buffer.from(lines.join('')));

const mutatedStream = fc
  .tuple(
    almostStream,
    fc.array(fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 3 }), fc.nat(4)), { maxLength: 6 }),
  )
  .map(([bytes, mutations]) =>
    mutations.reduce((mutated, [seed, inserted, removed]) => {
      const at = seed % (mutated.length + 1);
      return Buffer.concat([mutated.subarray(0, at), inserted, mutated.subarray(at + removed)]);
    }, bytes),
  );

const anyBytes = fc.oneof(
  { weight: 2, arbitrary: almostStream },
  { weight: 3, arbitrary: mutatedStream },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)) },
);

describe('Any bytes in the place of an event stream', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  let server: LocalServer;
  let answer: (response: ServerResponse) => void;

  before(async () => {
    server = await LocalServer.start((_, response) => answer(response));
  });

  after(() => server.close());

  /** @returns the payloads up to `last` */
  async function readUntil(last: string): Promise<string[]> {
    const stop = new AbortController();
    const lost = setTimeout(() => stop.abort(), LOST_MS);
    const texts: string[] = [];
    let cursor = START;
    const source = sseSource({ url: server.url, userAgent: 'sluice-fuzz (test)', backoffMs: 1 });
    for await (const { text, id, positions = {} } of source.read(() => cursor, stop.signal)) {
      texts.push(text);
      cursor = { ...cursor, positions, ...(id === '' ? {} : { lastEventId: id }) };
      if (text === last) stop.abort();
    }
    clearTimeout(lost);
    return texts;
  }

  it(`loses no neighbour, and the reading goes on (${STREAMS.numRuns} streams)`, async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.array(anyBytes, { minLength: 1, maxLength: 4 }), sizes, async (pieces, sizes) => {
        const neighbours = [...pieces.keys()].map((count) => `{"neighbour":${count}}`);
        const bytes = Buffer.concat(
          pieces.flatMap((piece, index) => [piece, Buffer.from(`\n\n${frame(neighbours[index] ?? '')}`)]),
        );
        answer = (response) => void writeInPieces(openStream(response, 60_000), bytes, sizes);
        const texts = await readUntil(neighbours.at(-1) ?? '');
        assert.deepEqual(
          texts.filter((text) => neighbours.includes(text)),
          neighbours,
        );
      }),
      STREAMS,
    );
  });

  it(`connects again after any id (${IDS.numRuns} ids)`, async () => {
    const anyId = fc.oneof(
      anyText,
      wikimediaId,
      fc
        .array(fc.record({ topic: anyText, partition: fc.nat(), timestamp: fc.maxSafeNat() }))
        .map((entries) => JSON.stringify(entries)),
      fc.integer({ min: 1, max: 100_000 }).map((length) => '7'.repeat(length)),
    );
    await fc.assert(
      fc.asyncProperty(anyId, async (id) => {
        const answers = [frame('{"first":1}', { id }), frame('{"last":1}')];
        answer = (response) => void openStream(response, 1).end(answers.shift());
        assert.equal((await readUntil('{"last":1}')).at(-1), '{"last":1}');
      }),
      IDS,
    );
  });

  it('keeps memory bounded while 200 MB of one line pass', async () => {
    const line = Buffer.alloc(1_000_000, 'x');
    answer = (response) => void writeEndless(openStream(response, 60_000), line, 200);
    const memory = () => process.memoryUsage().rss;
    const before = memory();
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, memory())), 10);
    await readUntil('{"last":1}');
    clearInterval(watch);
    assert(most - before < 120_000_000, `${most - before} bytes more`);
  });
});

async function writeInPieces(
  response: ServerResponse,
  bytes: Uint8Array,
  sizes: readonly number[],
): Promise<void> {
  let at = 0;
  for (let count = 0; at < bytes.length; count += 1) {
    // Two writes in one turn leave as one.
    if (count < 50) await nextTurn();
    const size = count < 50 ? (sizes[count % sizes.length] ?? 1) : bytes.length;
    response.write(bytes.subarray(at, at + size));
    at += size;
  }
}

async function writeEndless(response: ServerResponse, line: Uint8Array, times: number): Promise<void> {
  response.write('data: ');
  for (let count = 0; count < times; count += 1) {
    if (!response.write(line)) await new Promise((resolve) => response.once('drain', resolve));
  }
  response.write(`\n\n${frame('{"last":1}')}`);
}
