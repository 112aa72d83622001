/** Time in which a source that can't be resumed was not listened to: what it published meanwhile is lost. Pure. */

/** Epoch milliseconds: everything that came before `from` is safe, and from `to` on the source was listened to again. */
export interface Gap {
  from: number;
  to: number;
}

/** The book of them. JSON: it travels in heartbeats and in workflow state. */
export interface Gaps {
  count: number;
  /** Events that were received and could not be sent before their stint had to end. They came within a gap. */
  dropped: number;
  /** The newest, {@link MOST_RECENT} at most. */
  recent: readonly Gap[];
  /** Those that no object in the lake tells of yet. */
  unkept: readonly Gap[];
  /** Disconnections before the first event, which tells whether they are gaps. */
  unjudged: readonly Gap[];
  /** Epoch milliseconds: everything that came before is safe. Undefined before the first connection. */
  safeUntil?: number;
}

export const NO_GAPS: Gaps = { count: 0, dropped: 0, recent: [], unkept: [], unjudged: [] };

const MOST_RECENT = 10;

/** Beyond it two neighbours become one. */
const MOST_UNKEPT = 100;

/**
 * A connection stands.
 *
 * @param canResume whether it goes on where the last one was; undefined where nothing was read that says so
 * @param now epoch milliseconds
 */
export function connected(gaps: Gaps, canResume: boolean | undefined, now: number): Gaps {
  const { safeUntil } = gaps;
  const after = { ...gaps, safeUntil: now };
  if (safeUntil === undefined || canResume === true) return after;
  const gap = { from: Math.min(safeUntil, now), to: now };
  if (canResume === undefined) return { ...after, unjudged: bounded([...gaps.unjudged, gap], MOST_UNKEPT) };
  return withGap(after, gap);
}

/** The first event says what earlier disconnections were. */
export function judged(gaps: Gaps, canResume: boolean): Gaps {
  if (gaps.unjudged.length === 0) return gaps;
  const { unjudged } = gaps;
  const after = { ...gaps, unjudged: [] };
  return canResume ? after : unjudged.reduce(withGap, after);
}

/** An object in the lake tells of this one. */
export function keptGap(gaps: Gaps, gap: Gap): Gaps {
  const unkept = gaps.unkept.filter(({ from, to }) => from !== gap.from || to !== gap.to);
  return { ...gaps, unkept };
}

/** For people: `3 possible gaps, the last from … to …; 2 events dropped`. */
export function describeGaps({ count, dropped, recent }: Pick<Gaps, 'count' | 'dropped' | 'recent'>): string {
  const last = recent.at(-1);
  const parts = [
    count === 0 || !last
      ? 'no gaps known'
      : `${count} possible gaps, the last one from ${new Date(last.from).toISOString()} to ${new Date(last.to).toISOString()}`,
  ];
  if (dropped > 0) parts.push(`${dropped} events received and not sent`);
  return parts.join('; ');
}

function withGap(gaps: Gaps, gap: Gap): Gaps {
  return {
    ...gaps,
    count: gaps.count + 1,
    recent: [...gaps.recent, gap].slice(-MOST_RECENT),
    unkept: bounded([...gaps.unkept, gap], MOST_UNKEPT),
  };
}

function bounded(gaps: readonly Gap[], most: number): readonly Gap[] {
  const [first, second, ...others] = gaps;
  if (gaps.length <= most || !first || !second) return gaps;
  return [{ from: first.from, to: second.to }, ...others];
}
