/** How far the clock of this machine may drift from the server's, of the time that passes. */
const DRIFT = 1e-4;

/** A `Date` header has whole seconds: the server wrote it within this many milliseconds of it. */
const DATE_MS = 1_000;

/** What this machine's own clock may differ by before people are told, in milliseconds. */
const TOLERATED_MS = 60_000;

/** Milliseconds by which the server's clock is ahead of `performance.now()`: at least, and at most. */
interface Bounds {
  least: number;
  most: number;
  /** By `performance.now()`: when they were found. */
  at: number;
}

/** The clocks of this process. */
interface OwnClocks {
  /** Milliseconds of a clock that nobody sets. */
  steady: () => number;
  /** Epoch milliseconds. */
  wall: () => number;
}

const OWN: OwnClocks = { steady: () => performance.now(), wall: () => Date.now() };

/**
 * The clock of a server, by the `Date` of its answers: what decides is told by one clock, and not by that of each worker. Half a second
 * off, as a rule.
 *
 * An answer with `Date: D` was written between the moment at which its request was sent and the one at which it came. So the server's
 * clock stood between D and D + 1 s at some moment between these two, and each answer bounds it: a quick one tightly, a long poll hardly. What
 * several answers say together is narrower. Where they contradict each other (somebody set a clock, or this machine slept), the newest holds.
 */
export class ServerClock {
  readonly #own: OwnClocks;
  #bounds: Bounds | undefined;
  #undated = 0;
  #hasTold = false;

  constructor(own: OwnClocks = OWN) {
    this.#own = own;
  }

  /** The moment at which a request is sent, for {@link answered}. */
  moment(): number {
    return this.#own.steady();
  }

  /** @param date the `Date` of its answer, where it had one */
  answered(date: string | undefined, sent: number): void {
    const written = Date.parse(date ?? '');
    if (Number.isNaN(written)) {
      this.#undated += 1;
      return;
    }
    const at = this.#own.steady();
    const told = { least: written - at, most: written + DATE_MS - sent, at };
    this.#bounds = together(this.#bounds, told) ?? told;
  }

  /**
   * Epoch milliseconds by the server's clock; by this machine's own as long as no answer had a `Date`. It may go back by a part of a second from
   * one answer to the next.
   */
  now(): number {
    if (!this.#bounds) return this.#own.wall();
    const { least, most } = this.#bounds;
    // An answer is written when it is sent, as a rule: where the bounds are wide, the time lies near the lower one.
    return Math.round(this.#own.steady() + least + Math.min(DATE_MS / 2, (most - least) / 2));
  }

  /** Milliseconds by which this machine's clock is ahead of the server's; undefined where no answer had a `Date`. */
  get aheadMs(): number | undefined {
    return this.#bounds && this.#own.wall() - this.now();
  }

  /** @returns what is wrong with the clocks, for people; once */
  takeProblem(): string | undefined {
    if (this.#hasTold) return undefined;
    const problem = this.#problem();
    this.#hasTold = problem !== undefined;
    return problem;
  }

  #problem(): string | undefined {
    const { aheadMs } = this;
    if (aheadMs !== undefined) return Math.abs(aheadMs) > TOLERATED_MS ? clockIsOff(aheadMs) : undefined;
    return this.#undated === 0
      ? undefined
      : 'Answers of SQS have no Date: the lane is told the time of this machine’s own clock';
  }
}

/** @returns what both say; undefined where they contradict each other */
function together(old: Bounds | undefined, told: Bounds): Bounds | undefined {
  if (!old) return undefined;
  const drift = (told.at - old.at) * DRIFT;
  const least = Math.max(old.least - drift, told.least);
  const most = Math.min(old.most + drift, told.most);
  return least <= most ? { least, most, at: told.at } : undefined;
}

/** `The clock of this machine is 10 h ahead of AWS's`; for people. */
export function clockIsOff(aheadMs: number): string {
  const side = aheadMs < 0 ? 'behind' : 'ahead of';
  return `The clock of this machine is ${durationOf(Math.abs(aheadMs))} ${side} AWS’s: set it (NTP)`;
}

const UNITS = [
  ['days', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

function durationOf(ms: number): string {
  const [unit, length] = UNITS.find(([, least]) => ms >= 2 * least) ?? ['s', 1_000];
  return `${Math.round(ms / length)} ${unit}`;
}

/** A part of an AWS client: what its requests pass through. */
interface Client {
  middlewareStack: {
    add: (
      middleware: <Args extends object, Result extends { response: unknown }>(
        next: (args: Args) => Promise<Result>,
      ) => (args: Args) => Promise<Result>,
      options: { step: 'deserialize'; priority: 'low'; name: string },
    ) => void;
  };
}

const clocks = new WeakMap<object, ServerClock>();

/** The clock of the service that a client talks to: one for each client, which hears every answer, refusals too. */
export function serverClockOf(client: Client): ServerClock {
  const known = clocks.get(client);
  if (known) return known;
  const clock = new ServerClock();
  clocks.set(client, clock);
  client.middlewareStack.add(
    (next) => async (args) => {
      const sent = clock.moment();
      const result = await next(args);
      clock.answered(dateOf(result.response), sent);
      return result;
    },
    // Next to the network: behind what makes an error of a refusal.
    { step: 'deserialize', priority: 'low', name: 'sluiceServerClock' },
  );
  return clock;
}

/** The header `Date` of an HTTP response. */
export function dateOf(response: unknown): string | undefined {
  const headers = memberOf(response, 'headers');
  const date = memberOf(headers, 'date') ?? memberOf(headers, 'Date');
  return typeof date === 'string' ? date : undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && name in value
    ? (Reflect.get(value, name) as unknown)
    : undefined;
}
