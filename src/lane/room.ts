import type { LaneLimits } from './limits';
import { quarantineMs } from './window';

/** How full a lane is, and what it knows of its queue. */
export interface Load {
  /** Rows of one batch. */
  batchRows: number;
  visibilityTimeoutMs: number;
  /** Rows that wait for their batch. */
  waiting: { rows: number; bytes: number };
  /** Rows of batches that are frozen or being uploaded. */
  frozen: { rows: number; bytes: number };
  receives: {
    /** Under way, or waited after. */
    underWay: number;
    /** Rows that these may bring. */
    rows: number;
  };
  window: {
    /** See {@link Window.isFull}. */
    isFull: boolean;
    /** That continue-as-new carries, the receipts aside. */
    bytes: number;
    /** Messages that are to be deleted, or being deleted. */
    undeleted: number;
  };
  /** The last receive met a backlog. */
  hasBacklog: boolean;
  /** The last deletion of several messages deleted none. */
  deletionsFail: boolean;
  /** No activity is under way. */
  isStill: boolean;
}

/** What one receive may bring. */
export interface ReceiveSize {
  /** Rows wanted, */
  rows: number;
  /** and in a backlog at most. */
  most: number;
  /** Bytes of rows at most. */
  bytes: number;
}

/**
 * How much a lane may receive now: what completes the waiting batch, and in a backlog whole batches, as far as there is room for rows and
 * for bytes. A lane that only receiving can empty receives a trickle.
 *
 * @returns undefined where it must not begin a receive
 */
export function receiveSize(load: Load, limits: LaneLimits): ReceiveSize | undefined {
  const isTrickle = mustTrickle(load);
  const atOnce = load.hasBacklog && !isTrickle ? limits.receivesAtOnce : 1;
  if (load.receives.underWay >= atOnce || load.window.undeleted >= limits.mostUndeleted) return undefined;
  const wanted = isTrickle ? trickle(limits) : rowsWanted(load, limits);
  if (!wanted) return undefined;
  const fitting = rowsThatFit(load, limits);
  // Where something is under way its end makes room for a whole batch: it is waited for.
  const least = load.isStill ? limits.trickleRows : wanted.rows;
  if (fitting >= least) return { ...whatFits(wanted, fitting, load), bytes: limits.receiveBytes };
  if (!isStarved(load, limits)) return undefined;
  return { ...whatFits(wanted, limits.trickleRows, load), bytes: limits.trickleBytes };
}

/** Whether only receiving can let messages leave, and must not bring many. */
export function mustTrickle({ window, deletionsFail }: Pick<Load, 'window' | 'deletionsFail'>): boolean {
  return window.isFull || deletionsFail;
}

/** Whether one more receive fits into what continue-as-new carries, with as many rows as a trickle has. */
export function hasRoomForBytes(load: Load, limits: LaneLimits): boolean {
  return rowsThatFit(load, limits) >= limits.trickleRows;
}

/** In a backlog whole batches, as far as they fit. */
function whatFits({ rows, most }: Pick<ReceiveSize, 'rows' | 'most'>, fitting: number, { batchRows }: Load) {
  if (most <= fitting) return { rows, most };
  if (rows > fitting) return { rows: fitting, most: fitting };
  return { rows, most: Math.max(rows, batchRows * Math.floor(fitting / batchRows)) };
}

/** How many rows one more receive may bring: beside the bytes of its rows it takes room for their receipts, and in the window. */
function rowsThatFit({ waiting, frozen, receives, window }: Load, limits: LaneLimits): number {
  const { stateBytes, receiveBytes, receiptBytes, entryBytes } = limits;
  const inHand = window.bytes + waiting.bytes + frozen.bytes + (waiting.rows + frozen.rows) * receiptBytes;
  const onTheWay = receives.underWay * receiveBytes + receives.rows * (receiptBytes + entryBytes);
  return Math.floor((stateBytes - inHand - onTheWay - receiveBytes) / (receiptBytes + entryBytes));
}

/** @returns milliseconds to wait after a receive of a trickle, which makes the state grow */
export function trickleMs(load: Load, limits: LaneLimits): number {
  return Math.max(limits.trickleMs, patienceMs(load, limits));
}

function patienceMs(load: Load, limits: LaneLimits): number {
  if (load.deletionsFail && load.window.isFull) return limits.longestReceiveWaitMs;
  if (!load.deletionsFail && hasRoomForBytes(load, limits)) return 0;
  // As many as come while one message is waited for must fit.
  const waitedMs = quarantineMs(load.visibilityTimeoutMs);
  return Math.ceil((waitedMs * limits.trickleRows) / limits.trickleMessages);
}

function trickle({ trickleRows }: LaneLimits): Pick<ReceiveSize, 'rows' | 'most'> {
  return { rows: trickleRows, most: trickleRows };
}

function rowsWanted(load: Load, limits: LaneLimits): Pick<ReceiveSize, 'rows' | 'most'> | undefined {
  const { batchRows, waiting, frozen, receives, hasBacklog } = load;
  const room = limits.batches * batchRows - waiting.rows - frozen.rows - receives.rows;
  const rows = hasBacklog ? batchRows : batchRows - (waiting.rows % batchRows);
  if (room < rows) return undefined;
  const wholeBatches = batchRows * Math.floor(Math.min(room, limits.backlogRows) / batchRows);
  return { rows, most: hasBacklog ? Math.max(rows, wholeBatches) : rows };
}

function isStarved(load: Load, { mostStateBytes }: LaneLimits): boolean {
  return onlyReceivingMakesRoom(load) && load.window.bytes < mostStateBytes;
}

/** All that takes room are messages that only receiving lets leave. */
export function onlyReceivingMakesRoom({ isStill, waiting, frozen, window }: Load): boolean {
  return isStill && waiting.rows + frozen.rows + window.undeleted === 0;
}
