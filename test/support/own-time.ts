const TICK_MS = 10;

/**
 * How long something takes, in milliseconds as this process lives them. On a machine that others keep busy the clock on
 * the wall goes on while this process waits for its turn; its own timers do not.
 */
export async function ownTimeOf(work: () => Promise<unknown>): Promise<number> {
  let ticks = 0;
  const timer = setInterval(() => (ticks += 1), TICK_MS);
  await work().finally(() => clearInterval(timer));
  return ticks * TICK_MS;
}
