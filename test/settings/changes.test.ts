import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { valueAt } from '../../src/event/json-path';
import type { PipelineDefinition } from '../../src/pipeline/definition';
import { differences, settingsOf, whyMalformed, whyUnchangeable } from '../../src/settings/changes';
import { EVERY_SETTING, loadPipeline, SETTINGS } from '../../src/settings/pipeline';
import type { Entry } from '../../src/settings/table';
import { isSameStream } from '../../src/sources/kafka/address';
import { anyDefinition, loadedFrom } from '../support/any-definition';

const DEFAULT = loadPipeline({});

/** A definition with some settings of another; undefined where these can't stand together. */
function mixedOf(
  definition: PipelineDefinition,
  other: PipelineDefinition,
  names: readonly string[],
): PipelineDefinition | undefined {
  const texts = settingsOf(other);
  return loadedFrom({
    ...settingsOf(definition),
    ...Object.fromEntries(names.map((name) => [name, texts[name] ?? ''])),
  });
}

function isSameAt({ at }: Entry, one: PipelineDefinition, other: PipelineDefinition): boolean {
  return JSON.stringify(valueAt(one, at)) === JSON.stringify(valueAt(other, at));
}

describe('A definition', () => {
  it('says as settings what it was read from, member by member and in the same order', () => {
    fc.assert(
      fc.property(anyDefinition, (definition) => {
        const again = loadPipeline(settingsOf(definition));
        assert.deepEqual(again, definition);
        assert.equal(JSON.stringify(again), JSON.stringify(definition));
        assert.equal(whyMalformed(definition), undefined);
        assert.deepEqual(differences(definition, definition), []);
      }),
    );
  });

  it('has each value where its setting says, and the text of the setting is read as that value', () => {
    fc.assert(
      fc.property(anyDefinition, (definition) => {
        for (const { setting, at, textIn } of EVERY_SETTING) {
          assert.deepEqual(setting.parse(textIn(definition)), valueAt(definition, at), setting.name);
        }
      }),
    );
  });

  it('differs from another in the settings whose values differ, and in no others', () => {
    const names = EVERY_SETTING.map(({ setting }) => setting.name);
    fc.assert(
      fc.property(anyDefinition, anyDefinition, fc.subarray(names), (running, other, some) => {
        const wanted = mixedOf(running, other, some);
        fc.pre(wanted !== undefined);
        const differing = EVERY_SETTING.filter((entry) => !isSameAt(entry, wanted, running));
        assert.deepEqual(
          differences(wanted, running).map(({ setting }) => setting),
          differing.map(({ setting }) => setting.name),
        );
      }),
    );
  });

  it('tells which settings differ, as one would write them', () => {
    const other = loadPipeline({
      SLUICE_BATCH_ROWS: '50',
      SLUICE_COLUMNS: 'title',
      SLUICE_DRAIN_QUIET: '1m',
    });
    const found = differences(other, DEFAULT).filter(({ setting }) => setting !== 'SLUICE_COLUMNS');
    assert.deepEqual(found, [{ setting: 'SLUICE_BATCH_ROWS', wanted: '50', running: '100' }]);
    assert.equal(differences(other, DEFAULT).length, 2);
  });

  it('may stand in any order when it is sent by hand', () => {
    const { queue, ...rest } = DEFAULT;
    assert.equal(whyMalformed({ queue, ...rest }), undefined);
  });

  it('is refused when it is none, whatever it is', () => {
    fc.assert(
      fc.property(fc.anything(), (anything) => {
        assert.notEqual(whyMalformed(anything as typeof DEFAULT), undefined);
      }),
    );
  });

  it('is refused when a member of it is missing, of another type, too many, or against its rule', () => {
    const members = Object.keys(DEFAULT) as (keyof typeof DEFAULT)[];
    for (const member of members) {
      assert.notEqual(whyMalformed({ ...DEFAULT, [member]: undefined }), undefined, member);
      assert.notEqual(whyMalformed({ ...DEFAULT, [member]: {} }), undefined, member);
    }
    const more = { ...DEFAULT, more: 1 };
    assert.notEqual(whyMalformed(more), undefined);
    const asText = { ...DEFAULT, windowKeys: '30000' as unknown as number };
    assert.notEqual(whyMalformed(asText), undefined);
    const none = { ...DEFAULT, batch: { rows: 0, flushAfterSeconds: 60 } };
    assert.match(
      whyMalformed(none) ?? '',
      /^SLUICE_BATCH_ROWS must be a whole number from 1 to 1000; it is "0"$/,
    );
  });
});

describe('A running pipeline', () => {
  const may = (environment: Record<string, string>, hasRead: boolean) =>
    whyUnchangeable(loadPipeline(environment), DEFAULT, { hasRead });

  it('keeps its name and its queue', () => {
    assert.match(
      may({ SLUICE_PIPELINE: 'other' }, false) ?? '',
      /^this is the pipeline recentchange, not other$/,
    );
    assert.match(
      may({ SLUICE_QUEUE: 'other' }, false) ?? '',
      /^its lane reads the queue sse_queue; for other start/,
    );
  });

  it('keeps where it reads from once it has read', () => {
    for (const changed of [{ SLUICE_SOURCE_URL: 'http://other/' }, { SLUICE_SOURCE_SINCE: '2026-01-01' }]) {
      assert.equal(may(changed, false), undefined);
      assert.match(may(changed, true) ?? '', /start a pipeline of another name$/);
    }
  });

  it('keeps what makes an event itself once it has read: what is sent again would be another one', () => {
    const kafka = (SLUICE_SOURCE_KEY: string) =>
      loadPipeline({ SLUICE_SOURCE_URL: 'kafka://host/topic', SLUICE_SOURCE_KEY });
    assert.equal(whyUnchangeable(kafka('id'), kafka(''), { hasRead: false }), undefined);
    assert.match(
      whyUnchangeable(kafka('id'), kafka(''), { hasRead: true }) ?? '',
      /^it has begun to read; for another SLUICE_SOURCE_KEY start a pipeline of another name$/,
    );
  });

  for (const entry of EVERY_SETTING) {
    const { setting, may } = entry;
    it(`may change ${setting.name} ${may}`, () => {
      fc.assert(
        fc.property(anyDefinition, anyDefinition, fc.boolean(), (running, other, hasRead) => {
          const wanted = mixedOf(running, other, [setting.name]);
          fc.pre(wanted !== undefined && !isSameAt(entry, wanted, running));
          fc.pre(setting !== SETTINGS.source.url || !isSameStream(wanted.source.url, running.source.url));
          const isRefused = may === 'never' || (may === 'until read' && hasRead);
          assert.equal(whyUnchangeable(wanted, running, { hasRead }) !== undefined, isRefused);
        }),
      );
    });
  }

  it('may change the brokers of its topic: the stream is the same', () => {
    const from = (SLUICE_SOURCE_URL: string) => loadPipeline({ SLUICE_SOURCE_URL });
    const why = (wanted: string, running: string) =>
      whyUnchangeable(from(wanted), from(running), { hasRead: true });
    assert.equal(why('kafka://two:9092,three/topic', 'kafka://one/topic'), undefined);
    assert.equal(
      why('kafka://one/other', 'kafka://one/topic'),
      'it has read kafka://one/topic, and its cursor means nothing in another stream; for kafka://one/other ' +
        'start a pipeline of another name',
    );
  });

  it('may change all else at once', () => {
    const others = {
      SLUICE_CONTACT: 'me@example.org',
      SLUICE_BUCKET: 'other',
      SLUICE_PREFIX: 'p',
      SLUICE_COLUMNS: 'title',
      SLUICE_KEY_COLUMN: 'off',
      SLUICE_OBJECT_ACL: 'private',
      SLUICE_ESCAPE_FORMULAS: 'true',
      SLUICE_BATCH_ROWS: '7',
      SLUICE_FLUSH_AFTER: '1s',
      SLUICE_VISIBILITY_TIMEOUT: '1h',
      SLUICE_WINDOW: '100',
      SLUICE_DRAIN_QUIET: '1s',
    };
    assert.equal(may(others, true), undefined);
    assert.equal(differences(loadPipeline(others), DEFAULT).length, Object.keys(others).length);
  });
});
