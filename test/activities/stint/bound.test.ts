import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { Bound } from '../../../src/activities/stint/bound';
import { keyDigest } from '../../../src/event/key';
import { ConfirmedCursor, type Pending } from '../../../src/sources/confirmed-cursor';

const PARTITION = 't/0';

/** A stint's cursor and bound, with a Temporal that takes heartbeats when it is told to. Event n is the one at offset n. */
class Stage {
  readonly #cursor = new ConfirmedCursor({ since: 0, positions: {}, recent: {} });
  readonly #stop = new AbortController();
  readonly #unconfirmed: Pending[] = [];
  readonly #bound: Bound;
  received = 0;
  /** Heartbeats that were asked for and not made yet. */
  asked = 0;
  /** Whether a reader waits for room. */
  isWaiting = false;
  /** The offset at which a stint would go on that knows the heartbeat under way. */
  #told: number | undefined;
  /** The same of the last one that was taken. */
  resumesAt = 0;

  constructor(most: number) {
    this.#bound = new Bound({ most, cursor: this.#cursor, beat: () => (this.asked += 1) });
  }

  /** A reader takes the next event, as soon as it may. */
  async receive(): Promise<void> {
    if (this.isWaiting) return;
    this.isWaiting = true;
    await Promise.race([this.#takeOne(), nextTurn()]);
  }

  async #takeOne(): Promise<void> {
    await this.#bound.room(this.#stop.signal);
    this.isWaiting = false;
    if (this.#stop.signal.aborted) return;
    const offset = this.received;
    this.received += 1;
    const place = { partition: PARTITION, offset };
    const event = { id: '', positions: { [PARTITION]: { offset: offset + 1 } } };
    this.#unconfirmed.push(this.#cursor.received(event, keyDigest(String(offset)), place));
  }

  /** @param which of the events on their way */
  confirm(which: number): void {
    const [pending] = this.#unconfirmed.splice(which % Math.max(1, this.#unconfirmed.length), 1);
    if (!pending) return;
    this.#cursor.confirm(pending);
    this.#bound.confirmed();
  }

  confirmAll(): void {
    while (this.#unconfirmed.length > 0) this.confirm(0);
  }

  tell(): void {
    this.asked = 0;
    this.#bound.tell();
    const position = this.#cursor.cursor().positions[PARTITION];
    this.#told = position && 'offset' in position ? position.offset : 0;
  }

  async acknowledge(): Promise<void> {
    if (this.#told === undefined) return;
    this.resumesAt = this.#told;
    this.#told = undefined;
    this.#bound.acknowledged();
    await nextTurn();
  }

  stop(): void {
    this.#stop.abort();
  }
}

describe('The bound of a stint', () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.constant('receive' as const) },
      { weight: 8, arbitrary: fc.nat(20) },
      { weight: 2, arbitrary: fc.constantFrom('tell' as const, 'acknowledge' as const) },
    ),
    { maxLength: 120 },
  );

  it('holds, whatever is confirmed and taken when, and the stint goes on once it may', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 12 }), steps, async (most, all) => {
        const stage = new Stage(most);
        for (const step of all) {
          if (step === 'receive') await stage.receive();
          else if (step === 'tell') stage.tell();
          else if (step === 'acknowledge') await stage.acknowledge();
          else stage.confirm(step);
          const mayComeAgain = stage.received - stage.resumesAt;
          assert.ok(mayComeAgain <= most, `${mayComeAgain} events may come again, not ${most}`);
        }
        // From here on all is confirmed, and Temporal takes each heartbeat that is asked for.
        await stage.receive();
        while (stage.isWaiting) {
          stage.confirmAll();
          await stage.acknowledge();
          if (!stage.isWaiting) break;
          assert.ok(stage.asked > 0, 'it waits, and asks for nothing');
          stage.tell();
        }
      }),
      { numRuns: 200 },
    );
  });

  it('asks for a heartbeat when 500 events are confirmed, or half of what it lets through', async () => {
    for (const [most, perBeat] of [
      [10_000, 500],
      [100, 50],
      [1, 1],
    ] as const) {
      const stage = new Stage(most);
      for (let n = 1; n < perBeat; n += 1) {
        await stage.receive();
        stage.confirm(0);
      }
      assert.equal(stage.asked, 0);
      await stage.receive();
      stage.confirm(0);
      assert.equal(stage.asked, 1, `of ${most}`);
    }
  });

  it('asks for none while the cursor stands: there is nothing to tell', async () => {
    const stage = new Stage(4);
    for (let n = 0; n < 5; n += 1) await stage.receive();
    for (let n = 0; n < 3; n += 1) stage.confirm(1);
    assert.deepEqual([stage.received, stage.isWaiting], [4, true]);
    const asked = stage.asked;
    for (let n = 0; n < 3; n += 1) {
      stage.tell();
      await stage.acknowledge();
      assert.equal(stage.asked, 0);
    }
    assert.ok(asked <= 1);
    stage.confirm(0);
    assert.ok(stage.asked > 0);
    stage.tell();
    await stage.acknowledge();
    assert.deepEqual([stage.received, stage.isWaiting], [5, false]);
  });

  it('lets a reader go whose stint ends', async () => {
    const stage = new Stage(1);
    await stage.receive();
    await stage.receive();
    assert.equal(stage.isWaiting, true);
    stage.stop();
    await nextTurn();
    assert.deepEqual([stage.isWaiting, stage.received], [false, 1]);
  });
});
