import { Command } from 'commander';
import { runInForeground } from './foreground';
import { wholeNumber } from './option';
import { startSimulatedTopic } from './simulated-topic';

/** `bin/simulated-topic.js --broker kafka:9092`: produces simulated events to a topic, and ends. */
void runInForeground(async ({ endings, interrupted }) => {
  const { broker, events, rate } = new Command('simulated-topic')
    .requiredOption('--broker <host:port>', 'of a Kafka that runs')
    .option('--events <count>', 'how many to produce', wholeNumber(0, 999_999_999), 1_000)
    .option('--rate <events>', 'per second', wholeNumber(1, 100_000), 20)
    .parse()
    .opts<{ broker: string; events: number; rate: number }>();
  const topic = await startSimulatedTopic({ broker, events, ratePerSecond: rate });
  endings.push(() => topic.close());
  console.log(`Producing ${events} events to ${topic.url}`);
  await Promise.race([topic.published, interrupted]);
  return 0;
});
