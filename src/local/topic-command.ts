import { Command, InvalidArgumentError } from 'commander';
import { runInForeground } from './foreground';
import { startSimulatedTopic } from './simulated-topic';

const wholeNumber = (value: string) => {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(value);
};

/** `node dist/local/topic-command.js --broker kafka:9092`: produces simulated events to a topic, and ends. */
void runInForeground(async ({ endings, interrupted }) => {
  const { broker, events, rate } = new Command('topic-command')
    .requiredOption('--broker <host:port>', 'of a Kafka that runs')
    .option('--events <count>', 'how many to produce', wholeNumber, 1_000)
    .option('--rate <events>', 'per second', wholeNumber, 20)
    .parse()
    .opts<{ broker: string; events: number; rate: number }>();
  const topic = await startSimulatedTopic({ broker, events, ratePerSecond: rate });
  endings.push(() => topic.close());
  console.log(`Producing ${events} events to ${topic.url}`);
  await Promise.race([topic.published, interrupted]);
  return 0;
});
