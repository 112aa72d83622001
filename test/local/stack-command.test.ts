import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection, WorkflowNotFoundError } from '@temporalio/client';
import { parse } from 'dotenv';
import { freePort, HOST } from '../../local/ports';
import { ensurePythonEnvironment } from '../../local/python';
import { eventually } from '../support/eventually';
import { ForegroundProcess, gone } from './foreground-process';

interface Ports {
  temporal: number;
  ui: number;
  moto: number;
  codec: number;
}

describe('npm run stack', function () {
  this.timeout('5m');
  let scratch: string;
  let folder: string;
  let ports: Ports;
  const started: ForegroundProcess[] = [];

  before(async function () {
    this.timeout('5m');
    await ensurePythonEnvironment();
  });

  beforeEach(async () => {
    scratch = await mkdtemp(path.join(tmpdir(), 'sluice-stack-'));
    folder = path.join(scratch, 'stack');
    ports = {
      temporal: await freePort(),
      ui: await freePort(),
      moto: await freePort(),
      codec: await freePort(),
    };
  });

  afterEach(async () => {
    for (const command of started.splice(0)) {
      const servers = command.hasExited ? [] : await command.descendants();
      await command.kill();
      await gone(servers);
    }
    await rm(scratch, { recursive: true });
  });

  it('prints addresses that answer, and ends all that it started at Ctrl-C', async () => {
    const stack = await runStack();
    assert.ok(stack.output.includes(`127.0.0.1:${ports.temporal}, its state in stack/temporal.db\n`));
    assert.ok(stack.output.includes(`http://127.0.0.1:${ports.ui}\n`));
    assert.ok(stack.output.includes(`http://127.0.0.1:${ports.moto},`));
    assert.ok(stack.output.includes(`http://127.0.0.1:${ports.codec},`));
    await withClient((client) => startWorkflow(client, 'any'));
    assert.equal((await fetch(`http://127.0.0.1:${ports.ui}`)).status, 200);
    assert.equal((await fetch(`http://127.0.0.1:${ports.moto}/moto-api/`)).status, 200);

    const servers = await stack.descendants();
    assert.ok(servers.length >= 4, 'two servers, each with its tether');
    stack.interrupt();
    assert.equal(await stack.exited, 0);
    await gone(servers);
  });

  it('prints lines that point a shell or .env at it', async () => {
    const stack = await runStack();
    const lines = stack.output.split('\n').filter((line) => line.startsWith('export '));
    const expected = {
      TEMPORAL_ADDRESS: `127.0.0.1:${ports.temporal}`,
      AWS_ENDPOINT_URL: `http://127.0.0.1:${ports.moto}`,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_EC2_METADATA_DISABLED: 'true',
    };
    assert.deepEqual(parse(lines.join('\n')), expected);
    const { stdout } = await promisify(execFile)('sh', ['-c', `${lines.join('\n')}\nenv`], { env: {} });
    for (const [name, value] of Object.entries(expected)) {
      assert.ok(stdout.split('\n').includes(`${name}=${value}`), name);
    }
  });

  it("keeps Temporal's state over a restart, and not moto's, as it says", async () => {
    const first = await runStack();
    assert.ok(
      first.output.includes('Temporal keeps its state over a restart of this stack, moto begins empty.'),
    );
    await withClient((client) => startWorkflow(client, 'kept'));
    assert.equal((await fetch(bucketUrl(), { method: 'PUT' })).status, 200);
    assert.equal((await fetch(bucketUrl())).status, 200);
    first.interrupt();
    assert.equal(await first.exited, 0);

    await runStack();
    assert.equal(await statusOf('kept'), 'RUNNING');
    assert.equal((await fetch(bucketUrl())).status, 404);
  });

  it("begins anew with --reset, which removes the state's folder and nothing else", async () => {
    const first = await runStack();
    await withClient((client) => startWorkflow(client, 'removed'));
    first.interrupt();
    assert.equal(await first.exited, 0);
    await writeFile(path.join(folder, 'in-it'), '');
    await writeFile(path.join(scratch, 'beside-it'), '');

    await runStack('--reset');
    await assert.rejects(statusOf('removed'), WorkflowNotFoundError);
    assert.ok((await readdir(scratch)).includes('beside-it'));
    assert.ok(!(await readdir(folder)).includes('in-it'));
  });

  it('refuses to run, and to reset, while another has the folder', async () => {
    await runStack();
    await withClient((client) => startWorkflow(client, 'untouched'));
    for (const option of [[], ['--reset']]) {
      const second = start(...option);
      assert.equal(await second.exited, 1);
      assert.match(
        second.output,
        /^A stack with its state in \S+ is running \(process \d+\): end it first\.\n$/,
      );
    }
    assert.equal(await statusOf('untouched'), 'RUNNING');
  });

  it('takes the folder over from one that was killed with -9, and whose servers have ended', async () => {
    const first = await runStack();
    const servers = await first.descendants();
    await first.kill();
    await gone(servers);
    const second = await runStack();
    second.interrupt();
    assert.equal(await second.exited, 0);
  });

  it('ends with a sentence and leaves nothing running when a port is in use', async () => {
    const taken = createServer().listen(ports.ui, HOST);
    await once(taken, 'listening');
    const stack = start();
    try {
      assert.equal(await stack.exited, 1);
    } finally {
      taken.close();
    }
    assert.equal(
      stack.output,
      `Starting Temporal and moto …\nTemporal's web UI can't listen on port ${ports.ui} of 127.0.0.1 (it is in use): ` +
        'end the program that uses it, or name another port.\n',
    );
    await eventually('moto is gone', () => refuses(`http://127.0.0.1:${ports.moto}/moto-api/`));
  });

  it('ends with a sentence, and ends the other server, when one ends by itself', async () => {
    const stack = await runStack();
    const servers = await stack.descendants();
    const { stdout } = await promisify(execFile)('ps', ['-o', 'pid=,args=', '-p', servers.join(',')]);
    const [, moto] = /^\s*(\d+) (?!.*tether).*moto\.py/m.exec(stdout) ?? [];
    process.kill(Number(moto), 'SIGKILL');
    assert.equal(await stack.exited, 1);
    assert.ok(stack.output.endsWith(`\nmoto (process ${moto}) ended by itself: start again.\n`));
    await gone(servers);
  });

  it('says which option is wrong', async () => {
    const stack = start('--ui-port', '65536');
    assert.equal(await stack.exited, 2);
    assert.match(stack.output, /--ui-port <port>.* whole number from 1 to 65535/);
  });

  it('brings a simulated stream along when asked to, with the line that points a pipeline at it', async () => {
    const port = await freePort();
    const stack = await runStack('--simulated', '--stream-port', String(port));
    const url = `http://127.0.0.1:${port}/v2/stream/recentchange`;
    assert.ok(stack.output.includes(`\nexport SLUICE_SOURCE_URL=${url}\n`), stack.output);
    const controller = new AbortController();
    const response = await fetch(url, {
      headers: { 'User-Agent': 'test/1 (test@example.org)' },
      signal: controller.signal,
    });
    assert.equal(response.status, 200);
    controller.abort();
  });

  it('tells its options, the usual ports among them', async () => {
    const stack = start('--help');
    assert.equal(await stack.exited, 0);
    for (const usual of ['7233', '8233', '5000', '8234', '--reset'])
      assert.ok(stack.output.includes(usual), usual);
  });

  function start(...options: string[]): ForegroundProcess {
    const usual = [
      ['--temporal-port', ports.temporal],
      ['--ui-port', ports.ui],
      ['--moto-port', ports.moto],
      ['--codec-port', ports.codec],
    ];
    const command = new ForegroundProcess(path.join(__dirname, 'stack-parent.ts'), {
      args: [folder, ...usual.flat().map(String), ...options],
      cwd: scratch,
    });
    started.push(command);
    return command;
  }

  async function runStack(...options: string[]): Promise<ForegroundProcess> {
    const command = start(...options);
    await command.said(/Ctrl-C ends all/);
    return command;
  }

  async function withClient<T>(use: (client: Client) => Promise<T>): Promise<T> {
    const connection = await Connection.connect({ address: `127.0.0.1:${ports.temporal}` });
    try {
      return await use(new Client({ connection }));
    } finally {
      await connection.close();
    }
  }

  function statusOf(workflowId: string): Promise<string> {
    return withClient(async (client) => (await client.workflow.getHandle(workflowId).describe()).status.name);
  }

  function bucketUrl(): string {
    return `http://127.0.0.1:${ports.moto}/forgotten`;
  }
});

/** Starts a workflow that no worker ever runs. */
async function startWorkflow(client: Client, workflowId: string): Promise<void> {
  await client.workflow.start('noWorkerKnowsIt', { taskQueue: 'nobody', workflowId });
}

async function refuses(url: string): Promise<boolean> {
  return await fetch(url).then(
    () => false,
    () => true,
  );
}
