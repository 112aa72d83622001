import { Context, heartbeat, metricMeter } from '@temporalio/activity';
import { metersOf } from '../metrics';
import { openSource } from '../sources/open-source';
import type { Source, SourceListener } from '../sources/source';
import { NO_COUNTS } from '../sources/stint-counts';
import { CursorKeeper } from './cursor-keeper';
import { withHeartbeat } from './heartbeat';
import { type Acknowledge, acknowledgedHeartbeat, Lease } from './lease';
import type { Ended } from './stint/ended';
import { Stint, type StintClients, type StintInput, type StintProgress } from './stint/stint';

export type { StintInput, StintProgress } from './stint/stint';

export interface StintResult extends StintProgress {
  ended: Ended['ended'];
  /** What failed or blocks, to what, and what to do. */
  problem?: string;
  /** Whether only a person may try again. */
  isFinal?: boolean;
}

/** Where Temporal names none. */
const HEARTBEAT_TIMEOUT_MS = 15_000;

/**
 * Reads a stream from a cursor on and sends each event to the queue, for one stint. Every event is in the queue,
 * under `rejected/`, or a canary before the cursor moves over it.
 *
 * Safe to run twice, also at the same time: it sends only under a {@link Lease}, and what is sent again is recognised by the lane's
 * window, which is three times what a stint receives beyond its last acknowledged heartbeat.
 *
 * It is tried once, and returns however it ends: what an attempt knows that fails, or waits to be tried again and is cancelled, never
 * reaches the workflow. Of one that dies it hears the last heartbeat, with the timeout.
 *
 * A stream that can't be resumed loses what it publishes while nobody listens. So only who asks for it ends its stint, and all
 * that was received is sent before it ends.
 *
 * @throws ApplicationFailure `Superseded` when Temporal has taken it for dead: nobody hears of it
 */
export async function consumeStream(
  clients: StintClients,
  input: StintInput,
  {
    open = openSource,
    acknowledge = acknowledgedHeartbeat,
  }: {
    open?: (source: StintInput['source'], listener: SourceListener) => Source;
    acknowledge?: Acknowledge;
  } = {},
): Promise<StintResult> {
  const { cursor, completeness, gaps } = input;
  const context = Context.current();
  const { heartbeatDetails, heartbeatTimeoutMs, startToCloseTimeoutMs } = context.info;
  const resumed: StintProgress = (heartbeatDetails as StintProgress | undefined) ?? {
    cursor,
    completeness,
    counts: NO_COUNTS,
    gaps,
  };
  const meters = metersOf(metricMeter, input.pipeline);
  /** What Temporal knows: older details, sent by other means, must not take the place of newer ones. */
  let told = resumed;
  /** What the heartbeat under way tells. */
  let asked = resumed;
  const lease = new Lease({
    acknowledge,
    details: () => {
      asked = stint.tell();
      return asked;
    },
    onAcknowledged: () => {
      told = asked;
      // The SDK sends the last that it was given, when it thinks fit.
      heartbeat(told);
      stint.acknowledged();
      keeper.told(told);
    },
    heartbeatTimeoutMs: heartbeatTimeoutMs ?? HEARTBEAT_TIMEOUT_MS,
    lastsMs: startToCloseTimeoutMs,
  });
  const stint = new Stint(clients, input, resumed, { meters, lease, context });
  const keeper = new CursorKeeper({
    ...clients,
    lease,
    pipeline: input.pipeline,
    source: input.source,
    everyEvents: Math.ceil(input.mostUnacknowledged / 2),
  });
  const work = async (cancelled: AbortSignal): Promise<StintResult> => {
    const ended = await stint.run(open(input.source, stint), AbortSignal.any([cancelled, lease.ended]));
    if (lease.isSuperseded) throw lease.ended.reason;
    if (lease.failure !== undefined) throw lease.failure;
    await keeper.end(stint.progress());
    return { ...stint.progress(), ...ended };
  };
  const kept = lease.keep();
  try {
    return await withHeartbeat({ everyMs: lease.beatMs, details: () => told }, work);
  } finally {
    keeper.close();
    lease.close();
    await kept;
    meters.close();
  }
}
