import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { SettingsError } from '../../src/settings/setting';
import { freePort, HOST } from '../../local/ports';
import { startTemporalServer, type TemporalServer } from '../../local/temporal-server';
import {
  type Health,
  lookAtWorkers,
  type PollerDirectory,
  serveHealth,
  type WatchedWorker,
} from '../../src/workers/health';
import { eventually } from '../support/eventually';
import { sourceCommand } from '../support/source-command';

type Status = ReturnType<WatchedWorker['getStatus']>;

/** A Worker as the SDK tells of it. */
function worker(taskQueue: string, status: Partial<Status> = {}): WatchedWorker {
  const told = { runState: 'RUNNING', workflowPollerState: 'POLLING', activityPollerState: 'POLLING' };
  return {
    options: { identity: 'me', namespace: 'default', taskQueue },
    getStatus: () => ({ ...told, ...status }) as Status,
  };
}

/** A Temporal that saw polls so many seconds ago. */
function temporal(pollers: Record<string, number>): PollerDirectory {
  const describe = () =>
    Promise.resolve({
      pollers: Object.entries(pollers).map(([identity, secondsAgo]) => ({
        identity,
        lastAccessTime: { seconds: Math.floor(Date.now() / 1_000) - secondsAgo },
      })),
    });
  return {
    workflowService: { describeTaskQueue: describe },
  };
}

describe('The health of Workers', () => {
  it('is well when Temporal saw each of them poll in the last minutes', async () => {
    const workers = [worker('sluice-ingest'), worker('sluice-batch')];
    assert.deepEqual(await lookAtWorkers(workers, temporal({ other: 400, me: 100 }), 300_000), []);
  });

  for (const pollers of [{ other: 1 }, {}, { me: 400 }]) {
    it(`is not when Temporal saw others only, or nobody: ${JSON.stringify(pollers)}`, async () => {
      assert.deepEqual(await lookAtWorkers([worker('sluice-batch')], temporal(pollers), 300_000), [
        'Temporal has seen no poll of sluice-batch by me in the last 5 minutes',
      ]);
    });

    it(`is well all the same while the process is young: ${JSON.stringify(pollers)}`, async () => {
      assert.deepEqual(await lookAtWorkers([worker('sluice-batch')], temporal(pollers), 299_000), []);
    });
  }

  it('is not when one of them drains or has failed, whatever the others do', async () => {
    const workers = [
      worker('sluice-ingest'),
      worker('sluice-batch', { runState: 'DRAINING' }),
      worker('third', { activityPollerState: 'FAILED' }),
    ];
    assert.deepEqual(await lookAtWorkers(workers, temporal({ me: 1 })), [
      'the Worker of sluice-batch is DRAINING',
      'the pollers of third are POLLING and FAILED',
    ]);
  });

  it('is not when Temporal does not answer', async () => {
    const away: PollerDirectory = {
      workflowService: { describeTaskQueue: () => Promise.reject(new Error('no connection')) },
    };
    assert.deepEqual(await lookAtWorkers([worker('sluice-batch')], away), [
      'Temporal does not say who polls sluice-batch: Error: no connection',
    ]);
  });
});

describe('The health endpoint', () => {
  it('asks once for requests that come together, and serves nothing but /health', async () => {
    const address = `${HOST}:${await freePort()}`;
    let looks = 0;
    let answer = (_problems: string[]) => {};
    const server = await serveHealth(address, () => {
      looks += 1;
      return new Promise((resolve) => (answer = resolve));
    });
    try {
      let asked = 0;
      server.on('request', () => (asked += 1));
      const requests = [1, 2, 3].map(() => fetch(`http://${address}/health`));
      await eventually('all have asked', () => asked === 3);
      assert.equal(looks, 1);
      assert.equal((await fetch(`http://${address}/`)).status, 404);
      answer(['tired']);
      for (const response of await Promise.all(requests)) {
        assert.equal(response.status, 503);
        assert.deepEqual(await response.json(), { healthy: false, problems: ['tired'] });
      }
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it('names the setting when something listens at its address', async () => {
    const address = `${HOST}:${await freePort()}`;
    const look = () => Promise.resolve([]);
    const server = await serveHealth(address, look);
    try {
      await assert.rejects(serveHealth(address, look), (error) => {
        assert.ok(error instanceof SettingsError);
        assert.match(error.message, /^SLUICE_HEALTH_ADDRESS must be an address that no program listens at: /);
        return true;
      });
    } finally {
      server.close();
    }
  });
});

describe("A worker process's health", function () {
  this.timeout(600_000);
  const started: ChildProcess[] = [];
  let address: string;
  let temporal: TemporalServer | undefined;
  let environment: NodeJS.ProcessEnv;

  before(async () => {
    address = `${HOST}:${await freePort()}`;
    environment = {
      PATH: process.env.PATH,
      TEMPORAL_ADDRESS: `${HOST}:${await freePort()}`,
      AWS_REGION: 'us-east-1',
      SLUICE_HEALTH_ADDRESS: address,
      SLUICE_LOG_LEVEL: 'ERROR',
    };
  });

  after(async () => {
    for (const child of started) if (child.exitCode === null) child.kill('SIGKILL');
    await temporal?.stop();
  });

  function run(command: string, settings: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn(process.execPath, sourceCommand(command), {
      env: { ...environment, ...settings },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    started.push(child);
    return child;
  }

  /** What an orchestrator gets. */
  async function check(settings: NodeJS.ProcessEnv = {}): Promise<{ code: number; says: string }> {
    const child = run('health', settings);
    let says = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (says += text));
    const [code] = (await once(child, 'close')) as [number];
    return { code, says: says.trim() };
  }

  /** Asks until the answer is this one: on a busy machine Temporal, or the worker, may answer too late for a single check. */
  async function checks(code: number, says: RegExp): Promise<void> {
    await eventually(`${code}: ${says}`, async () => {
      const found = await check();
      return found.code === code && says.test(found.says);
    });
  }

  async function health(): Promise<Health | undefined> {
    const response = await fetch(`http://${address}/health`).catch(() => undefined);
    return response && ((await response.json()) as Health);
  }

  async function startTemporal(): Promise<TemporalServer> {
    const [, port] = environment['TEMPORAL_ADDRESS']?.split(':') ?? [];
    return await startTemporalServer({ port: Number(port) });
  }

  it('is bad before Temporal is there, good while it is, bad when it goes, and good again', async () => {
    const worker = run('worker');
    await eventually('an answer', async () => (await health()) !== undefined);
    assert.deepEqual(await health(), {
      healthy: false,
      problems: [`there is no connection to Temporal at ${environment['TEMPORAL_ADDRESS']} yet`],
    });

    temporal = await startTemporal();
    await eventually('good', async () => (await health())?.healthy === true);
    await checks(0, /^The Workers poll$/);

    await temporal.kill();
    await eventually('bad', async () => (await health())?.healthy === false);
    await checks(1, /^Temporal does not say who polls sluice-ingest: .+\n.+ sluice-batch: /);

    temporal = await startTemporal();
    await eventually('good again', async () => (await health())?.healthy === true);

    worker.kill('SIGTERM');
    const [exitCode] = (await once(worker, 'exit')) as [number];
    assert.equal(exitCode, 0);
    assert.match((await check()).says, /^No worker answers: /);
  });

  it('can not be asked for without an address', async () => {
    assert.deepEqual(await check({ SLUICE_HEALTH_ADDRESS: '' }), {
      code: 1,
      says: "SLUICE_HEALTH_ADDRESS is not set: set it to the same address as the worker's",
    });
  });
});
