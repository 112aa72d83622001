import type { RejectReason } from '../event/event';
import type { ReconnectReason } from './source';

/** What became of the events of one stint, or of several. Counted over all attempts, as far as their heartbeats arrived. */
export interface StintCounts {
  /** Events that the queue has confirmed. */
  sent: number;
  /** Events that the source sent again and that were known to be safe already. */
  repeats: number;
  /** Of them, those that came from behind the id which the source was asked to resume from. */
  behind: number;
  /** Id of the first of those. */
  firstBehind?: string;
  /** What a stream sent as `event: error`, which is no event. */
  errors: number;
  canaries: number;
  rejected: Counts<RejectReason>;
  reconnects: Counts<ReconnectReason>;
}

type Counts<Name extends string> = Readonly<Partial<Record<Name, number>>>;

export const NO_COUNTS: StintCounts = {
  sent: 0,
  repeats: 0,
  behind: 0,
  errors: 0,
  canaries: 0,
  rejected: {},
  reconnects: {},
};

export function addCounts(one: StintCounts, other: StintCounts): StintCounts {
  const firstBehind = one.firstBehind ?? other.firstBehind;
  return {
    sent: one.sent + other.sent,
    repeats: one.repeats + other.repeats,
    behind: one.behind + other.behind,
    ...(firstBehind === undefined ? {} : { firstBehind }),
    errors: one.errors + other.errors,
    canaries: one.canaries + other.canaries,
    rejected: added(one.rejected, other.rejected),
    reconnects: added(one.reconnects, other.reconnects),
  };
}

/**
 * For people: `, 3 of them from behind the resumed id (the first: 17)`; empty where there is none.
 *
 * @param shown how an id is made harmless where it is shown
 */
export function describeBehind(
  { behind, firstBehind = '' }: Pick<StintCounts, 'behind' | 'firstBehind'>,
  shown: (id: string) => string,
): string {
  if (behind === 0) return '';
  return `, ${behind} of them from behind the resumed id (the first: ${shown(firstBehind.slice(0, 100))})`;
}

/** For people: `3 not-json, 1 no-key`, or `none`. */
export function describeCounts(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}

/** @returns the counts with one more of `name` */
export function plusOne<Name extends string>(counts: Counts<Name>, name: Name): Counts<Name> {
  const count: number = counts[name] ?? 0;
  return { ...counts, [name]: count + 1 };
}

function added<Name extends string>(one: Counts<Name>, other: Counts<Name>): Counts<Name> {
  const names = [...Object.keys(one), ...Object.keys(other)] as Name[];
  const entries = names.map((name): [Name, number] => [name, (one[name] ?? 0) + (other[name] ?? 0)]);
  return Object.fromEntries(entries) as Counts<Name>;
}
