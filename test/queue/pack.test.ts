import assert from 'node:assert/strict';
import { deflateSync } from 'node:zlib';
import * as fc from 'fast-check';
import { MOST_EVENTS, pack, unpack } from '../../src/queue/pack';
import { anyText } from '../fuzz/awkward';
import { FUZZ_TIMEOUT_MS, runs } from '../fuzz/runs';

const PACKS = runs(1_000);
const BODIES = runs(4_000);

const EVENTS = Array.from({ length: 100 }, (_, index) => ({
  key: `payload:event-${index}`,
  text: JSON.stringify({ index, title: 'Zürich\n'.repeat(index % 7) }),
}));

/** What stands in no event, in UTF-8. */
const wellFormed = anyText.map((text) => Buffer.from(text).toString());

/** A pack that says what it has, whatever the frames are. */
function packOf(frames: Buffer, events: number, size = frames.length): { body: string; statement: string } {
  return { body: deflateSync(frames).toString('base64'), statement: `1 ${events} ${size}` };
}

function problemOf(packed: { body: string; statement: string }): string {
  const unpacked = unpack(packed);
  assert(!unpacked.ok);
  return unpacked.problem;
}

describe('A pack', function () {
  this.timeout(FUZZ_TIMEOUT_MS);

  it(`brings its events as they were, in their order (${PACKS.numRuns} packs)`, () => {
    const parts = { key: fc.stringMatching(/^[\x21-\x7e]{1,128}$/), text: wellFormed };
    const event = fc.record(parts, { noNullPrototype: true });
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: MOST_EVENTS }), (events) => {
        assert.deepEqual(unpack(pack(events)), { ok: true, events });
      }),
      PACKS,
    );
  });

  it('has characters that SQS takes, and a fraction of the bytes', () => {
    const { body, statement } = pack(EVENTS);
    assert.match(body, /^[A-Za-z0-9+/]+=*$/);
    const bytes = EVENTS.reduce((sum, { key, text }) => sum + key.length + Buffer.byteLength(text) + 5, 0);
    assert.equal(statement, `1 100 ${bytes}`);
    assert(body.length < bytes / 4, `${body.length} of ${bytes}`);
  });

  it('is refused in words where it is another version, or states what can not be', () => {
    const { body } = pack(EVENTS);
    for (const [statement, why] of [
      ['2 100 999', /it is of version 2, and this Sluice reads 1$/],
      ['1 0 0', /it states 0 events$/],
      ['1 101 999', /it states 101 events$/],
      ['1 100 1048577', /it states 1048577 bytes$/],
      ['1 100', /what it states is not version, events and bytes$/],
      ['', /what it states is not/],
      ['1 100 999999999999', /what it states is not/],
    ] as const) {
      assert.match(problemOf({ body, statement }), why);
    }
  });

  it('is refused in words where a part of it is not there, or more is', () => {
    const whole = pack(EVENTS);
    const [, , size] = whole.statement.split(' ').map(Number);
    assert.match(problemOf({ ...whole, body: whole.body.slice(0, -40) }), /unexpected end of file|incorrect/);
    assert.match(problemOf({ ...whole, statement: `1 99 ${size}` }), /it states 99 events and has 100$/);
    assert.match(problemOf({ ...whole, statement: `1 100 ${Number(size) + 1}` }), /bytes and has/);
    assert.match(
      problemOf({ ...whole, statement: `1 100 ${Number(size) - 1}` }),
      /Cannot create a Buffer larger|larger than/,
    );
    assert.match(problemOf(packOf(Buffer.from([1, 0x41, 0, 0, 0, 9, 0x7b]), 1)), /a frame of it is cut off$/);
    assert.match(problemOf(packOf(Buffer.from([1, 0x0a, 0, 0, 0, 0]), 1)), /a key in it is none$/);
    assert.match(problemOf(packOf(Buffer.from([0, 0, 0, 0, 0]), 1)), /a key in it is none$/);
    assert.match(problemOf({ body: '', statement: '1 1 0' }), /unexpected end of file/);
  });

  it('that would inflate to more than it states takes no more memory than that', () => {
    const bomb = deflateSync(Buffer.alloc(512 * 1024 * 1024), { level: 9 }).toString('base64');
    const before = process.memoryUsage().arrayBuffers;
    assert.match(problemOf({ body: bomb, statement: '1 100 1048576' }), /larger than/);
    assert(process.memoryUsage().arrayBuffers - before < 8 * 1024 * 1024);
  });

  it(`is read or refused, whatever it is made of, and never changed a little (${BODIES.numRuns} bodies)`, () => {
    const { body, statement } = pack(EVENTS);
    const change = fc.record({
      at: fc.nat(body.length - 1),
      character: fc.constantFrom('A', 'z', '0', '9', '+', '/', '=', '\n', ' ', 'é'),
    });
    const changed = fc.array(change, { minLength: 1, maxLength: 5 }).map((changes) => {
      const characters = body.split('');
      for (const { at, character } of changes) characters[at] = character;
      return characters.join('');
    });
    const stated = fc.oneof({ weight: 3, arbitrary: fc.constant(statement) }, anyText);
    fc.assert(
      fc.property(fc.oneof(changed, anyText), stated, (body, statement) => {
        const unpacked = unpack({ body, statement });
        if (unpacked.ok) assert.deepEqual(unpacked.events, EVENTS);
        else assert(unpacked.problem.length < 300, unpacked.problem);
      }),
      BODIES,
    );
  });
});
