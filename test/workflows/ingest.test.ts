import assert from 'node:assert/strict';
import type { WorkflowHandle } from '@temporalio/client';
import type { PipelineDefinition } from '../../src/pipeline/definition';
import { eventually } from '../support/eventually';
import { definitionOf } from '../support/definition';
import {
  blocked,
  cursorAt,
  done,
  failed,
  FakeStints,
  interrupted,
  silentAfter,
  thrown,
  untilCancelled,
} from '../support/fake-stints';
import { Gate } from '../support/gate';
import { historiesOf, stepsOf } from '../support/history';
import { ingestStatus, startIngest, terminate } from '../support/pipelines';
import { testTemporal } from '../support/temporal';

describe('The workflow ingest', () => {
  const temporal = testTemporal();
  let stints: FakeStints;
  let handle: WorkflowHandle;
  let lane: WorkflowHandle;
  let gate: Gate;
  const started: WorkflowHandle[] = [];

  beforeEach(() => {
    gate = new Gate();
  });

  afterEach(async () => {
    gate.open();
    await Promise.all(started.splice(0).map(terminate));
    await temporal.stopWorkers();
  });

  async function start(script: FakeStints, overrides: Partial<PipelineDefinition> = {}): Promise<void> {
    stints = script;
    ({ handle, lane } = await startIngest(temporal, stints, definitionOf(overrides)));
    started.push(handle, lane);
  }

  const status = () => ingestStatus(handle);

  const becomes = (activity: string) =>
    eventually(activity, async () => (await status()).activity === activity);

  const begun = (count: number) => eventually(`attempt ${count}`, () => stints.seen.length >= count);

  const inputCursors = () => stints.seen.map(({ input }) => input.cursor);

  /** Seconds of the timers that were set. Looks at the queue are hours apart. */
  async function shortWaits(): Promise<number[]> {
    const { events } = await handle.fetchHistory();
    const waits = (events ?? []).flatMap(({ timerStartedEventAttributes: timer }) =>
      timer ? [Number(timer.startToFireTimeout?.seconds)] : [],
    );
    return waits.filter((seconds) => seconds < 60);
  }

  async function laneWasTold(): Promise<string[]> {
    const [history = {}] = await historiesOf(temporal.client, lane.workflowId);
    return stepsOf(history).map((step) => step.replace('told to ', ''));
  }

  it('runs stint after stint, each from the cursor that the last one returned', async () => {
    await start(new FakeStints(done(cursorAt(1), 10), done(cursorAt(2), 20), done(cursorAt(3), 30)));
    await begun(4);
    assert.deepEqual(inputCursors().slice(1), [cursorAt(1), cursorAt(2), cursorAt(3)]);
    const { counts, cursor, activity } = await status();
    assert.deepEqual([counts.sent, counts.stints, activity], [60, 3, 'running']);
    assert.deepEqual(cursor, cursorAt(3));
  });

  it('starts at its own start time, after a first stint that was never heard of, too', async () => {
    await start(new FakeStints(silentAfter(undefined, gate.passed)), { heartbeatTimeoutSeconds: 3 });
    await begun(2);
    const { startTime } = await handle.describe();
    const expected = { since: startTime.getTime(), positions: {}, recent: {} };
    assert.deepEqual(inputCursors(), [expected, expected]);
  });

  it('starts at the time that the definition names', async () => {
    const source = {
      url: 'http://127.0.0.1:9/stream',
      contact: 'test@example.org',
      since: 1_700_000_000_000,
    };
    await start(new FakeStints(), { source });
    await begun(1);
    assert.deepEqual(inputCursors(), [{ since: source.since, positions: {}, recent: {} }]);
  });

  it('keeps the beginning that a stint has moved, since the one that was named was ahead of the source', async () => {
    const { source } = definitionOf();
    const moved = { since: 1_600_000_000_000, positions: {}, recent: {} };
    await start(new FakeStints(done(moved)), { source: { ...source, since: 1_700_000_000_000 } });
    await begun(2);
    assert.equal(inputCursors()[1]?.since, moved.since);
  });

  it('lets a third of the window be received beyond what a stint has told', async () => {
    await start(new FakeStints(), { windowKeys: 3_001 });
    await begun(1);
    assert.equal(stints.last?.input.mostUnacknowledged, 1_000);
  });

  it('keeps the cursor that a stint returns when it is paused, and resumes from there', async () => {
    await start(new FakeStints(untilCancelled(cursorAt(7), 70)));
    await begun(1);
    await handle.signal('pause');
    await eventually('the stint counted', async () => (await status()).counts.stints === 1);
    assert.deepEqual((await status()).cursor, cursorAt(7));
    assert.equal((await status()).activity, 'paused');
    await handle.signal('resume');
    await begun(2);
    assert.deepEqual(stints.last?.input.cursor, cursorAt(7));
    assert.deepEqual([(await status()).counts.sent, (await status()).activity], [70, 'running']);
  });

  it('waits after a stint that failed, and the next one goes on at the cursor that it returned', async () => {
    await start(
      new FakeStints(failed(cursorAt(3), 'the source is away', 2), failed(cursorAt(3), 'it is away still')),
    );
    await begun(3);
    assert.deepEqual(inputCursors().slice(1), [cursorAt(3), cursorAt(3)]);
    assert.deepEqual(await shortWaits(), [1, 2]);
    assert.deepEqual([(await status()).counts.sent, (await status()).activity], [2, 'running']);
  });

  it('keeps that cursor when it is paused while it waits', async () => {
    const problems = Array.from({ length: 8 }, () => failed(cursorAt(3), 'the source is away'));
    await start(new FakeStints(...problems));
    await eventually('one has failed', async () => (await status()).counts.stints >= 1);
    await handle.signal('pause');
    await becomes('paused');
    const before = stints.seen.length;
    await handle.signal('resume');
    await begun(before + 1);
    assert.deepEqual(stints.last?.input.cursor, cursorAt(3));
  });

  it('hears what a stint told whose Worker died, and keeps it when it is paused before the next one begins', async () => {
    await start(new FakeStints(silentAfter(cursorAt(5), gate.passed)), { heartbeatTimeoutSeconds: 3 });
    await eventually('the timeout', async () => (await status()).cursor.lastEventId === '5');
    await handle.signal('pause');
    await becomes('paused');
    const before = stints.seen.length;
    await handle.signal('resume');
    await begun(before + 1);
    assert.deepEqual([stints.last?.input.cursor, stints.last?.attempt], [cursorAt(5), 1]);
    assert.equal((await status()).problem, undefined);
  });

  it('begins the next stint at once where one was interrupted, at the cursor that it returned', async () => {
    await start(new FakeStints(interrupted(cursorAt(6), 4)));
    await begun(2);
    assert.deepEqual(stints.last?.input.cursor, cursorAt(6));
    assert.deepEqual(await shortWaits(), []);
  });

  it('takes the cursor of the last heartbeat when it is paused and the Worker of the stint is dead', async () => {
    await start(new FakeStints(silentAfter(cursorAt(5), gate.passed)));
    await begun(1);
    await eventually('a heartbeat', async () => {
      const { raw } = await handle.describe();
      return raw.pendingActivities?.[0]?.heartbeatDetails?.payloads?.length === 1;
    });
    await handle.signal('pause');
    await eventually('the heartbeat timeout', async () => (await status()).cursor.lastEventId === '5');
    assert.deepEqual([(await status()).activity, (await status()).problem], ['paused', undefined]);
    gate.open();
    await handle.signal('resume');
    await begun(2);
    assert.deepEqual(stints.last?.input.cursor, cursorAt(5));
  });

  it('tells the lane to stop only after the stint has ended, and to start when it is started', async () => {
    await start(new FakeStints(untilCancelled(cursorAt(4))));
    await begun(1);
    await handle.signal('stop');
    await becomes('stopped');
    assert.equal((await handle.describe()).status.name, 'RUNNING');
    const [history = {}] = await historiesOf(temporal.client, handle.workflowId);
    const steps = stepsOf(history).filter((step) => !step.startsWith('measureQueue'));
    assert.deepEqual(steps, [
      'consumeStream scheduled',
      'told to stop',
      'consumeStream completed',
      'tells the lane to stop',
    ]);
    await handle.signal('start');
    await begun(2);
    assert.deepEqual(stints.last?.input.cursor, cursorAt(4));
    await eventually('the lane started', async () => (await laneWasTold()).length === 2);
    assert.deepEqual(await laneWasTold(), ['stop', 'start']);
    await becomes('running');
  });

  it('goes on when a stop is taken back before the stint has ended, and the lane ends up started', async () => {
    await start(new FakeStints(untilCancelled(cursorAt(4))));
    await begun(1);
    await handle.signal('stop');
    await handle.signal('start');
    await begun(2);
    assert.deepEqual(stints.last?.input.cursor, cursorAt(4));
    await eventually('the lane started', async () => (await laneWasTold()).at(-1) === 'start');
    await becomes('running');
  });

  it('stops when it is told so while it is paused', async () => {
    await start(new FakeStints(untilCancelled(cursorAt(4))));
    await begun(1);
    await handle.signal('pause');
    await eventually('the stint counted', async () => (await status()).counts.stints === 1);
    await handle.signal('stop');
    await becomes('stopped');
    assert.deepEqual(await laneWasTold(), ['stop']);
    await handle.signal('start');
    await begun(2);
    await becomes('running');
  });

  it('parks with the problem when a stint is blocked, and resume tries again from its cursor', async () => {
    await start(new FakeStints(blocked(cursorAt(8), 'The source answers 403: set SLUICE_CONTACT')));
    await becomes('parked');
    assert.equal((await status()).problem, 'The source answers 403: set SLUICE_CONTACT');
    assert.equal((await handle.describe()).status.name, 'RUNNING');
    assert.equal(stints.seen.length, 1);
    await handle.signal('resume');
    await begun(2);
    assert.deepEqual(stints.last?.input.cursor, cursorAt(8));
    // A stint lasts a quarter of an hour: nobody should have to wait for its end to see that it works.
    assert.deepEqual([(await status()).activity, (await status()).problem], ['running', undefined]);
  });

  it('tries again only when told to, where trying again by itself would leave events out', async () => {
    await start(new FakeStints(blocked(cursorAt(8), 'The topic was created anew', true)));
    await becomes('parked');
    const { events = [] } = await handle.fetchHistory();
    const timers = events?.filter((event) => event.timerStartedEventAttributes);
    assert.equal(timers?.length, 1, 'the only timer is that of the next look at the queue');
    await handle.signal('resume');
    await begun(2);
  });

  it('parks when a stint throws, which none does that can run', async () => {
    await start(new FakeStints(done(cursorAt(2)), thrown(new Error('Something is wrong for good'))));
    await becomes('parked');
    assert.equal((await status()).problem, 'The activity consumeStream failed: Something is wrong for good');
    await handle.signal('resume');
    await begun(3);
    assert.deepEqual(stints.last?.input.cursor, cursorAt(2));
  });

  it('stops when it is told so while it is parked, and tries again when started', async () => {
    await start(new FakeStints(blocked(cursorAt(8), 'The source answers 403')));
    await becomes('parked');
    await handle.signal('stop');
    await becomes('stopped');
    await handle.signal('start');
    await begun(2);
    assert.deepEqual(stints.last?.input.cursor, cursorAt(8));
    await becomes('running');
  });

  it('says so when its lane is gone, and stops all the same', async () => {
    await start(new FakeStints(untilCancelled(cursorAt(1))));
    await begun(1);
    await lane.terminate();
    await handle.signal('stop');
    await becomes('stopped');
    assert.match((await status()).problem ?? '', /the lane lane-ingest-\S+ could not be told to stop: /);
  });
});
