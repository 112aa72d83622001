import { createServer, type Server, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from '@temporalio/worker';
import { describeError } from '../clients/aws-errors';
import { WORKER_SETTINGS } from '../settings/worker';
import { listenAt } from './listen';

/** What `GET /health` answers, with 200 or, where there are problems, 503. */
export interface Health {
  healthy: boolean;
  /** In words; empty when healthy. */
  problems: string[];
}

/** @returns what is wrong, in words */
export type Look = () => Promise<string[]>;

/** The part of a Worker that its health can be seen by. */
export type WatchedWorker = Pick<Worker, 'getStatus'> & {
  readonly options: Pick<Worker['options'], 'identity' | 'namespace' | 'taskQueue'>;
};

/** The part of a connection that asks Temporal who polls. */
export interface PollerDirectory {
  readonly workflowService: {
    describeTaskQueue(request: {
      namespace: string;
      taskQueue: { name: string };
      taskQueueType: number;
    }): Promise<{ pollers: Poller[] }>;
  };
}

interface Poller {
  identity?: string | null;
  /** When it last began a poll, by Temporal's clock. */
  lastAccessTime?: { seconds?: unknown } | null;
}

/** TASK_QUEUE_TYPE_WORKFLOW and TASK_QUEUE_TYPE_ACTIVITY of Temporal's API. */
const TASK_QUEUE_TYPES = [1, 2];

/** Milliseconds that Temporal has for its answer. */
const ANSWER_MS = 4_000;

/**
 * For so long, in milliseconds, Temporal lists who polled. It tells of one of a task queue's four partitions, and each poll, of a
 * minute at most, goes to any: among several workers one may not be seen for some minutes, and a new one not at first.
 */
const OLDEST_POLL_MS = 300_000;

/** At which path the health is told. */
export const HEALTH_PATH = '/health';

/**
 * Looks whether Workers poll. A Worker's own state stays at RUNNING and POLLING while Temporal is away, since the Rust core
 * tries again by itself, so Temporal is asked, over the Worker's own connection, whom it saw polling for workflow tasks or
 * activities.
 *
 * @param runningMs for how long the process runs: a young one need not have been seen yet
 * @returns what is wrong, in words
 */
export async function lookAtWorkers(
  workers: readonly WatchedWorker[],
  temporal: PollerDirectory,
  runningMs = process.uptime() * 1_000,
): Promise<string[]> {
  const problems = await Promise.all(workers.map((worker) => problemOf(worker, temporal, runningMs)));
  return problems.filter((problem) => problem !== undefined);
}

async function problemOf(
  worker: WatchedWorker,
  temporal: PollerDirectory,
  runningMs: number,
): Promise<string | undefined> {
  const { taskQueue, identity } = worker.options;
  const { runState, workflowPollerState, activityPollerState } = worker.getStatus();
  if (runState !== 'RUNNING') return `the Worker of ${taskQueue} is ${runState}`;
  if (workflowPollerState !== 'POLLING' || activityPollerState !== 'POLLING') {
    return `the pollers of ${taskQueue} are ${workflowPollerState} and ${activityPollerState}`;
  }
  const lastPoll = await lastPollOf(worker, temporal).catch(
    (error: unknown) => new Error(describeError(error)),
  );
  if (lastPoll instanceof Error) return `Temporal does not say who polls ${taskQueue}: ${lastPoll.message}`;
  if (runningMs < OLDEST_POLL_MS || Date.now() - lastPoll <= OLDEST_POLL_MS) return undefined;
  return `Temporal has seen no poll of ${taskQueue} by ${identity} in the last ${OLDEST_POLL_MS / 60_000} minutes`;
}

/** @returns epoch milliseconds by Temporal's clock; -Infinity: not in the last minutes */
async function lastPollOf({ options }: WatchedWorker, temporal: PollerDirectory): Promise<number> {
  const { namespace, taskQueue, identity } = options;
  const questions = TASK_QUEUE_TYPES.map((taskQueueType) =>
    temporal.workflowService.describeTaskQueue({ namespace, taskQueue: { name: taskQueue }, taskQueueType }),
  );
  const answers = await Promise.race([Promise.all(questions), noAnswer()]);
  const own = answers.flatMap(({ pollers }) => pollers).filter((poller) => poller.identity === identity);
  return Math.max(...own.map(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1_000));
}

/** A NativeConnection (SDK 1.24.0) heeds no abort signal, and a deadline only for each of its tries. */
async function noAnswer(): Promise<never> {
  await delay(ANSWER_MS, undefined, { ref: false });
  throw new Error(`no answer within ${ANSWER_MS / 1_000} s`);
}

/**
 * Serves a worker's health over HTTP until closed.
 *
 * @param look is called for each request, and once for those that come together
 * @throws SettingsError when nothing can listen at the address
 */
export async function serveHealth(address: string, look: Look): Promise<Server> {
  let looking: Promise<Health> | undefined;
  const health = () => {
    looking ??= healthOf(look).finally(() => (looking = undefined));
    return looking;
  };
  const server = createServer((request, response) => {
    if (request.url !== HEALTH_PATH) {
      response.writeHead(404).end();
      return;
    }
    void answer(response, health());
  });
  await listenAt(server, address, WORKER_SETTINGS.healthAddress.name);
  return server;
}

async function answer(response: ServerResponse, health: Promise<Health>): Promise<void> {
  const found = await health;
  response.writeHead(found.healthy ? 200 : 503, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
  });
  response.end(`${JSON.stringify(found)}\n`);
}

async function healthOf(look: Look): Promise<Health> {
  const problems = await look().catch((error: unknown) => [describeError(error)]);
  return { healthy: problems.length === 0, problems };
}
