import assert from 'node:assert/strict';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { PollLease, TaskAges } from '../../src/activities/poll-lease';

const BEGAN = Date.UTC(2026, 0, 31, 12);
const HOUR = 3_600_000;

/** Stands in for both clocks of a process. */
class Clocks {
  steady = 50_000;
  wall = BEGAN;
  readonly #performance = performance.now.bind(performance);
  readonly #date = Date.now;

  install(): void {
    performance.now = () => this.steady;
    Date.now = () => this.wall;
  }

  remove(): void {
    performance.now = this.#performance;
    Date.now = this.#date;
  }

  pass(ms: number): void {
    this.steady += ms;
    this.wall += ms;
  }
}

describe('A receive and its lease', () => {
  let clocks: Clocks;
  let heartbeats: number;
  /** What Temporal makes of the next heartbeat. */
  let answer: () => Promise<void>;

  beforeEach(() => {
    clocks = new Clocks();
    clocks.install();
    heartbeats = 0;
    answer = () => Promise.resolve();
  });

  afterEach(() => clocks.remove());

  /** As hands.ts asks for receives. */
  const leaseOf = (ageMs: number | undefined) =>
    new PollLease({
      acknowledge: () => {
        heartbeats += 1;
        return answer();
      },
      ageMs,
      heartbeatTimeoutMs: 10_000,
      lastsMs: 60_000,
    });

  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  const allows = (lease: PollLease) => environment.run(() => lease.allows());

  it('polls for some seconds without a heartbeat, and then after one that Temporal acknowledged', async () => {
    const lease = leaseOf(200);
    clocks.pass(6_400);
    assert.deepEqual([await allows(lease), heartbeats], [true, 0]);
    clocks.pass(100);
    assert.deepEqual([await allows(lease), heartbeats], [true, 1]);
    clocks.pass(6_600);
    assert.deepEqual([await allows(lease), heartbeats], [true, 1]);
    clocks.pass(100);
    assert.deepEqual([await allows(lease), heartbeats], [true, 2]);
  });

  it('polls only after a heartbeat where nobody knows when Temporal handed it out, or that was long ago', async () => {
    for (const ageMs of [undefined, 7_000, HOUR]) {
      heartbeats = 0;
      assert.deepEqual([await allows(leaseOf(ageMs)), heartbeats], [true, 1]);
    }
  });

  it('does not poll where Temporal takes it for lost, is away, or answers late', async () => {
    for (const refusal of [
      () => Promise.reject(new Error('NOT_FOUND')),
      () => {
        clocks.pass(7_000);
        return Promise.resolve();
      },
    ]) {
      answer = refusal;
      assert.equal(await allows(leaseOf(undefined)), false);
    }
  });

  it('does not poll when it wakes from a sleep, whichever clock stood still', async () => {
    for (const clock of ['steady', 'wall'] as const) {
      const lease = leaseOf(0);
      clocks[clock] += HOUR;
      answer = () => Promise.reject(new Error('NOT_FOUND'));
      assert.equal(await allows(lease), false);
    }
  });

  it('does not poll when Temporal may take it for lost whatever it hears', async () => {
    const lease = leaseOf(0);
    clocks.pass(50_000);
    assert.equal(await allows(lease), false);
  });
});

describe('The age of a task', () => {
  let clocks: Clocks;

  beforeEach(() => {
    clocks = new Clocks();
    clocks.install();
  });

  afterEach(() => clocks.remove());

  it('is not known of the first one, nor after the clock was set or the machine slept', () => {
    const ages = new TaskAges();
    assert.equal(ages.of(BEGAN), undefined);
    assert.equal(ages.of(BEGAN - 300), 300);
    clocks.wall += HOUR;
    assert.equal(ages.of(clocks.wall), undefined);
    clocks.wall -= HOUR;
    assert.equal(ages.of(clocks.wall), undefined);
    assert.equal(ages.of(clocks.wall - 20), 20);
  });

  it('is not taken for less where this clock is behind', () => {
    const ages = new TaskAges();
    const scheduled = BEGAN + HOUR;
    ages.of(scheduled);
    clocks.pass(1_000);
    assert.equal(ages.of(scheduled + 1_000), 0);
    clocks.pass(HOUR);
    // It seems to come from now, and waited for an hour.
    assert.equal(ages.of(scheduled + 1_000), HOUR);
  });

  it('is taken for more where this clock is ahead, though tasks waited before', () => {
    const ages = new TaskAges();
    ages.of(BEGAN - HOUR);
    assert.equal(ages.of(BEGAN - HOUR), HOUR);
  });
});
