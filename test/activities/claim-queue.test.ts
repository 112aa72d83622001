import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { claimQueue } from '../../src/activities/claim-queue';
import { definitionOf } from '../support/definition';
import { FakeStore } from '../support/fake-store';
import { Gate } from '../support/gate';

/** What lanes that want one queue see of it. */
class Tagged {
  tag: string | undefined;
  looks = 0;
  hasRedrivePolicy = false;

  /** @param before waited for before a look, or before the tag is written */
  of(before: { look?: (count: number) => Promise<void>; write?: () => Promise<void> } = {}) {
    let looks = 0;
    return {
      name: 'queue',
      arn: async () => 'arn:aws:sqs:us-east-1:123456789012:queue',
      attributes: async () => ({
        arn: undefined,
        maximumBytes: 1_000,
        hasRedrivePolicy: this.hasRedrivePolicy,
      }),
      owner: async () => {
        looks += 1;
        this.looks += 1;
        await before.look?.(looks);
        return this.tag;
      },
      claim: async (run: string) => {
        await before.write?.();
        this.tag = run;
      },
    };
  }
}

const { lake } = definitionOf();

/** @param prefix each lane has one of its own */
function claim(queue: ReturnType<Tagged['of']>, run: string, { attempt = 1 } = {}): Promise<void> {
  const owner = { pipeline: run, lane: 'lane', run };
  const store = Object.assign(new FakeStore(), { read: async () => undefined });
  const logger = new DefaultLogger('ERROR');
  return new MockActivityEnvironment({ attempt }, { logger }).run(() =>
    claimQueue({ queue, store }, { queue: queue.name, lake: { ...lake, prefix: run }, owner }, 1),
  );
}

function isOfAnother(error: unknown): boolean {
  return (
    error instanceof ApplicationFailure &&
    error.nonRetryable === true &&
    error.type === 'QueueHasAnotherOwner'
  );
}

describe('claimQueue', () => {
  for (const [last, first] of [
    ['one', 'other'],
    ['other', 'one'],
  ] as const) {
    it(`lets one of two lanes have a queue that both found without an owner, where ${last} writes last`, async () => {
      const queue = new Tagged();
      const bothLooked = new Gate();
      const firstWrote = new Gate();
      const lastWrote = new Gate();
      const look = async (count: number) => {
        if (queue.looks === 2) bothLooked.open();
        await (count === 1 ? bothLooked : lastWrote).passed;
      };
      const wrote = (gate: Gate) => setImmediate(() => gate.open());
      const writes: Partial<Record<string, () => Promise<void>>> = {
        [first]: async () => void wrote(firstWrote),
        [last]: async () => {
          await firstWrote.passed;
          wrote(lastWrote);
        },
      };
      const outcomes = await Promise.allSettled(
        ['one', 'other'].map((run) =>
          claim(queue.of({ look, write: async () => await writes[run]?.() }), run),
        ),
      );
      const has = outcomes.map(({ status }) => status === 'fulfilled');
      assert.deepEqual(has, [last === 'one', last === 'other']);
      const [refused] = outcomes.flatMap((outcome) =>
        outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
      );
      assert.ok(isOfAnother(refused));
    });
  }

  it('notices at a later look that another lane has written its tag since', async () => {
    const queue = new Tagged();
    await claim(queue.of(), 'one');
    queue.tag = 'other';
    await assert.rejects(claim(queue.of(), 'one'), isOfAnother);
    assert.equal(queue.tag, 'other');
  });

  it('notices at a later look that the queue was given a redrive policy', async () => {
    const queue = new Tagged();
    await claim(queue.of(), 'one');
    queue.hasRedrivePolicy = true;
    await assert.rejects(claim(queue.of(), 'one'), /redrive policy/);
  });

  it('looks once where it has the queue already, and writes nothing', async () => {
    const queue = new Tagged();
    queue.tag = 'one';
    await claim(queue.of({ write: () => assert.fail('it wrote') }), 'one');
    assert.equal(queue.looks, 1);
  });

  it('looks twice where an attempt before it may have written the tag just now', async () => {
    const queue = new Tagged();
    queue.tag = 'one';
    await claim(queue.of(), 'one', { attempt: 2 });
    assert.equal(queue.looks, 2);
  });

  it('claims a queue that was deleted and made again', async () => {
    const queue = new Tagged();
    await claim(queue.of(), 'one');
    queue.tag = undefined;
    await claim(queue.of(), 'one');
    assert.equal(queue.tag, 'one');
  });

  it('is tried again where the tag that it wrote is not seen yet', async () => {
    const queue = new Tagged();
    const unseen = { ...queue.of(), owner: async () => undefined };
    await assert.rejects(
      claim(unseen, 'one'),
      (error) => error instanceof ApplicationFailure && error.nonRetryable !== true,
    );
  });
});
