import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GetQueueUrlCommand, SQSClient } from '@aws-sdk/client-sqs';
import * as fc from 'fast-check';
import { HOST } from '../../local/ports';
import { ServerClock, serverClockOf } from '../../src/clients/server-clock';

const SECOND = 1_000;
const HOUR = 3_600_000;
const BEGAN = Date.UTC(2026, 0, 31, 12);

/** A worker with clocks of its own, and a server. All times in milliseconds. */
class Stage {
  /** Of the server: the truth. */
  truth = BEGAN + 400;
  readonly clock: ServerClock;
  /** How far the machine's steady clock is behind. It stands still while the machine sleeps. */
  steadyAt = 5_000;

  constructor(readonly aheadMs = 0) {
    this.clock = new ServerClock({ steady: () => this.steadyAt, wall: () => this.truth + this.aheadMs });
  }

  pass(ms: number): void {
    this.truth += ms;
    this.steadyAt += ms;
  }

  /** @param there milliseconds to the server and @param back from it; it writes the date in between */
  ask(there: number, back: number): void {
    const sent = this.clock.moment();
    this.pass(there);
    const date = new Date(this.truth).toUTCString();
    this.pass(back);
    this.clock.answered(date, sent);
  }

  get errorMs(): number {
    return this.clock.now() - this.truth;
  }
}

describe('The clock of a server', () => {
  it('is told by the dates of its answers, whatever the clock of this machine says', () => {
    for (const aheadMs of [0, 10 * HOUR, -10 * HOUR, 100 * 365 * 24 * HOUR]) {
      const stage = new Stage(aheadMs);
      stage.ask(10, 10);
      assert(Math.abs(stage.errorMs) <= SECOND, `${stage.errorMs} ms off, ahead by ${aheadMs}`);
      stage.pass(HOUR);
      assert(Math.abs(stage.errorMs) <= SECOND);
    }
  });

  it('is never further off than half a second and the way back', () => {
    const answer = fc.record({
      pause: fc.integer({ min: 0, max: 60_000 }),
      there: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 20_000 })),
      back: fc.integer({ min: 0, max: 200 }),
    });
    fc.assert(
      fc.property(fc.array(answer, { minLength: 1, maxLength: 30 }), (answers) => {
        const stage = new Stage();
        for (const { pause, there, back } of answers) {
          stage.pass(pause);
          stage.ask(there, back);
          assert(Math.abs(stage.errorMs) <= SECOND / 2 + back + 1, `${stage.errorMs} ms off`);
        }
      }),
    );
  });

  it('is known better with each quick answer', () => {
    const stage = new Stage();
    for (let count = 0; count < 50; count += 1) {
      stage.pass(137);
      stage.ask(2, 2);
    }
    assert(Math.abs(stage.errorMs) < 100, `${stage.errorMs} ms off`);
  });

  it('is begun anew by an answer that contradicts the ones before', () => {
    const stage = new Stage();
    stage.ask(5, 5);
    // The machine slept: its steady clock stood still.
    stage.truth += HOUR;
    assert(stage.errorMs < -HOUR + SECOND);
    stage.ask(5, 5);
    assert(Math.abs(stage.errorMs) <= SECOND);
    // Somebody set the server's clock back.
    stage.truth -= 3 * HOUR;
    stage.ask(5, 5);
    assert(Math.abs(stage.errorMs) <= SECOND);
  });

  it('is that of this machine where answers have no date, which is told once', () => {
    const stage = new Stage(HOUR);
    assert.equal(stage.clock.takeProblem(), undefined, 'nobody was asked yet');
    stage.clock.answered(undefined, stage.clock.moment());
    stage.clock.answered('yesterday', stage.clock.moment());
    assert.equal(stage.errorMs, HOUR);
    assert.match(stage.clock.takeProblem() ?? '', /no Date/);
    assert.equal(stage.clock.takeProblem(), undefined);
  });

  for (const [aheadMs, words] of [
    [10 * HOUR, '10 h ahead of'],
    [-3 * 24 * HOUR, '3 days behind'],
    [7 * 60_000, '7 min ahead of'],
  ] as const) {
    it(`tells once that the clock of this machine is ${words} it`, () => {
      const stage = new Stage(aheadMs);
      stage.ask(5, 5);
      assert.match(stage.clock.takeProblem() ?? '', new RegExp(`${words} AWS’s: set it`));
      assert.equal(stage.clock.takeProblem(), undefined);
    });
  }

  it('says nothing of a difference of some seconds', () => {
    const stage = new Stage(20 * SECOND);
    stage.ask(5, 5);
    assert.equal(stage.clock.takeProblem(), undefined);
  });

  describe('of an AWS client', () => {
    let server: Server;
    let sqs: SQSClient;
    let status: number;
    let date: Date | undefined;

    beforeEach(async () => {
      status = 200;
      date = new Date(BEGAN);
      server = createServer((request, response) => {
        request.resume().on('end', () => {
          response.sendDate = false;
          if (date) response.setHeader('Date', date.toUTCString());
          response.writeHead(status).end('{}');
        });
      }).listen(0, HOST);
      await once(server, 'listening');
      sqs = new SQSClient({
        endpoint: `http://${HOST}:${(server.address() as AddressInfo).port}`,
        region: 'us-east-1',
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
        maxAttempts: 1,
      });
    });

    afterEach(() => {
      sqs.destroy();
      server.closeAllConnections();
      server.close();
    });

    const ask = () => sqs.send(new GetQueueUrlCommand({ QueueName: 'queue' })).catch(() => {});

    for (const code of [200, 400, 503]) {
      it(`hears an answer with status ${code}`, async () => {
        status = code;
        const clock = serverClockOf(sqs);
        await ask();
        assert(Math.abs(clock.now() - BEGAN) < 60_000, new Date(clock.now()).toISOString());
      });
    }

    it('is one for each client', async () => {
      const clock = serverClockOf(sqs);
      assert.equal(serverClockOf(sqs), clock);
      date = undefined;
      await ask();
      assert.match(clock.takeProblem() ?? '', /no Date/);
    });
  });
});
