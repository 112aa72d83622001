import { type Random, seededRandom } from '../../../local/simulated-stream/random';
import type { Outage } from '../proxy/fault-proxy';
import type { Point } from '../proxy/watchers';

/**
 * Where workers are killed. Points of the proxy: the answer is held back meanwhile. `frozen`: a batch is in the lane's
 * history and its upload begins. `continued`: a workflow continued as new.
 */
export type KillPoint = Point | 'frozen' | 'continued';

/** One thing that is done to a running pipeline. Times are in milliseconds. */
export type Action =
  /** SIGKILL to a worker. */
  | { kind: 'kill'; downMs: number }
  /** SIGKILL to all workers at a point. @param afterMs 0: the answer never comes; else it does, so long before */
  | { kind: 'kill at'; point: KillPoint; afterMs: number; downMs: number }
  /** SIGTERM to a worker, as a deploy does. */
  | { kind: 'terminate' }
  /** SIGKILL to Temporal, and a start on the same database. */
  | { kind: 'crash temporal'; awayMs: number; alsoKill: boolean }
  /** SIGKILL to Temporal, its database is deleted, and the pipeline is adopted from its lake. */
  | { kind: 'lose temporal' }
  /** SIGSTOP to a worker while another takes over, and SIGCONT. */
  | { kind: 'freeze'; forMs: number }
  | { kind: 'two workers'; forMs: number }
  /** A worker alone no longer reaches Temporal, while another takes over. */
  | { kind: 'cut off'; forMs: number; how: 'silent' | 'reset' }
  /** A worker beside the others whose clock is wrong. @param hours by which it is ahead; behind where negative */
  | { kind: 'wrong clock'; hours: number; forMs: number }
  | { kind: 'cut'; service: Outage; forMs: number }
  /** SQS hands out nothing, and says so. */
  | { kind: 'refuse receives'; forMs: number }
  | { kind: 'end stream' }
  | { kind: 'stall stream'; forMs: number }
  | { kind: 'refuse id' }
  | { kind: 'refuse requests'; status: number; count: number }
  | { kind: 'switch datacenter' }
  /** SIGKILL to Kafka, and a start on the same log. */
  | { kind: 'crash broker'; awayMs: number }
  /** SIGSTOP to Kafka, and SIGCONT. */
  | { kind: 'freeze broker'; forMs: number }
  /** The connections of workers to Kafka are reset, and so is who connects meanwhile. */
  | { kind: 'cut broker'; forMs: number }
  | { kind: 'pause'; part: 'ingest' | 'lane' | 'both'; forMs: number; when: 'now' | 'stale deletion' }
  | { kind: 'stop'; wait: boolean; forMs: number }
  | { kind: 'update'; settings: Record<string, string> }
  | { kind: 'flush' }
  | { kind: 'pause activity'; forMs: number }
  | { kind: 'reset activity'; forgets: boolean };

/** Actions of one track follow each other; those of different tracks overlap. */
export const TRACKS = ['processes', 'attempts', 'services', 'source', 'commands'] as const;
export type Track = (typeof TRACKS)[number];

/** What events come from: the simulated Wikimedia stream, or a topic of Apache Kafka. */
export const SOURCES = ['sse', 'kafka'] as const;
export type SourceName = (typeof SOURCES)[number];

export interface Planned {
  /** Milliseconds since the beginning of the faults. It begins then, or when the one before it is done. */
  at: number;
  track: Track;
  action: Action;
}

/** One action, but for its details. */
interface Card {
  /** Minutes that a run has at least for it. Default: any. */
  least?: number;
  deal: (random: Random) => Action;
}

interface Deck {
  cards: readonly Card[];
  /** Milliseconds between two actions, at least and at most. */
  pause: readonly [least: number, most: number];
}

const IDENTITY = 'event_id=meta.id,topic=meta.topic,partition=meta.partition,offset=meta.offset';
const COLUMNS = [
  `${IDENTITY},title,user,comment`,
  `wiki,bot,${IDENTITY},length_old=length.old,length_new=length.new`,
  `${IDENTITY},dt=meta.dt,type,namespace,revision_old=revision.old,revision_new=revision.new,log_type,log_action`,
];

const at = (point: KillPoint): Card => ({
  deal: (random) => ({
    kind: 'kill at',
    point,
    afterMs: random.pick([0, 0, random.integer(1, 400)]),
    downMs: downTime(random),
  }),
});

const DECKS: Readonly<Record<Exclude<Track, 'source'>, Deck>> = {
  processes: {
    // What a dead worker held is tried again after a heartbeat timeout of ten seconds: killed more often, the lane does nothing.
    pause: [7_000, 14_000],
    cards: [
      { deal: (random) => ({ kind: 'kill', downMs: downTime(random) }) },
      at('sent'),
      at('received'),
      at('put'),
      at('deleted'),
      at('frozen'),
      at('continued'),
      { deal: () => ({ kind: 'terminate' }) },
      { deal: (random) => crash(random, random.integer(0, 3_000)) },
      { least: 3, deal: (random) => crash(random, random.integer(60_000, 90_000)) },
    ],
  },
  attempts: {
    pause: [9_000, 18_000],
    cards: [
      { deal: (random) => ({ kind: 'freeze', forMs: random.integer(6_000, 9_000) }) },
      { least: 1, deal: (random) => ({ kind: 'freeze', forMs: random.integer(11_000, 20_000) }) },
      { deal: (random) => ({ kind: 'two workers', forMs: random.integer(5_000, 15_000) }) },
      { deal: (random) => cutOff(random, random.integer(8_000, 14_000)) },
      { least: 3, deal: (random) => cutOff(random, random.integer(50_000, 70_000)) },
      {
        least: 1,
        deal: (random) => ({
          kind: 'wrong clock',
          hours: random.pick([-1, 1]) * random.pick([0.05, 10, 20_000]),
          forMs: random.integer(8_000, 15_000),
        }),
      },
    ],
  },
  services: {
    pause: [12_000, 30_000],
    cards: [
      { deal: (random) => ({ kind: 'cut', service: 'sqs', forMs: random.integer(1_000, 9_000) }) },
      { deal: (random) => ({ kind: 'cut', service: 's3', forMs: random.integer(1_000, 9_000) }) },
      // Longer than a visibility timeout, and several times what a row waits for others.
      { least: 3, deal: (random) => ({ kind: 'cut', service: 's3', forMs: random.integer(20_000, 30_000) }) },
      {
        least: 1,
        deal: (random) => ({ kind: 'cut', service: 'deletions', forMs: random.integer(10_000, 20_000) }),
      },
      { least: 1, deal: (random) => ({ kind: 'refuse receives', forMs: random.integer(3_000, 12_000) }) },
    ],
  },
  commands: {
    pause: [4_000, 9_000],
    cards: [
      { deal: (random) => pause(random, 'both', 'now') },
      { deal: (random) => pause(random, 'ingest', 'now') },
      { deal: (random) => pause(random, 'lane', 'stale deletion') },
      { least: 1, deal: (random) => ({ kind: 'stop', wait: true, forMs: random.integer(0, 5_000) }) },
      { deal: (random) => ({ kind: 'stop', wait: false, forMs: random.integer(0, 4_000) }) },
      { deal: (random) => ({ kind: 'update', settings: { SLUICE_COLUMNS: random.pick(COLUMNS) } }) },
      {
        deal: (random) => ({
          kind: 'update',
          settings: { SLUICE_BATCH_ROWS: String(random.integer(7, 40)) },
        }),
      },
      // Plain messages and packs of two sizes come to stand in one queue.
      {
        least: 1,
        deal: (random) => ({ kind: 'update', settings: { SLUICE_PACK: random.pick(['1', '8', '100']) } }),
      },
      { deal: () => ({ kind: 'flush' }) },
      { deal: (random) => ({ kind: 'pause activity', forMs: random.integer(2_000, 9_000) }) },
      { deal: (random) => ({ kind: 'reset activity', forgets: random.chance(0.5) }) },
    ],
  },
};

const SOURCE_DECKS: Readonly<Record<SourceName, Deck>> = {
  sse: {
    pause: [3_000, 9_000],
    cards: [
      { deal: () => ({ kind: 'end stream' }) },
      { deal: (random) => ({ kind: 'stall stream', forMs: random.integer(2_000, 8_000) }) },
      // Longer than the 30 s after which a silent stream counts as dead.
      { least: 2, deal: (random) => ({ kind: 'stall stream', forMs: random.integer(32_000, 38_000) }) },
      { deal: () => ({ kind: 'refuse id' }) },
      {
        deal: (random) => ({
          kind: 'refuse requests',
          status: random.pick([429, 500, 503]),
          count: random.integer(1, 3),
        }),
      },
      { deal: () => ({ kind: 'switch datacenter' }) },
    ],
  },
  kafka: {
    pause: [3_000, 9_000],
    cards: [
      { deal: () => ({ kind: 'crash broker', awayMs: 0 }) },
      { deal: (random) => ({ kind: 'crash broker', awayMs: random.integer(3_000, 12_000) }) },
      { deal: (random) => ({ kind: 'freeze broker', forMs: random.integer(2_000, 8_000) }) },
      // Longer than the 30 s after which a silent broker counts as dead.
      { least: 2, deal: (random) => ({ kind: 'freeze broker', forMs: random.integer(32_000, 38_000) }) },
      { deal: () => ({ kind: 'cut broker', forMs: 0 }) },
      { deal: (random) => ({ kind: 'cut broker', forMs: random.integer(1_000, 6_000) }) },
    ],
  },
};

/**
 * What is done to the pipeline, and when: the same for the same seed and minutes, whatever happens. Every card of a deck
 * comes once before one comes again.
 */
export function planSchedule(
  seed: number,
  minutes: number,
  { source = 'sse', adopts = false }: { source?: SourceName | undefined; adopts?: boolean | undefined } = {},
): Planned[] {
  const decks = { ...DECKS, source: SOURCE_DECKS[source] };
  const planned = TRACKS.flatMap((track, index) =>
    planTrack(track, decks[track], minutes, seededRandom(seed * TRACKS.length + index)),
  );
  // So early that there is much to come for the lane that takes over, which waits for a hundred seconds.
  if (adopts) planned.push({ at: minutes * 15_000, track: 'processes', action: { kind: 'lose temporal' } });
  return planned.sort((one, other) => one.at - other.at);
}

function planTrack(track: Track, { cards, pause }: Deck, minutes: number, random: Random): Planned[] {
  const usable = cards.filter(({ least = 0 }) => least <= minutes);
  const endMs = minutes * 60_000;
  const planned: Planned[] = [];
  let hand: Card[] = [];
  for (let at = random.integer(...pause); at < endMs; at += random.integer(...pause)) {
    if (hand.length === 0) hand = shuffled(usable, random);
    const action = hand.pop()?.deal(random);
    if (!action) break;
    const lasts = lastsMs(action);
    // What would not end in time gives way to what comes next.
    if (at + lasts > endMs) continue;
    planned.push({ at, track, action });
    at += lasts;
  }
  return planned;
}

/** How long an action takes, about. */
export function lastsMs(action: Action): number {
  switch (action.kind) {
    case 'kill':
      return action.downMs;
    case 'kill at':
      return 5_000 + action.afterMs + action.downMs;
    case 'crash temporal':
      return 2_000 + action.awayMs;
    case 'crash broker':
      return 4_000 + action.awayMs;
    case 'lose temporal':
      return 20_000;
    case 'freeze':
    case 'two workers':
    case 'wrong clock':
    case 'cut off':
      return 3_000 + action.forMs;
    case 'stop':
      return (action.wait ? 20_000 : 2_000) + action.forMs;
    case 'pause':
    case 'pause activity':
      return 2_000 + action.forMs;
    case 'cut':
    case 'refuse receives':
    case 'stall stream':
    case 'freeze broker':
    case 'cut broker':
      return action.forMs;
    default:
      return 1_000;
  }
}

/** What an action is called where it is counted: `kill at put`, `pause lane`. */
export function nameOf(action: Action): string {
  switch (action.kind) {
    case 'kill at':
      return `kill at ${action.point}`;
    case 'cut':
      return `cut ${action.service}`;
    case 'pause':
      return `pause ${action.part}`;
    default:
      return action.kind;
  }
}

/** `  12.3 s  kill at put {"afterMs":0,"downMs":700}` */
export function describe({ at, action }: Planned): string {
  const { kind: _, ...details } = action;
  const text = Object.keys(details).length === 0 ? '' : ` ${JSON.stringify(details)}`;
  return `${(at / 1_000).toFixed(1).padStart(6)} s  ${nameOf(action)}${text}`;
}

function downTime(random: Random): number {
  return random.pick([0, random.integer(0, 1_000), random.integer(1_000, 5_000)]);
}

function crash(random: Random, awayMs: number): Action {
  return { kind: 'crash temporal', awayMs, alsoKill: random.chance(0.5) };
}

function cutOff(random: Random, forMs: number): Action {
  return { kind: 'cut off', forMs, how: random.pick(['silent', 'reset']) };
}

function pause(random: Random, part: 'ingest' | 'lane' | 'both', when: 'now' | 'stale deletion'): Action {
  // Up to more than one and a half visibility timeouts.
  return { kind: 'pause', part, when, forMs: random.integer(1_000, 13_000) };
}

/** Fisher and Yates. */
function shuffled<Item>(items: readonly Item[], random: Random): Item[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(random.integer(0, rest.length - 1), 1));
}
