import assert from 'node:assert/strict';
import { Admin, Producer } from '@platformatic/kafka';
import { whyNoKafka } from '../../../local/kafka-jars';
import { type KafkaServer, newClusterId, startKafkaServer } from '../../../local/kafka-server';
import { freePort } from '../../../local/ports';
import { Brokers, type TopicPartition } from '../../../src/sources/kafka/brokers';
import { type KafkaOptions, kafkaSource } from '../../../src/sources/kafka/source';
import { type ReconnectReason, SourceRefused } from '../../../src/sources/source';
import type { Cursor } from '../../../src/sources/cursor';
import { eventually } from '../../support/eventually';
import { Follower } from '../../support/follower';
import { toMessage } from '../../support/kafka-cluster';

const EARLIEST: Cursor = { since: 0, positions: {}, recent: {} };
const TOPIC = 'elected';

const reason = whyNoKafka();
const suite = reason === undefined ? describe : describe.skip;

/** A controller, which stays, and two brokers that have the topic. */
suite(`A Kafka source and an unclean election${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  const servers = new Map<number, KafkaServer>();
  const followers: Follower[] = [];
  let brokers: Brokers;
  let producer: Producer;

  const bootstrap = () => [{ host: '127.0.0.1', port: servers.get(1)?.port ?? 0 }];

  before(async function () {
    this.timeout(300_000);
    const cluster = { clusterId: newClusterId(), controllerPort: await freePort() };
    const start = async (id: number) => {
      const server = await startKafkaServer({
        node: { id, ...cluster },
        jvm: ['-Xmx256m'],
        settings: {
          'auto.create.topics.enable': 'false',
          // A broker that was killed is noticed soon.
          'broker.session.timeout.ms': 2_000,
          'broker.heartbeat.interval.ms': 500,
          'replica.lag.time.max.ms': 2_000,
        },
      });
      servers.set(id, server);
    };
    await start(1);
    await Promise.all([start(2), start(3)]);
    const options = {
      clientId: 'test',
      bootstrapBrokers: [servers.get(1)?.broker ?? ''],
      retries: 10,
      retryDelay: 200,
    };
    producer = new Producer({ ...options, acks: 1 });
    brokers = new Brokers({ bootstrap: bootstrap(), clientId: 'test', timeoutMs: 10_000 });
    const admin = new Admin(options);
    await eventually('the topic is made', () =>
      admin
        .createTopics({
          topics: [TOPIC],
          assignments: [{ partition: 0, brokers: [2, 3] }],
          configs: [{ name: 'unclean.leader.election.enable', value: 'true' }],
        })
        .then(
          () => true,
          () => false,
        ),
    );
    await admin.close();
  });
  after(async () => {
    await Promise.all(followers.map((follower) => follower.stop()));
    await producer?.close();
    brokers?.close();
    await Promise.all([...servers.values()].map((server) => server.stop()));
  });

  function follow(from: Cursor, options: Partial<KafkaOptions> = {}): Follower {
    const source = kafkaSource({
      bootstrap: bootstrap(),
      topic: TOPIC,
      backoffMs: 20,
      refreshMs: 500,
      ...options,
    });
    const follower = new Follower(source, from);
    followers.push(follower);
    return follower;
  }

  async function leadBy(isLeader: (leader: number) => boolean): Promise<TopicPartition> {
    let found: TopicPartition | undefined;
    await eventually('the leader', async () => {
      [found] = await brokers.partitionsOf(TOPIC).catch(() => []);
      return found !== undefined && found.leader > 1 && isLeader(found.leader);
    });
    assert(found);
    return found;
  }

  async function send(from: number, to: number): Promise<void> {
    const messages = Array.from({ length: to - from }, (_, index) =>
      toMessage(TOPIC, { value: JSON.stringify({ n: from + index }) }),
    );
    producer.clearMetadata();
    await producer.send({ messages });
  }

  const numbersOf = ({ fresh }: Follower) => fresh.map((text) => (JSON.parse(text) as { n: number }).n);
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

  it('notices what it replaced before it reads on, and goes back to it where that is wanted', async function () {
    this.timeout(300_000);
    const { leader } = await leadBy(() => true);
    const other = leader === 2 ? 3 : 2;
    await send(0, 50);
    const reading = follow(EARLIEST);
    await reading.received(50);
    // The other one has the first fifty: a record is handed out once all that are in sync have it.
    await servers.get(other)?.kill();
    await send(50, 100);
    await reading.received(100);
    const before = reading.cursor.cursor();

    await servers.get(leader)?.kill();
    await servers.get(other)?.restart();
    const { leaderEpoch } = await leadBy((now) => now === other);
    await send(100, 250);

    // One that reads all the while, and one that begins again behind records that are others now.
    for (const follower of [reading, follow(before)]) {
      const problem = await follower.ended;
      assert(problem instanceof SourceRefused, String(problem));
      assert.match(
        problem.message,
        /^50 offsets of elected\/0 \(50 to 99\) hold other records than those that were read/,
      );
      assert.equal(problem.isFinal, true);
    }
    assert.deepEqual(numbersOf(reading), range(0, 100));

    const told: ReconnectReason[] = [];
    const next = follow(before, { afterLoss: 'continue', onReconnect: (why) => told.push(why) });
    await next.received(150);
    assert.deepEqual(numbersOf(next), range(100, 250));
    assert.deepEqual(
      told.filter((why) => why === 'replaced'),
      ['replaced'],
    );
    const position = next.cursor.positions[`${TOPIC}/0`];
    assert(position && 'offset' in position);
    assert.deepEqual([position.offset, position.cuts, position.epochs?.at(-1)], [200, 1, [leaderEpoch, 50]]);
  });
});
