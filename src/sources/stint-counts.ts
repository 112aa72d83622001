import type { RejectReason } from '../lake/rejected';
import type { ReconnectReason } from './source';

/** What became of the events of one stint, or of several. Counted over all attempts, as far as their heartbeats arrived. */
export interface StintCounts {
  /** Events that the queue has confirmed. */
  sent: number;
  /** Events that the source sent again and that were known to be safe already. */
  repeats: number;
  canaries: number;
  rejected: Counts<RejectReason>;
  reconnects: Counts<ReconnectReason>;
}

type Counts<Name extends string> = Readonly<Partial<Record<Name, number>>>;

export const NO_COUNTS: StintCounts = { sent: 0, repeats: 0, canaries: 0, rejected: {}, reconnects: {} };

export function addCounts(one: StintCounts, other: StintCounts): StintCounts {
  return {
    sent: one.sent + other.sent,
    repeats: one.repeats + other.repeats,
    canaries: one.canaries + other.canaries,
    rejected: added(one.rejected, other.rejected),
    reconnects: added(one.reconnects, other.reconnects),
  };
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
