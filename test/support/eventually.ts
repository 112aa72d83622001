import { setTimeout as delay } from 'node:timers/promises';

/**
 * Resolves as soon as `condition` holds; rejects with `what` if it does not within `timeoutMs`, which is long enough for a machine that
 * has much else to do, or with the reason of `signal`.
 */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 120_000,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Not within ${timeoutMs} ms: ${what}`);
    await delay(50, undefined, { signal });
  }
}
