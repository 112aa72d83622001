import { parseArgs } from 'node:util';
import { startSimulatedStream } from '../local/simulated-stream';
import { startSimulatedTopic } from '../local/simulated-topic';

/** Batches of a few hundred events. */
const PRODUCED_PER_SECOND = 5_000;

/**
 * The source of a measurement, as a process of its own: the simulated stream of the demo without its faults. Prints its URL when
 * it answers; without a rate, when everything is published, so that nothing is made while it is read.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '0' },
      rate: { type: 'string', default: 'Infinity' },
      padding: { type: 'string', default: '0' },
      kafka: { type: 'boolean', default: false },
    },
  });
  if (values.kafka) return await serveTopic(Number(values.events));
  const rate = Number(values.rate);
  const stream = await startSimulatedStream({
    events: Number(values.events),
    ratePerSecond: rate,
    startsWhen: Number.isFinite(rate) ? 'first-connection' : 'at-once',
    broken: 0,
    canaryOneIn: 0,
    // SQS refuses some of these as they are, which ends the scripts and stops Bento.
    awkwardOneIn: 0,
    paddingBytes: Number(values.padding),
    cutAfterEvents: false,
    splitOneIn: 0,
    maxConnections: 10,
  });
  if (!Number.isFinite(rate)) await stream.published;
  console.log(stream.url);
}

/** The same events in a topic of Apache Kafka, all of them before its URL is printed. */
async function serveTopic(events: number): Promise<void> {
  const topic = await startSimulatedTopic({
    events,
    broken: 0,
    awkwardOneIn: 0,
    ratePerSecond: PRODUCED_PER_SECOND,
  });
  await topic.published;
  console.log(topic.url);
}

// With whoever started it.
process.stdin.on('end', () => process.exit()).resume();
void main();
