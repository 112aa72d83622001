import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import type { PipelineDefinition } from '../../src/pipeline/definition';
import { QUERIES, SEARCH_ATTRIBUTES, WORKFLOWS } from '../../src/pipeline/names';
import type { CarriedLane } from '../../src/lane/carried';
import type { batch } from '../../src/workflows/batch';
import type { Asked } from '../../src/workflows/newer-state';
import type { ingest } from '../../src/workflows/ingest';
import type { LaneStatus } from '../../src/lane/status';
import type { IngestStatus } from '../../src/workflows/status';
import { FakeLane } from './fake-lane';
import type { FakeStints } from './fake-stints';
import type { TestTemporal } from './temporal';

/** As `sluice start` gives them to a workflow where they are registered. */
export const searchAttributes = new TypedSearchAttributes([
  { key: SEARCH_ATTRIBUTES.pipeline, value: 'test' },
  { key: SEARCH_ATTRIBUTES.activity, value: 'running' },
]);

interface StartOptions {
  /** Default: none, as where they were refused. */
  typedSearchAttributes?: TypedSearchAttributes;
}

interface LaneOptions extends StartOptions {
  /** What another run would have carried over. Default: a fresh lane. */
  carried?: { state: CarriedLane; settledKeys: Uint8Array };
  /** Signals that it could not act on. Default: none. */
  asked?: Asked;
}

/** Starts a lane and a Worker for it alone. */
export async function startBatch(
  temporal: TestTemporal,
  lane: FakeLane,
  definition: PipelineDefinition,
  { carried, asked = [], ...options }: LaneOptions = {},
): Promise<WorkflowHandle> {
  const taskQueue = `batch-${randomUUID()}`;
  await temporal.runWorker('batch', { taskQueue, activities: lane.activities });
  return await temporal.client.workflow.start<typeof batch>(WORKFLOWS.batch, {
    ...options,
    workflowId: taskQueue,
    taskQueue,
    args: carried ? [definition, carried.state, carried.settledKeys, asked] : [definition],
  });
}

/** Ends what still runs. */
export async function terminate(handle: WorkflowHandle): Promise<void> {
  if ((await handle.describe()).status.name === 'RUNNING') await handle.terminate();
}

/** For the tests of one `describe`. */
export interface LanePerTest {
  /** Starts the test's lane, and a Worker for it alone. */
  startLane: (definition: PipelineDefinition, options?: LaneOptions) => Promise<WorkflowHandle>;
  /** Ends other workflows after the test, as the lane's. */
  endAfterTest: (...handles: WorkflowHandle[]) => void;
}

/**
 * A lane for each test of the `describe` that calls this. After the test its workflows and Workers are ended.
 *
 * @param use is given the lane before the test
 */
export function lanePerTest(temporal: TestTemporal, use: (lane: FakeLane) => void): LanePerTest {
  const handles: WorkflowHandle[] = [];
  let lane: FakeLane;

  beforeEach(() => {
    lane = new FakeLane();
    use(lane);
  });

  afterEach(async () => {
    lane.close();
    await Promise.all(handles.splice(0).map(terminate));
    await temporal.stopWorkers();
  });

  return {
    startLane: async (definition, options) => {
      const handle = await startBatch(temporal, lane, definition, options);
      handles.push(handle);
      return handle;
    },
    endAfterTest: (...others) => {
      handles.push(...others);
    },
  };
}

export function batchStatus(handle: WorkflowHandle): Promise<LaneStatus> {
  return handle.query<LaneStatus>(QUERIES.status);
}

/**
 * Starts a source's supervisor and a Worker for it alone, with a workflow of the lane's id that no Worker runs: what it is
 * told stands in its history.
 */
export async function startIngest(
  temporal: TestTemporal,
  stints: FakeStints,
  definition: PipelineDefinition,
  options: StartOptions = {},
): Promise<{ handle: WorkflowHandle; lane: WorkflowHandle }> {
  const taskQueue = `ingest-${randomUUID()}`;
  const { workflow } = temporal.client;
  await temporal.runWorker('ingest', { taskQueue, activities: stints.activities });
  const lane = await workflow.start(WORKFLOWS.batch, {
    workflowId: `lane-${taskQueue}`,
    taskQueue: 'nobody',
  });
  const handle = await workflow.start<typeof ingest>(WORKFLOWS.ingest, {
    ...options,
    workflowId: taskQueue,
    taskQueue,
    args: [{ definition, lane: lane.workflowId }],
  });
  return { handle, lane };
}

/** Whether the workflow has taken all that came: a query may know what an update that follows it at once does not. */
export async function isAtRest(handle: WorkflowHandle): Promise<boolean> {
  const { raw } = await handle.describe();
  return !raw.pendingWorkflowTask;
}

export function ingestStatus(handle: WorkflowHandle): Promise<IngestStatus> {
  return handle.query<IngestStatus>(QUERIES.status);
}
