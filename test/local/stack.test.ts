import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Client, Connection } from '@temporalio/client';
import { startMotoServer } from '../../local/moto-server';
import { freePort, HOST } from '../../local/ports';
import { ensurePythonEnvironment } from '../../local/python';
import { StackError } from '../../local/stack-error';
import { startStack } from '../../local/stack';
import { startTemporalServer } from '../../local/temporal-server';
import { eventually } from '../support/eventually';

describe('the embedded stack', () => {
  let scratch: string;
  const started: { stop(): Promise<void> }[] = [];

  before(async function () {
    this.timeout('5m');
    await ensurePythonEnvironment();
    scratch = await mkdtemp(path.join(tmpdir(), 'sluice-stack-'));
  });

  // A server that a failed test left running would keep mocha from ending.
  afterEach(() => Promise.all(started.splice(0).map((server) => server.stop())));

  after(() => rm(scratch, { recursive: true }));

  it('runs twice side by side, and every server answers until it is stopped', async () => {
    const stacks = await Promise.all([startStack(), startStack()]);
    started.push(...stacks);
    for (const { temporal, moto, codec, environment } of stacks) {
      assert.equal(environment['TEMPORAL_ADDRESS'], temporal.address);
      assert.equal(environment['AWS_ENDPOINT_URL'], moto.url);
      assert.equal((await fetch(temporal.webUrl)).status, 200);
      assert.equal((await fetch(`${moto.url}/moto-api/`)).status, 200);
      assert.deepEqual(await decodedFor(temporal.webUrl, codec.url), { payloads: [] });
      await withClient(temporal.address, (client) => startWorkflow(client, 'any'));
    }
    await Promise.all(stacks.map((stack) => stack.stop()));
    for (const { temporal, moto, codec } of stacks) {
      assert.equal(await answers(temporal.port), false);
      assert.equal(await answers(moto.port), false);
      assert.equal(await answers(Number(new URL(codec.url).port)), false);
    }
  });

  it('leaves nothing running when one of its servers can not start', async () => {
    const motoPort = await freePort();
    const temporalPort = await freePort();
    const codecPort = await freePort();
    const taken = createServer().listen(temporalPort, HOST);
    await once(taken, 'listening');
    await assert.rejects(startStack({ motoPort, temporalPort, codecPort }), StackError);
    taken.close();
    assert.equal(await answers(motoPort), false);
    assert.equal(await answers(codecPort), false);
  });

  it('keeps a workflow when Temporal is killed and started on the same database and port', async () => {
    const port = await freePort();
    const databaseFile = path.join(scratch, 'new-folder', 'temporal.db');
    const first = await startTemporalServer({ port, databaseFile });
    started.push(first);
    await withClient(first.address, (client) => startWorkflow(client, 'kept'));
    await first.kill();
    const second = await startTemporalServer({ port, databaseFile });
    started.push(second);
    const description = await withClient(second.address, (client) =>
      client.workflow.getHandle('kept').describe(),
    );
    assert.equal(description.status.name, 'RUNNING');
  });

  it('gives Temporal its dynamic configuration', async () => {
    const temporal = await startTemporalServer({ dynamicConfig: { 'limit.maxIDLength': 100 } });
    started.push(temporal);
    const tooLong = 'x'.repeat(101);
    await assert.rejects(
      withClient(temporal.address, (client) => startWorkflow(client, tooLong)),
      ({ cause }: Error) => /exceeds maximum allowed length/.test(String(cause)),
    );
  });

  it('names a port that is in use and says what to do', async () => {
    const taken = createServer().listen(0, HOST);
    await once(taken, 'listening');
    const address = taken.address();
    assert.ok(address !== null && typeof address === 'object');
    const { port } = address;
    const advice = `can't listen on port ${port} of 127.0.0.1 (it is in use): end the program that uses it, or name another port.`;
    await assert.rejects(startTemporalServer({ port }), {
      name: 'StackError',
      message: `Temporal ${advice}`,
    });
    await assert.rejects(startTemporalServer({ uiPort: port }), { message: `Temporal's web UI ${advice}` });
    await assert.rejects(startMotoServer({ port }), { name: 'StackError', message: `moto ${advice}` });
    taken.close();
  });

  it('shows what a server wrote when it ends before it answers', async () => {
    await assert.rejects(
      startTemporalServer({ databaseFile: scratch }),
      /^StackError: Temporal ended before .*\n.*unable to open database/s,
    );
  });

  it('ends its servers when the process that started them is killed with -9', async () => {
    const parent = spawn(process.execPath, ['--import', 'tsx', path.join(__dirname, 'moto-parent.ts')]);
    const [line] = await once(createInterface({ input: parent.stdout }), 'line');
    const { port } = JSON.parse(String(line));
    assert.equal(await answers(port), true);
    parent.kill('SIGKILL');
    await eventually(`port ${port} refuses`, async () => !(await answers(port)));
  });
});

/** Starts a workflow that no worker ever runs. */
async function startWorkflow(client: Client, workflowId: string): Promise<void> {
  await client.workflow.start('noWorkerKnowsIt', { taskQueue: 'nobody', workflowId });
}

async function withClient<T>(address: string, use: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await use(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

/** What a page of the web UI gets from the codec server for no payloads. */
async function decodedFor(webUrl: string, codecUrl: string): Promise<unknown> {
  const { origin } = new URL(webUrl);
  const response = await fetch(`${codecUrl}/decode`, {
    method: 'POST',
    headers: { Origin: origin, 'Content-Type': 'application/json' },
    body: JSON.stringify({ payloads: [] }),
  });
  assert.equal(response.headers.get('Access-Control-Allow-Origin'), origin);
  return await response.json();
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
