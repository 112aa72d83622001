import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import type { BatchActivities, IngestActivities } from '../activities';
import type { WorkerSettings } from '../settings/worker';
import { TASK_QUEUES } from '../pipeline/names';
import { dataConverter } from '../clients/payload-codec';
import { workflowCode } from './bundle';
import { ACTIVITY_SLOTS } from './slots';

/** What a Worker is for: each has a task queue of its own. */
export type Role = keyof typeof TASK_QUEUES;

export interface WorkerEnvironment {
  connection: NativeConnection;
  namespace: string;
  /** Those of its role. */
  activities: IngestActivities | BatchActivities;
  /** With it Temporal hands this Worker nothing before its build is made the current one. */
  deployment?: WorkerSettings['deployment'];
  /** Overrides for tests. */
  options?: Partial<WorkerOptions>;
}

/** After a worker's death its workflows wait so long for it before another takes them. */
const STICKY_TIMEOUT = '3s';

/**
 * The Worker of one role. The two differ in how they shut down: a stint can end at any time and should at once, while a
 * poll under way must not be cut off, since it would hide messages until their visibility timeout ends.
 */
export async function createWorker(role: Role, environment: WorkerEnvironment): Promise<Worker> {
  const { connection, namespace, activities, deployment, options } = environment;
  const ofRole: Record<Role, Partial<WorkerOptions>> = {
    ingest: {
      shutdownGraceTime: 0,
      // Replayed from the start each time, which is cheap here: no task ever waits for a worker that died and kept a copy.
      maxCachedWorkflows: 0,
      // A stint of a source that can't be resumed sends what it has received. Docker kills after ten seconds.
      shutdownForceTime: '8s',
    },
    batch: {
      shutdownGraceTime: '30s',
      shutdownForceTime: '40s',
      maxHeartbeatThrottleInterval: '4s',
    },
  };
  return await Worker.create({
    connection,
    namespace,
    taskQueue: TASK_QUEUES[role],
    dataConverter,
    activities,
    maxConcurrentActivityTaskExecutions: ACTIVITY_SLOTS,
    ...workflowCode(),
    stickyQueueScheduleToStartTimeout: STICKY_TIMEOUT,
    ...(deployment ? versioned(deployment) : {}),
    ...ofRole[role],
    ...options,
  });
}

function versioned({
  name,
  buildId,
}: NonNullable<WorkerSettings['deployment']>): Pick<WorkerOptions, 'workerDeploymentOptions'> {
  return {
    workerDeploymentOptions: {
      useWorkerVersioning: true,
      version: { deploymentName: name, buildId },
      // Workflows never end: pinned, they would stay with the build of their first day, and its workers could never go.
      defaultVersioningBehavior: 'AUTO_UPGRADE',
    },
  };
}
