import assert from 'node:assert/strict';
import type { Context } from '../../src/cli/context';
import { CommandError } from '../../src/cli/errors';
import { flush, pause, resume } from '../../src/cli/pause';
import { remove } from '../../src/cli/remove';
import { start } from '../../src/cli/start';
import { stop } from '../../src/cli/stop';
import { describeRunning, pipelineHandles, type PipelineHandles, query } from '../../src/cli/workflows';
import type { LaneStatus } from '../../src/lane/status';
import { LakeStore } from '../../src/lake/store';
import { OWNER_TAG, QUERIES, TASK_QUEUES } from '../../src/pipeline/names';
import { Queue } from '../../src/queue/queue';
import type { IngestStatus } from '../../src/workflows/status';
import { definitionOf } from '../support/definition';
import { eventually } from '../support/eventually';
import { FakeLane, hopeless, keysOf } from '../support/fake-lane';
import { FakeStints } from '../support/fake-stints';
import { terminate } from '../support/pipelines';
import { refusal, s3Client } from '../support/s3-client';
import { Refused, sqsClient } from '../support/sqs-client';
import { testTemporal } from '../support/temporal';

const URL = 'http://sqs/123456789012/queue';
const ARN = 'arn:aws:sqs:us-east-1:123456789012:queue';

/** What SQS says of a queue, which a lane's activities do not ask. */
class FakeSqs {
  isThere = true;
  tag: string | undefined;
  messages = 0;
  readonly client = sqsClient((operation) => this.#answer(operation));

  #answer(operation: string): object {
    if (!this.isThere) throw new Refused('QueueDoesNotExist');
    switch (operation) {
      case 'GetQueueUrl':
        return { QueueUrl: URL };
      case 'GetQueueAttributes':
        return {
          Attributes: { QueueArn: ARN, ApproximateNumberOfMessages: String(this.messages), ...EMPTY },
        };
      case 'ListQueueTags':
        return this.tag === undefined ? {} : { Tags: { [OWNER_TAG]: this.tag } };
      case 'UntagQueue':
        this.tag = undefined;
        return {};
      default:
        throw new Refused('InvalidAction');
    }
  }
}

const EMPTY = { ApproximateNumberOfMessagesNotVisible: '0', ApproximateNumberOfMessagesDelayed: '0' };

/** Between two workers it asks again. */
const statusOf = <T>(handle: PipelineHandles['batch']) => query<T>(handle, QUERIES.status);

/** Rows wait for their batch for longer than any test. */
const definition = definitionOf({ batch: { rows: 100, flushAfterSeconds: 600 } });

describe('The command line on a pipeline that ends', () => {
  const temporal = testTemporal();
  let sqs: FakeSqs;
  let lane: FakeLane;
  let context: Context;
  let handles: PipelineHandles;
  let said: string[];

  beforeEach(async () => {
    sqs = new FakeSqs();
    lane = new FakeLane();
    said = [];
    await temporal.runWorker('batch', { taskQueue: TASK_QUEUES.batch, activities: lane.activities });
    await temporal.runWorker('ingest', {
      taskQueue: TASK_QUEUES.ingest,
      activities: new FakeStints().activities,
    });
  });

  afterEach(async () => {
    lane.close();
    await Promise.all([terminate(handles.ingest), terminate(handles.batch)]);
    await temporal.stopWorkers();
  });

  /** As another process would ask: it knows nothing of the queue yet. */
  function asking(): Context {
    const store = new LakeStore(
      s3Client(() => refusal(403, 'AccessDenied')),
      definition.lake,
    );
    const queue = new Queue(sqs.client, definition.queue.name);
    return {
      pipeline: definition,
      temporal: temporal.client,
      queue,
      store,
      say: (line) => void said.push(line),
      write: (line) => void said.push(line),
    };
  }

  async function begin(): Promise<void> {
    context = asking();
    await start(context);
    handles = await pipelineHandles(context);
    sqs.tag = await nameOfLane();
  }

  async function nameOfLane(): Promise<string> {
    const { raw } = await handles.batch.describe();
    return `default/${raw.workflowExecutionInfo?.firstRunId ?? ''}`;
  }

  const isRefused = (outcome: Promise<unknown>, why: RegExp) =>
    assert.rejects(outcome, (error) => {
      assert.ok(error instanceof CommandError);
      assert.match(error.message, why);
      return true;
    });

  const become = (activity: string) =>
    eventually(activity, async () => (await statusOf<LaneStatus>(handles.batch)).activity === activity);

  /** Ingest has stopped, and its lane can't. */
  async function stopAndPark(of: Context): Promise<void> {
    await stop(of);
    await eventually(
      'ingest has stopped',
      async () => (await statusOf<IngestStatus>(handles.ingest)).activity === 'stopped',
    );
    await become('parked');
  }

  async function areRunning(): Promise<boolean[]> {
    const descriptions = await Promise.all([handles.ingest, handles.batch].map(describeRunning));
    return descriptions.map((description) => description !== undefined);
  }

  const refuseClaims = () => {
    lane.beforeClaim = () => {
      throw hopeless('the queue belongs to another lane');
    };
  };

  it('stops one whose lane could never claim its queue, says so, and removes it where the queue is empty', async () => {
    refuseClaims();
    await begin();
    sqs.tag = 'default/another';
    await isRefused(stop(context, { wait: true }), /has read nothing of the queue.*belongs to another lane/);
    await remove(asking(), { yes: true });
    assert.deepEqual(await areRunning(), [false, false]);
    assert.equal(sqs.tag, 'default/another');
    assert.match(said.join('\n'), /keeps its tag sluice:owner, which names default\/another/);
  });

  it('ends nothing where that queue has messages, but for who gives them up', async () => {
    refuseClaims();
    await begin();
    sqs.messages = 3;
    await isRefused(stop(context, { wait: true }), /has read nothing of the queue/);
    await isRefused(remove(asking(), { yes: true }), /--abandon` gives that up: about 3 messages/);
    assert.deepEqual(await areRunning(), [true, true]);
    await remove(asking(), { yes: true, abandon: true });
    assert.deepEqual(await areRunning(), [false, false]);
    assert.match(said.join('\n'), /given up: 0 rows .* the queue has about 3 messages/);
  });

  it('removes one whose queue is gone, and what its lane held is given up where that is said', async () => {
    lane.send(keysOf(3));
    await begin();
    await eventually('rows wait', async () => (await statusOf<LaneStatus>(handles.batch)).rowsWaiting === 3);
    sqs.isThere = false;
    refuseClaims();
    lane.beforeReceive = () => {
      throw hopeless('there is no such queue');
    };
    await become('parked');
    await stopAndPark(asking());
    await isRefused(
      remove(asking(), { yes: true }),
      /it is parked; stop it first.*`sluice remove --abandon`/,
    );
    assert.deepEqual(await areRunning(), [true, true]);
    await remove(asking(), { yes: true, abandon: true });
    assert.deepEqual(await areRunning(), [false, false]);
    assert.match(said.join('\n'), /given up: 3 rows .* gone with the queue/);
    await remove(asking(), { yes: true });
  });

  it('takes away the tag of the lane, and no other’s when it is asked once more', async () => {
    await begin();
    await stop(context, { wait: true });
    await remove(asking(), { yes: true });
    assert.equal(sqs.tag, undefined);
    sqs.tag = 'another/run';
    await remove(asking(), { yes: true });
    assert.equal(sqs.tag, 'another/run');
  });

  it('takes away the tag where an earlier removal was interrupted before that', async () => {
    await begin();
    await stop(context, { wait: true });
    const tag = sqs.tag;
    await remove(asking(), { yes: true });
    sqs.tag = tag;
    await remove(asking(), { yes: true });
    assert.equal(sqs.tag, undefined);
  });

  it('ends no ingest whose lane has not stopped', async () => {
    lane.send(keysOf(1));
    lane.beforeUpload = () => {
      throw hopeless('there is no such bucket');
    };
    await begin();
    await stopAndPark(context);
    await isRefused(remove(asking(), { yes: true }), /^Refused: of the lane, it is parked/);
    assert.deepEqual(await areRunning(), [true, true]);
  });

  it('says of a stopped pipeline that `sluice start` wakes it, in place of telling it what it would not do', async () => {
    await begin();
    await stop(context, { wait: true });
    for (const ask of [pause, resume, flush]) await isRefused(ask(context), /stopped\. `sluice start` wakes/);
    await start(context);
    await resume(context);
    assert.equal(said.at(-1), 'both: resumed');
  });

  it('resumes the lane of a pipeline that is stopping, and says that ingest is stopped', async () => {
    lane.send(keysOf(1));
    let isAway = true;
    lane.beforeUpload = () => {
      if (isAway) throw hopeless('there is no such bucket');
    };
    await begin();
    await stopAndPark(context);
    isAway = false;
    await resume(context);
    assert.deepEqual(said.slice(-2), ['ingest: stopped. `sluice start` wakes the pipeline', 'lane: resumed']);
    await become('stopped');
  });
});
