// Loaded by `node --require`: the process's clock is ahead by CLOCK_AHEAD_MS milliseconds. Workflows have Temporal's clock all the same.
const { isMainThread } = require('node:worker_threads');

const aheadMs = Number(process.env.CLOCK_AHEAD_MS);
if (isMainThread) {
  const Right = Date;
  globalThis.Date = class extends Right {
    constructor(...given) {
      if (given.length === 0) super(Right.now() + aheadMs);
      else super(...given);
    }
    static now() {
      return Right.now() + aheadMs;
    }
  };
}
