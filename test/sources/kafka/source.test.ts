import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Producer } from '@platformatic/kafka';
import { loadWorkerSettings } from '../../../src/settings/worker';
import { whyNoKafka } from '../../../local/kafka-jars';
import { freePort } from '../../../local/ports';
import { findHoles } from '../../../src/sources/completeness';
import type { Cursor, Position } from '../../../src/sources/cursor';
import { kafkaSettings } from '../../../src/sources/kafka/security';
import { type KafkaOptions, kafkaSource } from '../../../src/sources/kafka/source';
import { type ReconnectReason, SourceRefused } from '../../../src/sources/source';
import { eventually } from '../../support/eventually';
import { Follower } from '../../support/follower';
import { KafkaCluster, toMessage } from '../../support/kafka-cluster';

const EARLIEST: Cursor = { since: 0, positions: {}, recent: {} };

const reason = whyNoKafka();
const suite = reason === undefined ? describe : describe.skip;

suite(`A Kafka source and Apache Kafka${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let cluster: KafkaCluster;
  let folder: string;
  const ports = { SASL: 0, SSL: 0 };
  const followers: Follower[] = [];
  let told: { reason: ReconnectReason; detail: string }[] = [];

  before(async function () {
    this.timeout(300_000);
    folder = mkdtempSync(join(tmpdir(), 'sluice-kafka-test-'));
    const { key, certificate } = selfSigned(folder);
    ports.SASL = await freePort();
    ports.SSL = await freePort();
    const login = (module: string, rest = '') =>
      `org.apache.kafka.common.security.${module} required ${rest};`;
    cluster = await KafkaCluster.start({
      listeners: {
        SASL: { protocol: 'SASL_PLAINTEXT', port: ports.SASL },
        TLS: { protocol: 'SSL', port: ports.SSL },
      },
      scram: ['SCRAM-SHA-256', 'SCRAM-SHA-512'].map((each) => `${each}=[name=alice,password=secret]`),
      settings: {
        'listener.name.sasl.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
        'listener.name.sasl.plain.sasl.jaas.config': login('plain.PlainLoginModule', 'user_alice="secret"'),
        'listener.name.sasl.scram-sha-256.sasl.jaas.config': login('scram.ScramLoginModule'),
        'listener.name.sasl.scram-sha-512.sasl.jaas.config': login('scram.ScramLoginModule'),
        'listener.name.sasl.oauthbearer.sasl.jaas.config': login('oauthbearer.OAuthBearerLoginModule'),
        'listener.name.tls.ssl.keystore.type': 'PEM',
        'listener.name.tls.ssl.keystore.key': oneLine(key),
        'listener.name.tls.ssl.keystore.certificate.chain': oneLine(certificate),
      },
    });
  });
  after(async () => {
    await cluster?.close();
    rmSync(folder, { recursive: true });
  });

  beforeEach(() => {
    told = [];
  });
  afterEach(async () => {
    await Promise.all(followers.splice(0).map((follower) => follower.stop()));
  });

  function follow(topic: string, options: Partial<KafkaOptions> & { from?: Cursor } = {}): Follower {
    const { from = EARLIEST, ...rest } = options;
    const source = kafkaSource({
      bootstrap: cluster.bootstrap,
      topic,
      backoffMs: 20,
      onReconnect: (why, detail) => told.push({ reason: why, detail }),
      ...rest,
    });
    const follower = new Follower(source, from);
    followers.push(follower);
    return follower;
  }

  const numbered = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => ({ value: JSON.stringify({ n: from + index }) }));
  const numbersOf = ({ fresh }: Follower) => fresh.map((text) => (JSON.parse(text) as { n: number }).n);
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
  const holesOf = ({ cursor }: Follower) => findHoles(cursor.completeness).offsets;

  async function refusalOf(follower: Follower): Promise<string> {
    const error = await follower.ended;
    assert(error instanceof SourceRefused, String(error));
    return error.message;
  }

  describe('reads what brokers store', () => {
    // Compressed by the broker, so by the code that Java's producers have.
    for (const codec of ['gzip', 'snappy', 'lz4']) {
      it(`compressed with ${codec}`, async () => {
        const topic = await cluster.createTopic(1, { 'compression.type': codec });
        await cluster.send(topic, numbered(0, 500));
        const follower = follow(topic);
        await follower.received(500);
        assert.deepEqual(numbersOf(follower), range(0, 500));
      });
    }

    it('compressed with zstd where Node can, and says so where it can not', async () => {
      const topic = await cluster.createTopic(1, { 'compression.type': 'zstd' });
      await cluster.send(topic, numbered(0, 5));
      const follower = follow(topic);
      const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
      if (major > 22 || (major === 22 && minor >= 15)) {
        await follower.received(5);
        return;
      }
      assert.match(
        await refusalOf(follower),
        /batch at offset 0 can not be read: it is compressed with zstd, which Node .* can not read: run workers on Node 22\.15/,
      );
    });

    it("with the broker's time where the topic says so", async () => {
      const topic = await cluster.createTopic(1, { 'message.timestamp.type': 'LogAppendTime' });
      const before = Date.now();
      await cluster.send(topic, [{ value: '{}', timestamp: 5 }]);
      const follower = follow(topic);
      await follower.received(1);
      const { kafka } = JSON.parse(follower.bodies[0] ?? '') as { kafka: { timestamp: number } };
      assert(kafka.timestamp >= before - 1_000, `${kafka.timestamp}`);
    });

    it('with keys, headers and tombstones', async () => {
      const topic = await cluster.createTopic();
      await cluster.send(topic, [
        { value: '{"n":1}', key: 'a', headers: { trace: 'x' }, timestamp: 7 },
        { value: null, key: 'a', timestamp: 8 },
      ]);
      const follower = follow(topic);
      await follower.received(2);
      const at = { topic, partition: 0 };
      assert.deepEqual(
        follower.bodies.map((body) => JSON.parse(body) as unknown),
        [
          {
            n: 1,
            kafka: { ...at, offset: 0, from: 0, epoch: 0, timestamp: 7, key: 'a', headers: { trace: 'x' } },
          },
          { kafka: { ...at, offset: 1, from: 1, epoch: 0, timestamp: 8, key: 'a', tombstone: true } },
        ],
      );
    });

    it('however large: one record may be larger than what is asked for', async () => {
      const topic = await cluster.createTopic(1, { 'max.message.bytes': '6000000' });
      const large = JSON.stringify({ n: 0, text: 'x'.repeat(4_000_000) });
      await cluster.send(topic, [{ value: large }]);
      await cluster.send(topic, numbered(1, 3));
      const follower = follow(topic);
      await follower.received(3);
      assert.deepEqual(numbersOf(follower), [0, 1, 2]);
    });
  });

  describe('knows which offsets hold no event', () => {
    it('of transactions: their markers, and all of those that were aborted', async () => {
      const topic = await cluster.createTopic();
      const producer = new Producer({
        clientId: 'test',
        bootstrapBrokers: [cluster.server.broker],
        idempotent: true,
        transactionalId: `of-${topic}`,
        retries: 10,
        retryDelay: 200,
      });
      let n = 0;
      for (const ending of ['commit', 'abort', 'commit', 'abort'] as const) {
        const transaction = await producer.beginTransaction();
        await transaction.send({
          messages: numbered(n, n + 5).map((each) => toMessage(topic, each)),
          acks: -1,
        });
        n += 5;
        await transaction[ending]();
      }
      await producer.close();
      await cluster.send(topic, numbered(100, 101));
      const follower = follow(topic);
      await follower.received(11);
      assert.deepEqual(numbersOf(follower), [...range(0, 5), ...range(10, 15), 100]);
      assert.equal(holesOf(follower), 0);
      // The last marker may come behind the last record.
      await eventually('all is passed', () => isAt(follower.cursor.positions[`${topic}/0`], 25));
    });

    it('at the end of a partition that falls silent, which retention may empty', async () => {
      const topic = await cluster.createTopic();
      const producer = new Producer({
        clientId: 'test',
        bootstrapBrokers: [cluster.server.broker],
        idempotent: true,
        transactionalId: `silent-${topic}`,
        retries: 10,
        retryDelay: 200,
      });
      const transaction = await producer.beginTransaction();
      await transaction.send({ messages: numbered(0, 5).map((each) => toMessage(topic, each)), acks: -1 });
      await transaction.commit();
      await producer.close();
      const first = follow(topic);
      const position = () => first.cursor.positions[`${topic}/0`];
      await eventually('the marker is passed', () => isAt(position(), 6));
      await first.stop();
      assert.deepEqual(position(), { offset: 6, from: 5, epochs: [[0, 0]] });
      await cluster.admin.deleteRecords({
        topics: [{ name: topic, partitions: [{ partition: 0, offset: 6n }] }],
      });
      await cluster.send(topic, numbered(5, 6));
      const second = follow(topic, { from: first.cursor.cursor() });
      await second.received(1);
      assert.deepEqual(told, []);
      assert.equal(holesOf(second), 0);
    });

    it('of compacted topics', async function () {
      this.timeout(300_000);
      const topic = await cluster.createTopic(1, {
        'cleanup.policy': 'compact',
        'segment.ms': '100',
        'min.cleanable.dirty.ratio': '0.01',
        'min.compaction.lag.ms': '0',
      });
      for (const { value } of numbered(0, 20)) await cluster.send(topic, [{ value, key: 'same' }]);
      const remaining = async () => {
        // A record closes the segment before it, which alone is cleaned.
        await cluster.send(topic, [{ value: '{"n":-1}', key: 'other' }]);
        const follower = follow(topic);
        await eventually('the newest record', () => numbersOf(follower).at(-1) === -1);
        await follower.stop();
        return follower;
      };
      let cleaned: Follower | undefined;
      await eventually('the log is cleaned', async () => {
        cleaned = await remaining();
        return !numbersOf(cleaned).includes(5);
      });
      assert(cleaned && numbersOf(cleaned).includes(19));
      assert.equal(holesOf(cleaned), 0);
    });
  });

  describe('when records were deleted before they were read', () => {
    async function gone() {
      const topic = await cluster.createTopic();
      await cluster.send(topic, numbered(0, 50));
      const first = follow(topic);
      await first.received(50);
      await first.stop();
      await cluster.send(topic, numbered(50, 100));
      await cluster.admin.deleteRecords({
        topics: [{ name: topic, partitions: [{ partition: 0, offset: 80n }] }],
      });
      return { topic, cursor: first.cursor };
    }

    it('stops, and says how many', async () => {
      const { topic, cursor } = await gone();
      assert.equal(
        await refusalOf(follow(topic, { from: cursor.cursor() })),
        `30 offsets of ${topic}/0 (50 to 79) were deleted before they were read, by the retention of the topic or ` +
          'by a person. To go on at 80, update with SLUICE_SOURCE_LOSS=continue',
      );
    });

    it('goes on where that is wanted, says how many, and counts them as missing', async () => {
      const { topic, cursor } = await gone();
      const events = kafkaSource({
        bootstrap: cluster.bootstrap,
        topic,
        afterLoss: 'continue',
        onReconnect: (why, detail) => told.push({ reason: why, detail }),
      });
      const stop = new AbortController();
      const numbers: number[] = [];
      for await (const event of events.read(() => cursor.resume(), stop.signal)) {
        assert(!('mark' in event));
        numbers.push((JSON.parse(event.text) as { n: number }).n);
        cursor.confirm(cursor.received(event, event.id, event.read));
        if (numbers.length === 20) stop.abort();
      }
      assert.deepEqual(numbers, range(80, 100));
      assert.equal(findHoles(cursor.completeness).offsets, 30);
      assert.deepEqual(
        told.map((each) => each.reason),
        ['expired'],
      );
      assert.match(told[0]?.detail ?? '', /^30 offsets of .* were deleted before they were read/);
    });

    it('stops at a new partition whose first records are gone already', async () => {
      const topic = await cluster.createTopic(2);
      await cluster.send(
        topic,
        numbered(0, 5).map((each) => ({ ...each, partition: 1 })),
      );
      await cluster.admin.deleteRecords({
        topics: [{ name: topic, partitions: [{ partition: 1, offset: 4n }] }],
      });
      // The cursor of a topic that had one partition.
      const from = { ...EARLIEST, positions: { [`${topic}/0`]: { offset: 0 } } };
      assert.match(
        await refusalOf(follow(topic, { from })),
        /^4 offsets of .*\/1 \(0 to 3\) were deleted before they were read/,
      );
    });

    it('stops at a topic that was created anew under its name', async () => {
      const topic = await cluster.createTopic();
      await cluster.send(topic, numbered(0, 3));
      const from = { ...EARLIEST, positions: { [`${topic}/0`]: { offset: 500 } } };
      assert.match(
        await refusalOf(follow(topic, { from })),
        /ends at offset 3, and was read up to 500 before/,
      );
    });
  });

  describe('begins', () => {
    it('at a time: with the first record that is not older', async () => {
      const topic = await cluster.createTopic(2);
      await cluster.send(
        topic,
        [10, 20, 30, 40].flatMap((time) => [
          { value: `{"n":${time}}`, partition: 0, timestamp: 1_000_000 + time },
        ]),
      );
      const follower = follow(topic, { from: { ...EARLIEST, since: 1_000_025 } });
      await follower.received(2);
      // A partition without such a record begins at its end.
      await cluster.send(topic, [{ value: '{"n":50}', partition: 1, timestamp: 1 }]);
      await follower.received(3);
      assert.deepEqual(numbersOf(follower), [30, 40, 50]);
    });

    it('at given offsets, and the other partitions as `since` says', async () => {
      const topic = await cluster.createTopic(2);
      for (const partition of [0, 1]) {
        await cluster.send(
          topic,
          numbered(0, 5).map((each) => ({ ...each, partition })),
        );
      }
      const follower = follow(topic, { offsets: { 1: 3 } });
      await follower.received(7);
      assert.deepEqual(
        numbersOf(follower).sort((one, other) => one - other),
        [0, 1, 2, 3, 3, 4, 4],
      );
    });

    it('to read new partitions from their beginning, soon', async () => {
      const topic = await cluster.createTopic(1);
      const follower = follow(topic, { from: { ...EARLIEST, since: Date.now() }, refreshMs: 100 });
      await eventually('the partition is begun', () => `${topic}/0` in follower.cursor.positions);
      await cluster.admin.createPartitions({
        topics: [{ name: topic, count: 3, assignments: [{ brokerIds: [1] }, { brokerIds: [1] }] }],
      });
      await eventually('they can be written', () =>
        cluster
          .send(topic, [{ value: '{"n":1}', partition: 2, timestamp: 1 }])
          .then(() => true)
          .catch(() => {
            cluster.producer.clearMetadata();
            return false;
          }),
      );
      await follower.received(1);
      assert.deepEqual(
        Object.keys(follower.cursor.positions).sort(),
        [0, 1, 2].map((each) => `${topic}/${each}`),
      );
    });
  });

  describe('refuses', () => {
    it('a topic that is not there', async () => {
      assert.match(await refusalOf(follow('nowhere')), /has no topic nowhere: correct SLUICE_SOURCE_URL/);
    });

    it('an offset that was never there, before the cursor has it', async () => {
      const topic = await cluster.createTopic();
      await cluster.send(topic, numbered(0, 3));
      const follower = follow(topic, { offsets: { 0: 1_500 } });
      assert.match(
        await refusalOf(follower),
        /ends at offset 3, and SLUICE_SOURCE_OFFSETS wants it from 1500 on: correct it/,
      );
      assert.deepEqual(follower.cursor.positions, {});
    });
  });

  it('survives the death of the broker, and brings nothing twice', async function () {
    this.timeout(300_000);
    const topic = await cluster.createTopic();
    await cluster.send(topic, numbered(0, 100));
    const follower = follow(topic);
    await follower.received(100);
    await cluster.server.kill();
    await eventually('a failure', () => told.length > 0);
    await cluster.server.restart();
    await eventually('the broker takes records', () =>
      cluster.send(topic, numbered(100, 101)).then(
        () => true,
        () => false,
      ),
    );
    await eventually('the record', () => numbersOf(follower).includes(100));
    assert.deepEqual(numbersOf(follower).slice(0, 101), range(0, 101));
    assert.deepEqual(follower.texts, follower.fresh);
  });

  it('commits to a group what is confirmed, for others to see', async () => {
    const topic = await cluster.createTopic();
    await cluster.send(topic, numbered(0, 20));
    const follower = follow(topic, { group: 'sluice-test' });
    await follower.received(20);
    await eventually('the offset', async () => {
      const [group] = await cluster.admin.listConsumerGroupOffsets({ groups: ['sluice-test'] });
      return group?.topics[0]?.partitions[0]?.committedOffset === 20n;
    });
  });

  describe('logs in', () => {
    const sasl = (mechanism: string, rest: Record<string, string> = {}) =>
      kafkaSettings(
        loadWorkerSettings({
          SLUICE_KAFKA_SECURITY_PROTOCOL: 'SASL_PLAINTEXT',
          SLUICE_KAFKA_SASL_MECHANISM: mechanism,
          SLUICE_KAFKA_SASL_USERNAME: 'alice',
          SLUICE_KAFKA_SASL_PASSWORD: 'secret',
          SLUICE_KAFKA_BROKERS: '127.0.0.1',
          ...rest,
        }).kafka,
      );
    const at = (port: number) => ({ bootstrap: [{ host: '127.0.0.1', port }] });

    for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']) {
      it(`by ${mechanism}`, async () => {
        const topic = await cluster.createTopic();
        await cluster.send(topic, numbered(0, 3));
        await follow(topic, { ...at(ports.SASL), ...sasl(mechanism) }).received(3);
      });

      it(`by ${mechanism}, and tells no password where that fails`, async () => {
        const topic = await cluster.createTopic();
        const wrong = sasl(mechanism, { SLUICE_KAFKA_SASL_PASSWORD: 'wr0ng' });
        const message = await refusalOf(follow(topic, { ...at(ports.SASL), ...wrong }));
        assert.match(message, /does not take the login .*correct SLUICE_KAFKA_SASL_MECHANISM/);
        assert.doesNotMatch(message + JSON.stringify(told), /wr0ng|secret/);
      });
    }

    it('by OAUTHBEARER, with a token from a file', async () => {
      const topic = await cluster.createTopic();
      await cluster.send(topic, numbered(0, 3));
      const now = Math.floor(Date.now() / 1_000);
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const token = `${part({ alg: 'none' })}.${part({ sub: 'alice', iat: now, exp: now + 600 })}.`;
      const file = join(folder, 'token');
      writeFileSync(file, `${token}\n`);
      const login = sasl('OAUTHBEARER', { SLUICE_KAFKA_SASL_OAUTHBEARER_TOKEN_LOCATION: file });
      await follow(topic, { ...at(ports.SASL), ...login }).received(3);
    });

    const tls = (ca: string) =>
      kafkaSettings(
        loadWorkerSettings({ SLUICE_KAFKA_SECURITY_PROTOCOL: 'SSL', SLUICE_KAFKA_SSL_CA_LOCATION: ca }).kafka,
      );

    it('over TLS, to a broker that a trusted authority signed', async () => {
      const topic = await cluster.createTopic();
      await cluster.send(topic, numbered(0, 3));
      await follow(topic, { ...at(ports.SSL), ...tls(join(folder, 'certificate.pem')) }).received(3);
    });

    it('over TLS to nobody else', async () => {
      const topic = await cluster.createTopic();
      assert.match(
        await refusalOf(follow(topic, { ...at(ports.SSL), ...tls('') })),
        /shows a certificate that is not trusted .*set SLUICE_KAFKA_SSL_CA_LOCATION/,
      );
    });
  });
});

function isAt(position: Position | undefined, offset: number): boolean {
  return position !== undefined && 'offset' in position && position.offset === offset;
}

/** A key and its certificate for 127.0.0.1, as PEM. */
function selfSigned(folder: string): { key: string; certificate: string } {
  const files = { key: join(folder, 'key.pem'), certificate: join(folder, 'certificate.pem') };
  execFileSync(
    'openssl',
    [
      'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1'.split(
        ' ',
      ),
      ['-keyout', files.key, '-out', files.certificate],
    ].flat(),
    { stdio: 'ignore' },
  );
  return { key: readFileSync(files.key, 'utf8'), certificate: readFileSync(files.certificate, 'utf8') };
}

/** As a value in a properties file. */
function oneLine(pem: string): string {
  return pem.trim().replaceAll('\n', '\\n');
}
