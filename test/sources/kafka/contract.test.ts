import { randomUUID } from 'node:crypto';
import { whyNoKafka } from '../../../local/kafka-jars';
import { kafkaSource } from '../../../src/sources/kafka/source';
import { KafkaCluster } from '../../support/kafka-cluster';
import { FLOOD_BYTES, itIsASource } from '../contract';

const PARTITIONS = 3;

let cluster: KafkaCluster;

itIsASource({
  name: 'a Kafka topic',
  skip: whyNoKafka(),
  prepare: async () => {
    cluster = await KafkaCluster.start();
  },
  finish: () => cluster?.close(),
  partitionOf: (payload) => String((JSON.parse(payload) as { partition: number }).partition),
  repeatsAtMost: 0,
  async stage() {
    const topic = await cluster.createTopic(PARTITIONS);
    const { link } = cluster;
    link.received = 0;
    link.connections = 0;
    const messages = (count: number, text: string) =>
      Array.from({ length: count }, (_, index) => {
        const partition = index % PARTITIONS;
        return { partition, value: JSON.stringify({ meta: { id: randomUUID() }, partition, text }) };
      });
    return {
      link,
      start: { since: 0, positions: {}, recent: {} },
      open: (onReconnect = () => {}) =>
        kafkaSource({ bootstrap: cluster.bootstrap, topic, backoffMs: 20, onReconnect }),
      publish: async (count) => {
        const published = messages(count, '');
        await cluster.send(topic, published);
        return published.map(({ value }) => value);
      },
      flood: async () => {
        for (let bytes = 0; bytes < FLOOD_BYTES; bytes += 10 * 50_000) {
          await cluster.send(topic, messages(10, 'x'.repeat(50_000)));
        }
      },
      close: () => Promise.resolve(),
    };
  },
});
