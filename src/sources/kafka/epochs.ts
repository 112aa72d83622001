import type { EpochStart, OffsetPosition } from '../cursor';

/**
 * Whether a log still holds what was read of it. An unclean leader election takes the end of a log away, and the new leader writes other
 * records at its offsets. A leader says where it ends each epoch (KIP-101, KIP-320), and what was read says the same.
 */

/** What a position remembers of its log, beside the offset. */
export type LogMemory = Pick<OffsetPosition, 'epochs' | 'cuts'>;

/** A leader's answer: the largest epoch up to the one asked for of which it has records, and the offset behind the last of them. */
export interface EpochEnd {
  /** -1 where it knows of none. */
  epoch: number;
  offset: number;
}

/**
 * What follows from a leader's answer. `whole`: it has all that was read. `cut`: from `at` on it has other records, or none; where not
 * `isExact`, maybe from further back. `ask`: it must say where it ends this epoch. `unknown`: it has no such log.
 */
export type Judgement =
  | { is: 'whole' }
  | { is: 'cut'; at: number; isExact: boolean }
  | { is: 'ask'; epoch: number }
  | { is: 'unknown' };

/**
 * Of so many epochs it is remembered where they begin. Where a leader lacks all of them, which takes as many leaders in a row that nobody
 * followed, the place of the cut is not known exactly.
 */
const EPOCHS_KEPT = 3;

/** @returns the memory once what is at `offset`, and was written in `epoch`, is read */
export function remembered(memory: LogMemory, epoch: number, offset: number): LogMemory {
  const { epochs = [] } = memory;
  const newest = newestEpoch(memory);
  if (epoch < 0 || (newest !== undefined && epoch <= newest)) return memory;
  return { ...memory, epochs: [...epochs, [epoch, offset] as const].slice(-EPOCHS_KEPT) };
}

/** @returns undefined where nothing was read of which an epoch is known */
export function newestEpoch({ epochs = [] }: LogMemory): number | undefined {
  return epochs.at(-1)?.[0];
}

/**
 * @param next offset behind what was read
 * @param asked the epoch for which the leader was asked: first the newest one, then those that this answers with
 */
export function judged(
  { epochs = [], next }: LogMemory & { next: number },
  asked: number,
  answer: EpochEnd,
): Judgement {
  if (answer.epoch < 0 || answer.offset < 0) return { is: 'unknown' };
  const had = Math.min(answer.epoch, asked);
  const index = epochs.findLastIndex(([epoch]) => epoch <= had);
  const known: EpochStart | undefined = epochs[index];
  const [, beginning = next] = epochs[0] ?? [];
  if (!known) {
    const at = Math.min(answer.offset, beginning);
    return { is: 'cut', at, isExact: at === 0 };
  }
  if (known[0] < had) return { is: 'ask', epoch: known[0] };
  const [, end = next] = epochs[index + 1] ?? [];
  // Of an epoch that both have, the shorter part is what they share: one leader wrote it.
  if (known[0] === asked && end === next && answer.offset >= next) return { is: 'whole' };
  return { is: 'cut', at: Math.min(answer.offset, end), isExact: true };
}

/** @returns what is remembered of the log up to the cut */
export function cutOff({ epochs = [], cuts = 0 }: LogMemory, at: number): LogMemory {
  const left = epochs.filter(([, from]) => from < at);
  return { ...(left.length === 0 ? {} : { epochs: left }), cuts: cuts + 1 };
}
