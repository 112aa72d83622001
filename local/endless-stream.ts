import { type SimulatedStream, type SimulatedStreamOptions, startSimulatedStream } from './simulated-stream';

/** Beyond these, events are remembered by key and digest only. */
const MOST_PAYLOADS = 10_000;

/** One event in so many is broken. */
const BROKEN_ONE_IN = 1_000;

/** Enough for half a day at the usual rate. */
export const ENDLESS_EVENTS = 1_000_000;

/** Less than Wikimedia's 30 to 55: moto searches its whole queue for every message it sends or receives. */
export const RATE_PER_SECOND = 20;

/** A simulated EventStreams for as long as one likes; new events at each start, since pipelines know those of the last one. */
export async function startEndlessStream(
  options: Pick<SimulatedStreamOptions, 'port' | 'host' | 'events' | 'ratePerSecond' | 'broken'>,
): Promise<SimulatedStream> {
  const { events = ENDLESS_EVENTS } = options;
  return await startSimulatedStream({
    seed: Date.now() % 2 ** 31,
    broken: Math.ceil(events / BROKEN_ONE_IN),
    ratePerSecond: RATE_PER_SECOND,
    keepPayloads: events <= MOST_PAYLOADS,
    ...options,
    events,
  });
}
