import * as fc from 'fast-check';
import { awkwardTexts } from '../../local/simulated-stream';

/** Any text, those among it with which others have had trouble. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom(...awkwardTexts),
  fc.constantFrom(
    '',
    '\0',
    '\uD800',
    '\uDC00\uD800',
    '\uFFFE',
    '\uFFFF',
    '\u2028',
    '\uFEFF',
    '\x1b[31m',
    '\r\n',
    '-5',
    '=1+1',
    '__proto__',
    'constructor',
    'toString',
    'null',
    '../../x',
    '%2e%2e/',
    '1e999',
  ),
);

const memberNames = fc.constantFrom(
  'meta',
  'id',
  'topic',
  'partition',
  'offset',
  'timestamp',
  'domain',
  'title',
  '__proto__',
  'constructor',
  'toJSON',
  'length',
);

/** Any JSON value, with the member names that mean something to us or to JavaScript. */
export const anyJson: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false, 0, -0, -1, 2 ** 53, 1e308, 5e-324),
    anyText,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .array(fc.tuple(fc.oneof(memberNames, anyText), tie('value')), { maxLength: 6 })
      .map((members) => Object.fromEntries(members)),
  ),
})).value;

/** An event with a `meta` of any kind. */
const anyEvent = fc
  .record(
    {
      meta: fc.oneof(
        anyJson,
        fc.record(
          {
            id: fc.oneof(anyText, anyJson),
            topic: fc.oneof(anyText, anyJson),
            partition: fc.oneof(fc.integer(), anyJson),
            offset: fc.oneof(fc.integer(), anyJson),
            domain: fc.oneof(fc.constant('canary'), anyJson),
          },
          { requiredKeys: [] },
        ),
      ),
      title: fc.oneof(anyText, anyJson),
      log_params: anyJson,
    },
    { requiredKeys: [] },
  )
  .map((event) => JSON.stringify(event));

/** JSON nested up to so many levels, which no reader of ours may fail at: in a column, in `meta`, all of it, and unclosed. */
function nested(most: number): fc.Arbitrary<string> {
  const levels = fc.oneof(fc.constant(most), fc.integer({ min: 1, max: most }));
  const shapes = fc.constantFrom<(levels: number) => string>(
    (levels) => `{"title":${arrays(levels)}}`,
    (levels) => `{"log_params":${objects(levels)},"meta":{"id":${arrays(levels)}}}`,
    (levels) => `{"meta":${objects(levels)}}`,
    objects,
    arrays,
    (levels) => '['.repeat(levels),
    (levels) => '{"a":'.repeat(levels),
  );
  return fc.tuple(shapes, levels).map(([shape, levels]) => shape(levels));
}

const arrays = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
const objects = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

const ODD_EVENTS = [
  '{"meta":{"id":"a"},"meta":{"id":"b"},"meta":null}',
  '{"__proto__":{"meta":{"id":"polluted"}},"title":1}',
  '{"meta":{"__proto__":{"id":"polluted"}}}',
  '{"title":1e999,"id":123456789012345678901234567890}',
  '{"title":"\\ud800","meta":{"id":"\\udfff"}}',
  '{"title":-0}',
  ' {}',
  '\uFEFF{}',
  '{}}',
  '{"title":"\u0001"}',
  "{'title':1}",
  'NaN',
];

/** A text where an event's JSON is expected: any event, other JSON, broken JSON, anything. */
export function eventTexts({ levels }: { levels: number }): fc.Arbitrary<string> {
  const json = fc.oneof(
    anyEvent,
    anyJson.map((value) => JSON.stringify(value)),
  );
  const broken = fc.tuple(json, fc.nat(), fc.nat(6), anyText).map(([text, seed, length, inserted]) => {
    const at = seed % (text.length + 1);
    return text.slice(0, at) + inserted + text.slice(at + length);
  });
  return fc.oneof(
    { weight: 4, arbitrary: anyEvent },
    { weight: 2, arbitrary: json },
    { weight: 3, arbitrary: broken },
    { weight: 1, arbitrary: anyText },
    { weight: 1, arbitrary: fc.constantFrom(...ODD_EVENTS) },
    { weight: 1, arbitrary: nested(levels) },
  );
}
