const Real = Date;

/**
 * Lets this process take it for later than it is while something is done, as a machine does whose clock is off. Other processes, timers and
 * `performance.now()` are not touched.
 *
 * @param byMs milliseconds; negative: earlier
 */
export async function withClockAhead<T>(byMs: number, work: () => Promise<T>): Promise<T> {
  const now = () => Real.now() + byMs;
  globalThis.Date = new Proxy(Real, {
    construct: (target, given: []) => (given.length === 0 ? new target(now()) : new target(...given)),
    get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
  });
  try {
    return await work();
  } finally {
    globalThis.Date = Real;
  }
}
