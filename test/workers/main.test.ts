import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { HOST } from '../../src/local/ports';
import { packageRoot } from '../../src/local/python';

type Answer = (error: { code: status; details: string } | null, message?: Buffer) => void;

/** A Temporal that answers by these functions alone, from the name of a method to what it does. */
async function startTemporal(methods: Record<string, (answer: Answer) => void>): Promise<{
  address: string;
  close: () => void;
}> {
  const server = new Server();
  const bytes = (message: Buffer) => message;
  const service = Object.fromEntries(
    Object.keys(methods).map((name) => [
      name,
      {
        path: `/temporal.api.workflowservice.v1.WorkflowService/${name}`,
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    ]),
  );
  server.addService(
    service,
    Object.fromEntries(
      Object.entries(methods).map(([name, method]) => [
        name,
        (_call: unknown, answer: Answer) => method(answer),
      ]),
    ),
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${HOST}:0`, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { address: `${HOST}:${port}`, close: () => server.forceShutdown() };
}

describe('A worker process', function () {
  this.timeout(60_000);
  const endings: (() => void)[] = [];

  afterEach(() => {
    for (const end of endings.splice(0)) end();
  });

  it('ends when one of its Workers can not be made, though the other is still being made', async () => {
    let asked = 0;
    const temporal = await startTemporal({
      GetSystemInfo: (answer) => answer(null, Buffer.of()),
      DescribeNamespace: (answer) => {
        asked += 1;
        // The first may be asked for the connection, and is let pass; of the two Workers one is refused, and the other waits.
        if (asked <= 2) answer({ code: status.PERMISSION_DENIED, details: 'not you' });
      },
    });
    endings.push(temporal.close);
    const worker: ChildProcess = spawn(process.execPath, ['--import', 'tsx', 'src/workers/main.ts'], {
      cwd: packageRoot,
      env: { PATH: process.env['PATH'], TEMPORAL_ADDRESS: temporal.address, AWS_REGION: 'us-east-1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    endings.push(() => worker.kill('SIGKILL'));
    let output = '';
    for (const stream of [worker.stdout, worker.stderr])
      stream?.on('data', (text) => (output += String(text)));
    const [code] = (await once(worker, 'exit')) as [number | null];
    assert.match(output, /Worker process failed.*not you/s);
    assert.equal(code, 1);
  });
});
