import assert from 'node:assert/strict';
import type { KafkaLogins } from '../../src/sources/kafka/security';
import { openSource } from '../../src/sources/open-source';
import { type SourceListener, SourceRefused } from '../../src/sources/source';

const LISTENER: SourceListener = {
  onReconnect: () => {},
  onConnected: () => {},
  onHeard: () => {},
  onError: () => {},
};

const BROKERS = [
  { host: 'one.example', port: 9092 },
  { host: 'two.example', port: 9093 },
];

const LOGIN: KafkaLogins = {
  brokers: BROKERS,
  sasl: { mechanism: 'PLAIN', username: 'alice', password: 'secret' },
};

/** Why a topic is not read; undefined where it would be. */
async function refusalOf(url: string, kafka: KafkaLogins): Promise<string | undefined> {
  const stop = new AbortController();
  const source = openSource({ url, contact: '' }, LISTENER, { kafka });
  // Nobody is there: whoever asks would go on asking.
  const timer = setTimeout(() => stop.abort(), 50);
  try {
    for await (const _ of source.read(() => ({ since: 0, positions: {}, recent: {} }), stop.signal));
    return undefined;
  } catch (error) {
    assert(error instanceof SourceRefused, String(error));
    return error.message;
  } finally {
    clearTimeout(timer);
  }
}

describe('A Kafka login of a worker', () => {
  it('is shown to no broker that it is not for, whoever names one', async () => {
    assert.equal(
      await refusalOf('kafka://one.example,evil.example:9092/topic', LOGIN),
      'The Kafka login of this worker is for one.example:9092, two.example:9093, and not for evil.example:9092: correct SLUICE_SOURCE_URL, ' +
        'or add these brokers to SLUICE_KAFKA_BROKERS of the workers',
    );
    assert.match(
      (await refusalOf('kafka://one.example:9999/topic', LOGIN)) ?? '',
      /not for one\.example:9999/,
    );
    const certificate = { brokers: BROKERS, tls: { cert: 'own' } };
    assert.match(
      (await refusalOf('kafka://evil.example/topic', certificate)) ?? '',
      /not for evil\.example:9092/,
    );
  });

  it('is shown to those that it is for, however they are written', async () => {
    assert.equal(await refusalOf('kafka://ONE.example/topic', LOGIN), undefined);
    assert.equal(await refusalOf('kafka://two.example:9093,one.example/topic', LOGIN), undefined);
  });

  it('is not asked for where there is none', async () => {
    assert.equal(await refusalOf('kafka://evil.example/topic', { brokers: [] }), undefined);
    assert.equal(
      await refusalOf('kafka://evil.example/topic', { brokers: [], tls: { ca: 'theirs' } }),
      undefined,
    );
  });
});
