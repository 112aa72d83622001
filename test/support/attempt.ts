import { ActivityCancellationDetails } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import {
  consumeStream,
  type StintInput,
  type StintProgress,
  type StintResult,
} from '../../src/activities/consume-stream';
import type { Acknowledge } from '../../src/activities/lease';
import type { FakeStore } from './fake-store';
import type { FakeQueue } from './fake-queue';

/** One attempt of the activity consumeStream, under way. */
export class Attempt {
  readonly heartbeats: StintProgress[] = [];
  readonly result: Promise<StintResult>;
  readonly #environment: MockActivityEnvironment;
  #isOver = false;

  constructor(
    clients: { queue: FakeQueue; store: FakeStore },
    input: StintInput,
    heartbeatDetails?: StintProgress,
    /** What Temporal makes of a heartbeat. Default: it takes it. */
    acknowledge: Acknowledge = () => Promise.resolve(),
  ) {
    this.#environment = new MockActivityEnvironment(
      { heartbeatDetails, heartbeatTimeoutMs: 6_000, startToCloseTimeoutMs: 20 * 60_000 },
      { logger: new DefaultLogger('ERROR') },
    );
    this.#environment.on('heartbeat', (details: StintProgress) =>
      this.heartbeats.push(JSON.parse(JSON.stringify(details)) as StintProgress),
    );
    this.result = this.#environment.run(() => consumeStream(clients, input, { acknowledge }));
    const end = () => {
      this.#isOver = true;
    };
    // A test that fails before it looks at the result is told of its own failure.
    this.result.then(end, end);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  cancel(reason: keyof ActivityCancellationDetails = 'cancelRequested'): void {
    const name =
      reason === 'cancelRequested' ? 'CANCELLED' : reason === 'workerShutdown' ? 'WORKER_SHUTDOWN' : 'PAUSED';
    this.#environment.cancel(name, new ActivityCancellationDetails({ [reason]: true }));
  }
}
