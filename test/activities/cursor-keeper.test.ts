import assert from 'node:assert/strict';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { CursorKeeper, type CursorKeeperOptions } from '../../src/activities/cursor-keeper';
import type { KeptCursor } from '../../src/lake/kept-cursor';
import { NO_GAPS } from '../../src/sources/gaps';
import { eventually } from '../support/eventually';
import { FakeQueue, sqsError } from '../support/fake-queue';
import { FakeStore, s3Error } from '../support/fake-store';
import { Gate } from '../support/gate';

const at = (offset: number) => ({
  cursor: { since: 0, positions: { 'topic/0': { offset } }, recent: {} },
  completeness: {},
  gaps: NO_GAPS,
  counts: { sent: offset },
});

describe('The keeper of a cursor', () => {
  let store: FakeStore;
  let queue: FakeQueue;
  const keepers: CursorKeeper[] = [];

  beforeEach(() => {
    store = new FakeStore();
    queue = new FakeQueue();
  });

  afterEach(() => {
    for (const keeper of keepers.splice(0)) keeper.close();
  });

  function keeper(options: Partial<CursorKeeperOptions> = {}): CursorKeeper {
    const made = new CursorKeeper({
      store,
      queue,
      lease: { held: async (signal) => signal },
      pipeline: 'orders',
      source: { url: 'https://example.org/stream', key: 'id' },
      everyEvents: 100,
      ...options,
    });
    keepers.push(made);
    return made;
  }

  /** In an activity: it logs. */
  const within = <T>(work: () => Promise<T>) =>
    new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }).run(work);

  const kept = () => JSON.parse(String(store.replaced.at(-1)?.body ?? 'null')) as KeptCursor | null;
  const offsets = () =>
    store.replaced.map(({ body }) => (JSON.parse(String(body)) as KeptCursor).cursor.positions['topic/0']);
  const written = (count: number) =>
    eventually(`${count} are written`, () => store.replaced.length === count);

  it('writes the first that it is told of, and with it what it is of', async () => {
    await within(async () => {
      keeper().told(at(5));
      await written(1);
      const { time, ...rest } = kept() ?? assert.fail('there is one');
      assert.equal(store.replaced[0]?.key, 'raw/_sluice/cursor.json');
      assert.ok(!Number.isNaN(Date.parse(time)));
      const { counts: _, ...progress } = at(5);
      assert.deepEqual(rest, {
        pipeline: 'orders',
        source: { url: 'https://example.org/stream', key: 'id' },
        queue: { name: 'queue' },
        ...progress,
      });
    });
  });

  it('writes again after so many events, and no sooner', async () => {
    await within(async () => {
      const one = keeper();
      one.told(at(5));
      await written(1);
      for (let offset = 6; offset < 230; offset += 1) {
        one.told(at(offset));
        await Promise.resolve();
      }
      await one.end(at(230));
      assert.ok(store.replaced.length <= 4, `${store.replaced.length} were written`);
      assert.deepEqual(offsets().at(-1), { offset: 230 });
    });
  });

  it('writes again after its time, where the cursor has moved', async () => {
    await within(async () => {
      const one = keeper({ everyMs: 0 });
      one.told(at(5));
      await written(1);
      one.told(at(5));
      one.told(at(6));
      await written(2);
      assert.deepEqual(offsets(), [{ offset: 5 }, { offset: 6 }]);
    });
  });

  it('writes the last one at the end, unless it stands there', async () => {
    await within(async () => {
      const one = keeper();
      one.told(at(5));
      await one.end(at(7));
      await one.end(at(7));
      assert.deepEqual(offsets(), [{ offset: 5 }, { offset: 7 }]);
    });
  });

  it('tries again with the next heartbeat what could not be written, and fails nobody', async () => {
    await within(async () => {
      store.beforeReplace = (count) => {
        if (count === 1) throw s3Error('SlowDown', 503);
      };
      queue.openingFails = () => Promise.reject(sqsError('InternalError', 500));
      const one = keeper();
      one.told(at(5));
      await eventually('the queue is asked', () => queue.asked.length === 1);
      queue.openingFails = undefined;
      await eventually('it tries again', () => {
        one.told(at(5));
        return store.replaced.length === 2;
      });
      assert.deepEqual(kept()?.cursor.positions, at(5).cursor.positions);
    });
  });

  it('writes only under the lease', async () => {
    await within(async () => {
      const gate = new Gate();
      const one = keeper({ lease: { held: (signal) => gate.passed.then(() => signal) } });
      one.told(at(5));
      await eventually('the queue is asked', () => queue.asked.length === 1);
      assert.equal(store.replaced.length, 0);
      gate.open();
      await written(1);
    });
  });

  it('does not keep a stint from ending, where S3 does not answer or the lease is gone', async () => {
    await within(async () => {
      const never = (signal: AbortSignal) =>
        new Promise<AbortSignal>((_, reject) =>
          signal.addEventListener('abort', () => reject(new Error('ended'))),
        );
      const one = keeper({ lease: { held: never } });
      one.told(at(5));
      await one.end(at(6));
      assert.equal(store.replaced.length, 0);
    });
  });
});
