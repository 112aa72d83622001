/**
 * Preloaded into every thread of a worker process: collects garbage every few seconds and adds what is left of the heap to the
 * file that BENCH_HEAP_FILE names. Workflows run in a thread, and a heap, of their own.
 */
const { appendFileSync } = require('node:fs');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');
const { isMainThread } = require('node:worker_threads');

const EVERY_MS = 3_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');

setInterval(() => {
  collectGarbage();
  const thread = isMainThread ? 'main' : 'workflows';
  const heapMb = process.memoryUsage().heapUsed / 1024 ** 2;
  appendFileSync(process.env.BENCH_HEAP_FILE, `${JSON.stringify({ at: Date.now(), thread, heapMb })}\n`);
}, EVERY_MS).unref();
