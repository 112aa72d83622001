import assert from 'node:assert/strict';
import { sha256 } from '../../../src/event/key';
import { wikimediaEvent, wikimediaPlace } from '../../../src/sources/sse/wikimedia';

const META = { id: 'e5c1-7', topic: 'eqiad.mediawiki.recentchange', partition: 0, offset: 41 };

const textOf = (meta: unknown) => JSON.stringify({ meta, title: 'Berlin' });

describe("An event of Wikimedia's", () => {
  it('has its key and its place in meta', () => {
    const { key, partition, offset, isCanary } = wikimediaEvent(textOf(META));
    assert.deepEqual(
      { key, partition, offset, isCanary },
      { key: 'payload:e5c1-7', partition: 'eqiad.mediawiki.recentchange/0', offset: 41, isCanary: false },
    );
  });

  it('is a canary by its domain', () => {
    assert.equal(wikimediaEvent(textOf({ ...META, domain: 'canary' })).isCanary, true);
    assert.equal(wikimediaEvent(textOf({ ...META, domain: 'de.wikipedia.org' })).isCanary, false);
  });

  it('has the SHA-256 of its payload for a key where meta has none', () => {
    for (const meta of [undefined, null, 7, {}, { ...META, id: '' }, { ...META, id: 7 }]) {
      const text = textOf(meta);
      assert.equal(wikimediaEvent(text).key, `content:${sha256(text)}`, text);
    }
    assert.equal(wikimediaEvent('{"half":').key, `content:${sha256('{"half":')}`);
  });

  it('stood nowhere that can be told where its payload does not say', () => {
    assert.deepEqual(wikimediaPlace(textOf(META)), { partition: `${META.topic}/0`, offset: 41 });
    for (const text of [
      '{"half":',
      '[1]',
      textOf(null),
      textOf({ ...META, topic: 7 }),
      textOf({ ...META, partition: '0' }),
      textOf({ ...META, offset: '41' }),
      textOf({ ...META, offset: 2 ** 53 }),
    ]) {
      assert.equal(wikimediaPlace(text), undefined, text);
    }
  });
});
