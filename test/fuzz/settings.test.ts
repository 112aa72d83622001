import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { loadPipeline, SETTINGS } from '../../src/settings/pipeline';
import { loadWorkerSettings, WORKER_SETTINGS } from '../../src/settings/worker';
import { SettingsError } from '../../src/settings/setting';
import { settingsOf, whyMalformed } from '../../src/settings/changes';
import { anyJson, anyText } from './awkward';
import { FUZZ_TIMEOUT_MS, runs } from './runs';

const TEXTS = runs(10_000);
const DEFINITIONS = runs(5_000);

const anySetting = fc.oneof(
  anyText,
  fc.constantFrom(
    '0',
    '-1',
    '007',
    '1e3',
    '٣',
    '1.5',
    'true',
    'TRUE',
    'private',
    '.',
    '..',
    '/',
    'a/b/',
    'A_b.c-1',
  ),
  fc
    .tuple(fc.double({ noNaN: true }), fc.constantFrom('', 'ms', 's', 'm', 'h', ' s'))
    .map((parts) => parts.join('')),
  fc.date().map((date) => (Number.isNaN(date.getTime()) ? 'never' : date.toISOString())),
  fc.maxSafeNat().map(String),
  fc.webUrl({ withQueryParameters: true, withFragments: true }),
  fc.constantFrom(
    'http://',
    'http:x',
    'https://[::1]:1/',
    'file:///etc/passwd',
    'http://a b/',
    'javascript:1',
    '//x',
  ),
  fc
    .array(fc.oneof(anyText, fc.constantFrom('a=b.c', 'a', 'a.b=c', '=', 'a=')), { maxLength: 4 })
    .map(String),
);

function environmentOf(
  settings: typeof SETTINGS | typeof WORKER_SETTINGS,
): fc.Arbitrary<Record<string, string>> {
  const names = Object.values(settings).map(({ name }) => name);
  return fc
    .array(fc.tuple(fc.constantFrom(...names), anySetting), { maxLength: 4 })
    .map((entries) => Object.fromEntries(entries));
}

function load<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    assert(error instanceof SettingsError, String(error));
    return undefined;
  }
}

/** Times of the years that ISO 8601 writes in four digits, in all the ways in which they may be written. */
const anyTime = fc
  .tuple(
    fc.oneof(
      fc.date({
        min: new Date('0000-01-01'),
        max: new Date('9999-12-31T23:59:59.999Z'),
        noInvalidDate: true,
      }),
      fc
        .constantFrom('0000-01-01', '1970-01-01', '2286-11-20T17:46:40Z', '9999-12-31T23:59Z')
        .map((text) => new Date(text)),
    ),
    fc.constantFrom('Z', '+00:00', '+05:30', '-12:00', '+23:59', '-23:59'),
    fc.constantFrom('milliseconds', 'seconds', 'minutes', 'days', 'epoch'),
  )
  .map(([date, offset, precision]) => {
    if (precision === 'epoch') return String(date.getTime());
    const text = date.toISOString();
    if (precision === 'days') return text.slice(0, 10);
    return text.slice(0, { milliseconds: 23, seconds: 19, minutes: 16 }[precision]) + offset;
  });

/** Durations in all units, tiny and finer than a millisecond too. @param least milliseconds, as is `most` */
function anyDuration({ least, most }: { least: number; most: number }): fc.Arbitrary<string> {
  const plain = (number: number) => number.toFixed(12).replace(/\.?0+$/, '');
  return fc
    .tuple(
      fc.oneof(
        fc.integer({ min: least, max: most }),
        fc.double({ min: least, max: most, noNaN: true }),
        fc.double({ min: least, max: least + 2, noNaN: true }),
        fc.constantFrom(least, most),
      ),
      fc.constantFrom(['ms', 1], ['s', 1_000], ['m', 60_000], ['h', 3_600_000]),
    )
    .map(([ms, [unit, size]]) => `${plain(ms / size)}${unit}`);
}

/** Texts that the settings take, so that most definitions come about. */
const usable = fc.record(
  {
    [SETTINGS.pipeline.name]: fc.stringMatching(/^[\w.-]{1,100}$/),
    [SETTINGS.sourceUrl.name]: fc.webUrl({ withQueryParameters: true, withFragments: true }),
    [SETTINGS.sourceSince.name]: anyTime,
    [SETTINGS.contact.name]: fc.stringMatching(/^[\x21-\x7e][\x20-\x7e]{0,199}$/),
    [SETTINGS.queue.name]: fc.stringMatching(/^[\w-]{1,80}$/),
    [SETTINGS.prefix.name]: fc.stringMatching(/^[\w.=-]{1,20}(\/[\w.=-]{1,20}){0,3}$/),
    [SETTINGS.columns.name]: fc
      .uniqueArray(fc.stringMatching(/^[^\s"'=,.]{1,10}$/), { minLength: 1 })
      .map((names) => names.map((name, index) => (index % 2 ? name : `${name}=meta.${name}`)).join()),
    [SETTINGS.objectAcl.name]: fc.constantFrom('', 'private', 'bucket-owner-full-control'),
    [SETTINGS.escapeFormulas.name]: fc.constantFrom('true', 'false'),
    [SETTINGS.batchRows.name]: fc.integer({ min: 1, max: 1_000 }).map(String),
    [SETTINGS.flushAfter.name]: anyDuration({ least: 100, most: 86_400_000 }),
    [SETTINGS.visibilityTimeout.name]: fc.integer({ min: 1, max: 720 }).map((time) => `${time}m`),
    [SETTINGS.window.name]: fc.integer({ min: 100, max: 60_000 }).map(String),
    [SETTINGS.drainQuiet.name]: anyDuration({ least: 0, most: 3_600_000 }),
    [SETTINGS.heartbeatTimeout.name]: fc.integer({ min: 3, max: 300 }).map((time) => `${time}s`),
    [SETTINGS.sourceKey.name]: fc.constantFrom('', 'id', 'order.id'),
  },
  { requiredKeys: [] },
);

describe('Any text in the place of a setting', function () {
  this.timeout(FUZZ_TIMEOUT_MS);

  it(`is taken or refused in words (${TEXTS.numRuns} environments)`, () => {
    fc.assert(
      fc.property(environmentOf(SETTINGS), environmentOf(WORKER_SETTINGS), (pipeline, worker) => {
        load(() => loadPipeline(pipeline));
        load(() => loadWorkerSettings(worker));
      }),
      TEXTS,
    );
  });

  it(`comes back from the definition that it made (${DEFINITIONS.numRuns} definitions)`, () => {
    let accepted = 0;
    fc.assert(
      fc.property(usable, (environment) => {
        const definition = load(() => loadPipeline(environment));
        if (!definition) return;
        accepted += 1;
        assert.deepEqual(loadPipeline(settingsOf(definition)), definition);
        assert.equal(whyMalformed(JSON.parse(JSON.stringify(definition)) as typeof definition), undefined);
      }),
      DEFINITIONS,
    );
    assert(accepted > DEFINITIONS.numRuns / 2, `${accepted} accepted`);
  });

  it(`makes no update that the workflow would fail on (${TEXTS.numRuns} arguments)`, () => {
    const members = Object.entries(loadPipeline({}));
    const anyDefinition = fc.oneof(
      anyJson,
      fc
        .array(fc.tuple(fc.constantFrom(...members.map(([name]) => name)), anyJson), { maxLength: 3 })
        .map((changed) => Object.fromEntries([...members, ...changed]) as unknown),
    );
    fc.assert(
      fc.property(anyDefinition, (argument) => {
        const why = whyMalformed(argument as Parameters<typeof whyMalformed>[0]);
        assert(why === undefined || typeof why === 'string');
      }),
      TEXTS,
    );
  });
});
