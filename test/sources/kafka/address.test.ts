import assert from 'node:assert/strict';
import { isSameStream, parseKafkaUrl, parseOffsets } from '../../../src/sources/kafka/address';

describe('The URL of a Kafka topic', () => {
  it('names brokers and the topic', () => {
    assert.deepEqual(parseKafkaUrl('kafka://one:9093,two.example.org,[::1]:9094/wiki.recent_change-1'), {
      bootstrap: [
        { host: 'one', port: 9093 },
        { host: 'two.example.org', port: 9092 },
        { host: '::1', port: 9094 },
      ],
      topic: 'wiki.recent_change-1',
    });
  });

  const wrong = {
    'no topic': 'kafka://one:9092',
    'an empty topic': 'kafka://one:9092/',
    'no broker': 'kafka:///topic',
    'two topics': 'kafka://one/a,b',
    'a path': 'kafka://one/a/b',
    'a query': 'kafka://one/a?x=1',
    'a topic that Kafka refuses': 'kafka://one/..',
    'a port out of range': 'kafka://one:65536/a',
    'an empty broker': 'kafka://one,,two/a',
    'a space': 'kafka://one two/a',
  };
  for (const [what, url] of Object.entries(wrong)) {
    it(`is refused with the rule: ${what}`, () => {
      assert.throws(() => parseKafkaUrl(url), /must be brokers and one topic, such as kafka:\/\//);
    });
  }

  it('holds no login', () => {
    assert.throws(() => parseKafkaUrl('kafka://alice:secret@one/a'), /must not hold a user name or password/);
  });

  it('means the same stream by the topic: brokers come and go', () => {
    assert(isSameStream('kafka://one/a', 'kafka://two:9093,three/a'));
    assert(!isSameStream('kafka://one/a', 'kafka://one/b'));
    assert(!isSameStream('kafka://one/a', 'https://one/a'));
    assert(isSameStream('https://one/a', 'https://one/a'));
  });
});

describe('Offsets to begin at', () => {
  it('are given by partition', () => {
    assert.deepEqual(parseOffsets('0:15, 12:9007199254740991'), { 0: 15, 12: Number.MAX_SAFE_INTEGER });
  });

  for (const text of ['0', '0:', ':5', '0:-1', '0:5;1:6', '0:9007199254740992', 'a:5']) {
    it(`are refused with the rule: ${text}`, () => {
      assert.throws(() => parseOffsets(text), /must be partition:offset pairs/);
    });
  }

  it('are given once for a partition', () => {
    assert.throws(() => parseOffsets('1:5,1:6'), /must name partition 1 once/);
  });
});
