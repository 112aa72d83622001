import { CancellationScope } from '@temporalio/workflow';

/**
 * Runs a workflow that must not end by itself, since what it remembers is what keeps the guarantees. Cancelling it
 * (`temporal workflow cancel`) means to stop it: it ends its work and idles.
 */
export async function neverEnding(stop: () => void, run: () => Promise<void>): Promise<void> {
  void stopWhenCancelled(stop);
  await CancellationScope.nonCancellable(run);
}

async function stopWhenCancelled(stop: () => void): Promise<void> {
  try {
    await CancellationScope.current().cancelRequested;
  } catch {
    stop();
  }
}
