import type { Random } from '../../local/simulated-stream/random';
import { type Order, ORDERS, STALE_DELETIONS, type StaleDeletions } from './queue';

/** A number of a scenario: an option of the command line, and drawn from the seed where that does not say it. */
interface Drawn {
  means: string;
  /** @param scale by which the lane's limits are divided */
  draw: (random: Random, scale: number) => number;
  /** Whether `--calm` makes it nothing. */
  isFault?: true;
  /** Whether it makes receives count as lost. A lane keeps every key then, which hides what else it may do wrong. */
  isLoss?: true;
  /** Whether no seed draws it: a lane does not withstand it yet. */
  isOff?: true;
}

/** Of the seeds, those at which no receive is lost. */
const WITHOUT_LOSS = 0.4;

const always = (value: number) => () => value;
const oneOf =
  (...values: readonly number[]) =>
  (random: Random) =>
    random.pick(values);

export const NUMBERS = {
  events: {
    means: 'events that the source publishes: fewer than 75,000 / scale, beyond which the lane promises less',
    draw: (_, scale) => 60_000 / scale,
  },
  rate: {
    means: 'events a second that the source publishes',
    draw: (random, scale) => (random.pick([2, 5, 10, 20]) * 50) / scale,
  },
  backlog: {
    means: '1: all events wait in the queue when the lane begins',
    draw: oneOf(0, 0, 1),
  },
  'events-per-message': { means: 'events that a message carries at most', draw: oneOf(1, 1, 3, 8, 100) },
  'row-bytes': { means: 'bytes of a row', draw: oneOf(50, 500, 1_500) },
  rejects: { means: 'share of events that can not become rows', draw: oneOf(0, 0.005, 0.05) },
  window: {
    means: 'keys that the window keeps',
    draw: (random, scale) => (random.pick([100, 200, 300, 600]) * 50) / scale,
  },
  visibility: { means: 'visibility timeout in seconds', draw: oneOf(10, 24, 24, 60) },
  rows: {
    means: 'rows of a batch',
    draw: (random, scale) => random.pick([0.5, 1, 2]) * Math.max(10, 100 / scale),
  },
  flush: { means: 'seconds for which a row waits for its batch', draw: oneOf(2, 10, 30) },
  history: {
    means: 'events of a history, from which on a run continues as new',
    draw: oneOf(80, 200, 1_000, 5_000),
  },
  slip: {
    means:
      'of the order `noisy`: share of the window, or of the smallest that people make, by which a message is overtaken at most',
    draw: oneOf(0.05, 0.15),
  },

  'lost-polls': {
    means: 'share of polls without an answer',
    draw: oneOf(0, 0.002, 0.02, 0.05),
    isFault: true,
    isLoss: true,
  },
  'refused-polls': {
    means: 'share of polls that are refused, and handed nothing',
    draw: oneOf(0, 0.02, 0.2),
    isFault: true,
  },
  'lost-answers': {
    means: 'share of receives whose answer is lost',
    draw: oneOf(0, 0.01, 0.05),
    isFault: true,
    isLoss: true,
  },
  releases: {
    means: 'share of polls of which some messages are released',
    draw: oneOf(0, 0.03),
    isFault: true,
  },
  'releases-behind': {
    means: '1: a released message goes behind the backlog, in the orders `back` and `asked`',
    draw: oneOf(0, 1),
    isFault: true,
  },
  unkept: {
    means: 'share of messages to reject that stay in the queue, since they can not be kept',
    draw: oneOf(0, 0.2),
    isFault: true,
  },
  'slow-deletions': {
    means: 'share of deletions that take up to two visibility timeouts, and succeed',
    draw: oneOf(0, 0.04, 0.3),
    isFault: true,
  },
  'failed-entries': { means: 'share of deleted messages in `Failed`', draw: oneOf(0, 0.01), isFault: true },
  'failed-deletions': {
    means: 'share of deletions that fail when they are done',
    draw: oneOf(0, 0.03),
    isFault: true,
    isLoss: true,
  },
  'slow-uploads': {
    means: 'share of uploads that take up to 1.5 visibility timeouts',
    draw: oneOf(0.05),
    isFault: true,
  },
  'repeated-uploads': {
    means: 'share of uploads that are tried again when they are done',
    draw: oneOf(0.03),
    isFault: true,
  },
  'sent-twice': {
    means: 'share of sends whose answer is lost, so that they are sent again',
    draw: oneOf(0.01, 0.1, 0.3),
    isFault: true,
  },
  skew: {
    means: 'seconds by which what a worker takes for the time of the queue is ahead or behind at most',
    draw: oneOf(0.2, 0.6),
    isFault: true,
  },
  outages: {
    means: 'times in which something is away',
    draw: (random) => random.integer(0, 5),
    isFault: true,
    isLoss: true,
  },
  longest: { means: 'visibility timeouts that an outage lasts at most', draw: always(6) },
  'claim-refused': {
    means: 'seconds from the beginning for which the queue is another’s, so that the lane can not claim it',
    draw: oneOf(0, 0, 0, 30, 600),
    isFault: true,
  },
  crashes: {
    means: 'stints that end before their time, or whose worker dies',
    draw: (random) => random.integer(0, 7),
    isFault: true,
  },
  laggard: {
    means: 'seconds after which a process that was stopped wakes, with what its stint held',
    draw: oneOf(0, 5, 30, 120),
    isFault: true,
  },
  'clock-ahead': {
    means: 'hours by which one worker of three, whom the queue tells no time, is ahead',
    draw: oneOf(0, 0, 0, 0, 10, 900_000),
    isFault: true,
    isLoss: true,
  },
  'clock-behind': {
    means: 'hours by which that worker is behind',
    draw: oneOf(0, 0, 0, 0, 10, 100_000),
    isFault: true,
    isLoss: true,
  },
  'clock-mended': {
    means: 'seconds after which its clock is right',
    draw: oneOf(20, 20, 60, 60, 60, 300, 300, Infinity),
  },
  adoptions: {
    means: 'times that Temporal is lost with all that it knew, and another lane goes on where the lake ends',
    draw: oneOf(0, 0, 1, 2),
    isFault: true,
    isLoss: true,
  },
  people: {
    means: 'times that a person pauses, stops, flushes or changes something',
    draw: (random) => random.integer(0, 4),
    isFault: true,
  },
  shrink: { means: '1: people make the window smaller, too', draw: oneOf(0, 1), isFault: true },
} as const satisfies Record<string, Drawn>;

export type NumberName = keyof typeof NUMBERS;

/** What happens in one run, as far as it does not depend on the lane. */
/** Settled keys that people leave the window at least. */
export const SMALLEST_WINDOW = 30;

export interface Scenario extends Readonly<Record<NumberName, number>> {
  order: Order;
  stale: StaleDeletions;
}

export const NUMBER_NAMES = Object.keys(NUMBERS) as NumberName[];

/** Whether no seed draws it. */
export function isOff(name: NumberName): boolean {
  return 'isOff' in NUMBERS[name];
}

/** A scenario but for what the seed decides. */
export type Wanted = Partial<Scenario>;

/** Every number is drawn, whether it is wanted otherwise or not: so the others of a seed stay the same. */
export function drawScenario(random: Random, scale: number, wanted: Wanted): Scenario {
  const numbers = Object.fromEntries(
    NUMBER_NAMES.map((name) => [name, NUMBERS[name].draw(random, scale)]),
  ) as Record<NumberName, number>;
  const losses = random.chance(WITHOUT_LOSS) ? without('isLoss') : {};
  const [order, stale] = [random.pick(ORDERS), random.pick(STALE_DELETIONS)];
  return { ...numbers, ...losses, order, stale, ...wanted };
}

/** Without loss, outage, crash or person. Slow deletions and the like may be wanted on top. */
export function calm(): Wanted {
  return without('isFault');
}

function without(what: 'isFault' | 'isLoss'): Partial<Record<NumberName, number>> {
  return Object.fromEntries(NUMBER_NAMES.filter((name) => what in NUMBERS[name]).map((name) => [name, 0]));
}
