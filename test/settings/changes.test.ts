import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { loadPipeline, SETTINGS } from '../../src/settings/pipeline';
import { differences, settingsOf, whyMalformed, whyUnchangeable } from '../../src/settings/changes';

const DEFAULT = loadPipeline({});

describe('A definition', () => {
  it('says as settings what it was read from', () => {
    const environments = fc.record(
      {
        SLUICE_SOURCE_SINCE: fc.constantFrom(
          '2026-01-31T12:00:00Z',
          '1769860800000',
          '1970-01-01',
          '2300-01-01T00:00:00Z',
          '012345678901',
        ),
        SLUICE_PREFIX: fc.constantFrom('', 'a', 'raw/source=wiki'),
        SLUICE_COLUMNS: fc.constantFrom('id=meta.id,title', 'title', 'a=b.c.d,e'),
        SLUICE_OBJECT_ACL: fc.constantFrom('private', 'public-read'),
        SLUICE_ESCAPE_FORMULAS: fc.constantFrom('true', 'false'),
        SLUICE_BATCH_ROWS: fc.integer({ min: 1, max: 1_000 }).map(String),
        SLUICE_FLUSH_AFTER: fc.constantFrom('100ms', '2.5s', '1m', '1h'),
        SLUICE_VISIBILITY_TIMEOUT: fc.constantFrom('2m', '12h'),
        SLUICE_DRAIN_QUIET: fc.constantFrom('0s', '250ms', '2m', '0.0000001s'),
        SLUICE_HEARTBEAT_TIMEOUT: fc.constantFrom('3s', '1m'),
        SLUICE_SOURCE_KEY: fc.constantFrom('id', 'order.id'),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(environments, (environment) => {
        const definition = loadPipeline(environment);
        assert.deepEqual(loadPipeline(settingsOf(definition)), definition);
        assert.equal(whyMalformed(definition), undefined);
        assert.deepEqual(differences(definition, definition), []);
      }),
    );
  });

  it('has a text for every setting', () => {
    const names = Object.values(SETTINGS).map(({ name }) => name);
    assert.deepEqual(Object.keys(settingsOf(DEFAULT)).sort(), names.sort());
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

  it('may change all else', () => {
    const others = {
      SLUICE_CONTACT: 'me@example.org',
      SLUICE_BUCKET: 'other',
      SLUICE_PREFIX: 'p',
      SLUICE_COLUMNS: 'title',
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
