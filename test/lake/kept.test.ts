import assert from 'node:assert/strict';
import { keepCanary, keepRejected, readKeptEvent, type Rejected } from '../../src/lake/kept';
import { FakeStore, s3Error } from '../support/fake-store';
import { sha256 } from '../support/sha256';

const rejected: Rejected = {
  reason: 'not-json',
  detail: 'cut off',
  source: 'http://source',
  id: '[1]',
  key: 'k-1',
  text: 'é{"half',
};

describe('A rejected event', () => {
  it('is kept whole with its reason, named by the SHA-256 of its key', async () => {
    const store = new FakeStore();
    const before = Date.now();
    await keepRejected(store, rejected);
    const [[key, body] = ['', '']] = store.objects;
    assert.equal(key, `raw/rejected/${sha256(rejected.key)}.json`);
    const { time, ...kept } = JSON.parse(body) as Record<string, string>;
    assert.deepEqual(kept, rejected);
    assert(Date.parse(time ?? '') >= before && Date.parse(time ?? '') <= Date.now());
    assert.equal(store.puts[0]?.contentType, 'application/json');
  });

  it('stays as it was when it comes again, from wherever', async () => {
    const store = new FakeStore({ bucket: 'lake', prefix: '' });
    await keepRejected(store, rejected);
    const before = new Map(store.objects);
    await keepRejected(store, { ...rejected, source: 'queue', detail: 'other' });
    assert.deepEqual(store.objects, before);
    assert.deepEqual([...before.keys()], [`rejected/${sha256(rejected.key)}.json`]);
    await keepRejected(store, { ...rejected, key: 'k-2' });
    assert.equal(store.objects.size, 2);
  });

  it('is one of a hundred with the same text, with what the source knows of each', async () => {
    const store = new FakeStore();
    const first = { ...rejected, key: 't/0/7', record: { topic: 't', partition: 0, offset: 7, from: 7 } };
    await keepRejected(store, first);
    // What lies before it may have been compacted since.
    await keepRejected(store, { ...first, record: { ...first.record, from: 3 } });
    await keepRejected(store, { ...first, key: 't/0/8', record: { ...first.record, offset: 8, from: 8 } });
    for (let n = 2; n < 100; n += 1) await keepRejected(store, { ...rejected, key: `k-${n}` });
    assert.equal(store.objects.size, 100);
    const kept = [...store.objects.values()].slice(0, 2).map((body) => readKeptEvent(Buffer.from(body)));
    assert.deepEqual(
      kept.map((event) => [event?.text, event?.record]),
      [
        [rejected.text, first.record],
        [rejected.text, { ...first.record, offset: 8, from: 8 }],
      ],
    );
  });

  for (const [name, status] of [
    ['NoSuchBucket', 404],
    ['AccessDenied', 403],
    ['ConditionalRequestConflict', 409],
    ['InternalError', 500],
  ] as const) {
    it(`says so when it could not be written: ${name}`, async () => {
      const store = new FakeStore();
      store.before = () => {
        throw s3Error(name, status);
      };
      await assert.rejects(keepRejected(store, rejected), { name });
    });
  }
});

describe('A canary event', () => {
  const canary = { source: 'http://source', id: '[1]', key: 'k-1', text: '{"meta":{"domain":"canary"}}' };

  it('is kept whole beside the rejected ones, named by the SHA-256 of its key', async () => {
    const store = new FakeStore();
    await keepCanary(store, canary);
    const [[key, body] = ['', '']] = store.objects;
    assert.equal(key, `raw/canaries/${sha256(canary.key)}.json`);
    const { time, ...kept } = JSON.parse(body) as Record<string, string>;
    assert.deepEqual(kept, canary);
    assert(!Number.isNaN(Date.parse(time ?? '')));
  });

  it('stays as it was when it comes again', async () => {
    const store = new FakeStore();
    await keepCanary(store, canary);
    const before = new Map(store.objects);
    await keepCanary(store, { ...canary, id: '[2]' });
    assert.deepEqual(store.objects, before);
  });
});

describe('An event that is kept whole', () => {
  const event = {
    reason: 'not-json',
    detail: 'd',
    source: 's',
    id: 'i',
    key: 'k',
    time: '2026-01-31T12:00:00.000Z',
    text: '\r',
  };

  it('is read as it was written, with or without a reason', () => {
    const { reason: _, detail: __, ...canary } = event;
    assert.deepEqual(readKeptEvent(Buffer.from(JSON.stringify(event))), event);
    assert.deepEqual(readKeptEvent(Buffer.from(JSON.stringify(canary))), {
      ...event,
      reason: '',
      detail: '',
    });
  });

  for (const [what, body] of [
    ['is not JSON', '{"text"'],
    ['is no object', 'null'],
    ['has no text', JSON.stringify({ ...event, text: undefined })],
    ['has no time', JSON.stringify({ ...event, time: 'today' })],
    ['has a reason that is no text', JSON.stringify({ ...event, reason: 7 })],
  ] as const) {
    it(`is refused when it ${what}`, () => assert.equal(readKeptEvent(Buffer.from(body)), undefined));
  }
});
