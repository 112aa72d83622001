import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { PipelineDefinition } from '../../src/pipeline/definition';
import { EVERY_SETTING, loadPipeline, SETTINGS } from '../../src/settings/pipeline';
import { type Environment, SettingsError } from '../../src/settings/setting';

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

const anyKafkaUrl = fc
  .tuple(fc.uniqueArray(fc.domain(), { minLength: 1, maxLength: 3 }), fc.constantFrom('t', 'wiki.changes'))
  .map(([brokers, topic]) => `kafka://${brokers.join()}/${topic}`);

const anyOffsets = fc
  .dictionary(fc.nat({ max: 999_999 }).map(String), fc.maxSafeNat(), { maxKeys: 3 })
  .map((offsets) => Object.entries(offsets).map((pair) => pair.join(':')))
  .map((pairs) => pairs.join(', '));

/** Texts that each setting takes, alone. */
const TEXTS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  [SETTINGS.name.name]: fc.stringMatching(/^[\w.-]{1,100}$/),
  [SETTINGS.source.url.name]: fc.oneof(
    fc.webUrl({ withQueryParameters: true, withFragments: true }),
    anyKafkaUrl,
  ),
  [SETTINGS.source.since.name]: fc.oneof(anyTime, fc.constantFrom('', 'latest', 'earliest')),
  [SETTINGS.source.contact.name]: fc.stringMatching(/^[\x21-\x7e][\x20-\x7e]{0,199}$/),
  [SETTINGS.source.key.name]: fc.constantFrom('', 'id', 'order.id'),
  [SETTINGS.source.offsets.name]: anyOffsets,
  [SETTINGS.source.afterLoss.name]: fc.constantFrom('', 'stop', 'continue'),
  [SETTINGS.queue.name.name]: fc.stringMatching(/^[\w-]{1,80}$/),
  [SETTINGS.queue.visibilityTimeoutSeconds.name]: fc.integer({ min: 1, max: 720 }).map((time) => `${time}m`),
  [SETTINGS.lake.bucket.name]: fc.stringMatching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
  [SETTINGS.lake.prefix.name]: fc.stringMatching(/^[\w.=-]{1,20}(\/[\w.=-]{1,20}){0,3}$/),
  [SETTINGS.lake.columns.name]: fc
    .uniqueArray(fc.stringMatching(/^[^\s"'=,.]{1,10}$/), { minLength: 1 })
    .map((names) => names.map((name, index) => (index % 2 ? name : `${name}=meta.${name}`)).join()),
  [SETTINGS.lake.keyColumn.name]: fc.constantFrom('on', 'off'),
  [SETTINGS.lake.acl.name]: fc.constantFrom('', 'private', 'bucket-owner-full-control'),
  [SETTINGS.lake.escapeFormulas.name]: fc.constantFrom('true', 'false'),
  [SETTINGS.packEvents.name]: fc.integer({ min: 1, max: 100 }).map(String),
  [SETTINGS.batch.rows.name]: fc.integer({ min: 1, max: 1_000 }).map(String),
  [SETTINGS.batch.flushAfterSeconds.name]: anyDuration({ least: 100, most: 86_400_000 }),
  [SETTINGS.windowKeys.name]: fc.integer({ min: 100, max: 60_000 }).map(String),
  [SETTINGS.drainQuietSeconds.name]: anyDuration({ least: 0, most: 3_600_000 }),
  [SETTINGS.heartbeatTimeoutSeconds.name]: fc.integer({ min: 3, max: 300 }).map((time) => `${time}s`),
};

/** @throws AssertionError for a setting that nobody has said texts of */
function textsOf(name: string): fc.Arbitrary<string> {
  const texts = TEXTS[name];
  assert(texts, `${name} is tried by no test: give it texts in test/support/any-definition.ts`);
  return texts;
}

/** @returns undefined where the settings are refused */
export function loadedFrom(environment: Environment): PipelineDefinition | undefined {
  try {
    return loadPipeline(environment);
  } catch (error) {
    assert(error instanceof SettingsError, String(error));
    return undefined;
  }
}

/** Definitions of all settings: most are given, in any of the ways in which they may be written, the others are the defaults. */
export const anyDefinition: fc.Arbitrary<PipelineDefinition> = fc
  .record(
    Object.fromEntries(EVERY_SETTING.map(({ setting }) => [setting.name, textsOf(setting.name)] as const)),
    { requiredKeys: [] },
  )
  .map(loadedFrom)
  .filter((definition) => definition !== undefined);
