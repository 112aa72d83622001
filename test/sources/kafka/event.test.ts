import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { LogRecord } from '../../../src/sources/kafka/batches';
import { eventOf, recordPlace, withRecord } from '../../../src/sources/kafka/event';

const PLACE = { topic: 'changes', partition: 3, from: 40, keyPath: '' };

function record(value: string | Buffer | null, rest: Partial<LogRecord> = {}): LogRecord {
  return {
    offset: 41,
    epoch: 7,
    timestamp: 1_700_000_000_123,
    key: null,
    headers: [],
    ...rest,
    value: value === null ? null : Buffer.from(value),
  };
}

/** Of what a message attribute can't hold: see `keyOf`. */
const digestOf = (key: string) => createHash('sha256').update(key, 'utf16le').digest('hex');

const FACTS = {
  topic: 'changes',
  partition: 3,
  offset: 41,
  from: 40,
  epoch: 7,
  timestamp: 1_700_000_000_123,
};

describe('A Kafka record as an event', () => {
  it('keeps the payload as published, and carries what Kafka knows of it', () => {
    const event = eventOf(record('{"a": 1.0, "big": 12345678901234567890 }\n'), PLACE);
    assert.equal(event.body, `{"a": 1.0, "big": 12345678901234567890,"kafka":${JSON.stringify(FACTS)}}`);
    assert.deepEqual(event.positions, { 'changes/3': { offset: 42 } });
    // What is rejected is kept as it was published.
    assert.equal(event.text, '{"a": 1.0, "big": 12345678901234567890 }\n');
    assert.equal(event.id, 'changes/3/41@7');
    assert.equal(event.time, FACTS.timestamp);
  });

  it('has a time only where the record has one', () => {
    for (const value of ['{}', 'no JSON']) {
      assert.equal(eventOf(record(value, { timestamp: -1 }), PLACE).time, undefined);
    }
  });

  it('stands where it stood: partition, offset, and from where on there was nothing', () => {
    for (const value of ['{}', 'no JSON']) {
      const { read } = eventOf(record(value), PLACE);
      assert.deepEqual([read.partition, read.offset, read.from], ['changes/3', 41, 40]);
    }
  });

  it("has topic, partition, offset and the leader's epoch as its key, as far as they are known", () => {
    assert.equal(eventOf(record('{"meta":{"id":"x"}}'), PLACE).read.key, 'record:changes/3/41@7');
    const topic = 't'.repeat(200);
    assert.equal(
      eventOf(record('{}'), { ...PLACE, topic }).read.key,
      `record-sha256:${digestOf(`${topic}/3/41@7`)}`,
    );
    const event = eventOf(record('{}', { epoch: -1 }), PLACE);
    assert.equal(event.read.key, 'record:changes/3/41');
    assert.deepEqual(event.record, {
      topic: 'changes',
      partition: 3,
      offset: 41,
      from: 40,
      timestamp: FACTS.timestamp,
    });
  });

  it('has the memory of its log in its position', () => {
    const memory = { epochs: [[7, 40]], cuts: 1 } as const;
    assert.deepEqual(eventOf(record('{}'), { ...PLACE, memory }).positions, {
      'changes/3': { offset: 42, epochs: [[7, 40]], cuts: 1 },
    });
  });

  it('has the key that the payload states, where a path is given', () => {
    const keyOf = (value: string) => eventOf(record(value), { ...PLACE, keyPath: 'meta.id' }).read.key;
    assert.equal(keyOf('{"meta":{"id":"x-1"}}'), 'payload:x-1');
    assert.equal(keyOf('{"meta":{"id":17}}'), 'payload:17');
    assert.equal(keyOf('{"meta":{"id":"with space"}}'), `payload-sha256:${digestOf('with space')}`);
    // Without one, each is itself.
    for (const value of ['{}', '{"meta":null}', '{"meta":{"id":""}}', '{"meta":{"id":{}}}', 'no JSON']) {
      assert.equal(keyOf(value), 'record:changes/3/41@7');
    }
    // Two numbers that are rounded to one would be one event.
    for (const value of ['{"meta":{"id":1234567890123456781}}', '{"meta":{"id":1.5}}']) {
      assert.equal(keyOf(value), 'record:changes/3/41@7');
    }
  });

  it("can't be made a repeat of another record, whatever key its payload states", () => {
    const { key } = eventOf(record('{}'), { ...PLACE, keyPath: 'id' }).read;
    for (const id of ['changes/3/41@7', key]) {
      const squatter = eventOf(record(JSON.stringify({ id }), { offset: 12 }), { ...PLACE, keyPath: 'id' });
      assert.notEqual(squatter.read.key, key);
    }
  });

  it('carries key and headers, as text where they are', () => {
    const { body = '' } = eventOf(
      record('{}', {
        key: Buffer.from('schlüssel'),
        headers: [
          [Buffer.from('trace'), Buffer.from('old')],
          [Buffer.from('trace'), Buffer.from('new')],
          [Buffer.from('bytes'), Buffer.from([0xff, 0x00])],
          [Buffer.from('none'), null],
        ],
      }),
      PLACE,
    );
    assert.deepEqual(JSON.parse(body), {
      kafka: {
        ...FACTS,
        key: 'schlüssel',
        headers: { trace: 'new', bytes: { base64: '/wA=' }, none: null },
      },
    });
  });

  it('without a value is a row of its own: a tombstone', () => {
    const event = eventOf(record(null, { key: Buffer.from('page 7') }), PLACE);
    assert(event.read.ok);
    assert.deepEqual(JSON.parse(event.body ?? ''), { kafka: { ...FACTS, key: 'page 7', tombstone: true } });
  });

  it('hides a member of the payload that has the same name', () => {
    const { body = '' } = eventOf(record('{"kafka":{"offset":1}}'), PLACE);
    assert.deepEqual(JSON.parse(body), { kafka: FACTS });
  });

  it('is rejected as any other, whole: no JSON, no object, no text', () => {
    const broken = eventOf(record('{"half":'), PLACE);
    assert.equal(!broken.read.ok && broken.read.reason, 'not-json');
    assert.equal(broken.text, '{"half":');
    const list = eventOf(record('[1]'), PLACE);
    assert.equal(!list.read.ok && list.read.reason, 'not-an-object');
    const bytes = eventOf(record(Buffer.from([0x00, 0xff, 0x01])), PLACE);
    assert.equal(!bytes.read.ok && bytes.read.reason, 'not-json');
    assert.equal(bytes.text, 'base64:AP8B');
  });

  it('has its record beside it, also where it is rejected, to tell where it stood and to be sent again as it was', () => {
    for (const value of ['{"a":1}', '{"half":', '[1]']) {
      assert.deepEqual(eventOf(record(value), PLACE).record, FACTS);
    }
    const { text, body, record: facts = {} } = eventOf(record('{"a":1}'), PLACE);
    assert.equal(withRecord(text, facts), body);
  });

  it('tells where it stood by what was kept, else by its own member', () => {
    const place = { topic: 'changes', partition: 3, offset: 41, from: 40 };
    const { body = '', record: facts } = eventOf(record('{"kafka":{"offset":1}}'), PLACE);
    const stood = { partition: 'changes/3', offset: 41, from: 40 };
    assert.deepEqual(recordPlace(body), stood);
    assert.deepEqual(recordPlace('{"half":', facts), stood);
    const { from: _, ...before } = place;
    assert.deepEqual(recordPlace('', before), { partition: 'changes/3', offset: 41 });
    for (const text of [
      '',
      '{}',
      '{"kafka":null}',
      '{"kafka":7}',
      JSON.stringify({ kafka: { ...place, offset: '41' } }),
    ]) {
      assert.equal(recordPlace(text), undefined, text);
    }
    assert.equal(recordPlace('{}', { ...place, topic: '' }), undefined);
    assert.equal(recordPlace('{}', { ...place, partition: -1 }), undefined);
  });

  it('is never a canary, whatever it says', () => {
    const { read } = eventOf(record('{"meta":{"domain":"canary"}}'), PLACE);
    assert(read.ok && !read.isCanary);
  });
});
