import assert from 'node:assert/strict';
import { progressToAdopt } from '../../src/cli/adopt';
import type { KeptCursor } from '../../src/lake/kept-cursor';
import { NO_GAPS } from '../../src/sources/gaps';
import { definitionOf } from '../support/definition';

const CREATED = 1_700_000_000_000;
const DEFINITION = definitionOf();
const { name, source, queue } = DEFINITION;

const KEPT: KeptCursor = {
  pipeline: name,
  source: { url: source.url },
  queue: { name: queue.name, createdAt: CREATED },
  time: '2026-01-31T12:00:00.000Z',
  cursor: { since: 5, positions: { 'topic/0': { offset: 17 } }, recent: {} },
  completeness: { 'topic/0': { next: 18, holes: [], lost: 0, unreadable: 0, jumps: 0 } },
  gaps: { ...NO_GAPS, count: 3 },
};

const HERE = { since: undefined, queueCreatedAt: CREATED };

describe('Where ingest goes on that takes the place of another', () => {
  it('is the cursor that the lake keeps, with all that was known of holes and gaps', () => {
    const { cursor, completeness, gaps } = KEPT;
    assert.deepEqual(progressToAdopt(DEFINITION, KEPT, HERE), { cursor, completeness, gaps });
  });

  it('is the time that somebody says, whatever the lake keeps', () => {
    const { cursor } = progressToAdopt(DEFINITION, KEPT, { ...HERE, since: 7 });
    assert.deepEqual(cursor, { since: 7, positions: {}, recent: {} });
    assert.deepEqual(progressToAdopt(DEFINITION, undefined, { ...HERE, since: 7 }).cursor, cursor);
  });

  it('is not known where the lake keeps no cursor: somebody must say', () => {
    assert.throws(() => progressToAdopt(DEFINITION, undefined, HERE), {
      message:
        /^No cursor is kept at s3:\/\/\S+\/_sluice\/cursor\.json: say with --since from when to read the source/,
    });
  });

  it('is not known where the queue was made again: what was in it went with it', () => {
    assert.throws(() => progressToAdopt(DEFINITION, KEPT, { ...HERE, queueCreatedAt: CREATED + 1 }), {
      message:
        /was made again since the cursor at \S+ was kept \(2026-01-31T12:00:00\.000Z\), and what the lane had not written went with it: say with --since/,
    });
    assert.ok(progressToAdopt(DEFINITION, KEPT, { ...HERE, queueCreatedAt: undefined }), 'SQS may not say');
  });

  for (const [what, other] of [
    ['pipeline', { ...KEPT, pipeline: 'another' }],
    ['source', { ...KEPT, source: { url: 'https://example.org/another' } }],
    ['key', { ...KEPT, source: { ...KEPT.source, key: 'id' } }],
    ['queue', { ...KEPT, queue: { name: 'another' } }],
  ] as const) {
    it(`is not that of another ${what}`, () => {
      assert.throws(() => progressToAdopt(DEFINITION, other, HERE), {
        message: /adopt it with its own settings/,
      });
    });
  }

  it('is that of a topic, whatever its brokers are called now', () => {
    const kafka = (url: string) => definitionOf({ source: { ...source, url } });
    const kept = { ...KEPT, source: { url: 'kafka://old:9092/topic' } };
    assert.ok(progressToAdopt(kafka('kafka://new:9092/topic'), kept, HERE));
  });
});
