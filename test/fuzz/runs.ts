/** SLUICE_FUZZ_RUNS: how many times as many inputs as by default. */
const TIMES = Number(process.env.SLUICE_FUZZ_RUNS || 1);

/** Milliseconds that a test of this folder may take. */
export const FUZZ_TIMEOUT_MS = 300_000 * Math.max(1, TIMES);

/** How many inputs a property tries, for fast-check. */
export function runs(count: number): { numRuns: number } {
  return { numRuns: Math.ceil(count * TIMES) };
}
