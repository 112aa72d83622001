import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { status } from '@grpc/grpc-js';
import { sourceCommand } from '../support/source-command';
import { EMPTY, startFakeTemporal } from '../support/fake-temporal';

describe('A worker process', function () {
  this.timeout(300_000);
  const endings: (() => void)[] = [];

  afterEach(() => {
    for (const end of endings.splice(0)) end();
  });

  it('ends when one of its Workers can not be made, though the other is still being made', async () => {
    let asked = 0;
    const temporal = await startFakeTemporal({
      GetSystemInfo: (answer) => answer(null, EMPTY),
      DescribeNamespace: (answer) => {
        asked += 1;
        // The first may be asked for the connection, and is let pass; of the two Workers one is refused, and the other waits.
        if (asked <= 2) answer({ code: status.PERMISSION_DENIED, details: 'not you' });
      },
    });
    endings.push(temporal.close);
    const worker: ChildProcess = spawn(process.execPath, sourceCommand('worker'), {
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
