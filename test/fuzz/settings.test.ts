import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { EVERY_SETTING, loadPipeline } from '../../src/settings/pipeline';
import { loadWorkerSettings, WORKER_SETTINGS } from '../../src/settings/worker';
import { SettingsError } from '../../src/settings/setting';
import { settingsOf, whyMalformed } from '../../src/settings/changes';
import { anyDefinition } from '../support/any-definition';
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

const PIPELINE_NAMES = EVERY_SETTING.map(({ setting }) => setting.name);
const WORKER_NAMES = Object.values(WORKER_SETTINGS).map(({ name }) => name);

function environmentOf(names: readonly string[]): fc.Arbitrary<Record<string, string>> {
  return fc
    .array(fc.tuple(fc.constantFrom(...names), anySetting), { maxLength: 4 })
    .map((entries) => Object.fromEntries(entries));
}

function takeOrRefuse(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    assert(error instanceof SettingsError, String(error));
  }
}

describe('Any text in the place of a setting', function () {
  this.timeout(FUZZ_TIMEOUT_MS);

  it(`is taken or refused in words (${TEXTS.numRuns} environments)`, () => {
    fc.assert(
      fc.property(environmentOf(PIPELINE_NAMES), environmentOf(WORKER_NAMES), (pipeline, worker) => {
        takeOrRefuse(() => loadPipeline(pipeline));
        takeOrRefuse(() => loadWorkerSettings(worker));
      }),
      TEXTS,
    );
  });

  it(`comes back from the definition that it made (${DEFINITIONS.numRuns} definitions)`, () => {
    fc.assert(
      fc.property(anyDefinition, (definition) => {
        assert.deepEqual(loadPipeline(settingsOf(definition)), definition);
        assert.equal(whyMalformed(JSON.parse(JSON.stringify(definition)) as typeof definition), undefined);
      }),
      DEFINITIONS,
    );
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
