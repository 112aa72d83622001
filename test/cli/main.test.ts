import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { sourceCommand } from '../support/source-command';

describe('The command line', function () {
  this.timeout('1m');

  function sluice(...args: string[]): { code: number | null; out: string; problem: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, sourceCommand(...args), {
      env: { PATH: process.env.PATH },
      encoding: 'utf8',
    });
    return { code: status, out: stdout, problem: stderr };
  }

  it('says which roles a worker has', () => {
    const { code, out } = sluice('worker', '--help');
    assert.equal(code, 0);
    assert.match(out, /Usage: sluice worker .*\[role\.\.\.\]/);
    assert.match(out, /^Roles: ingest reads .*; batch empties .*Without one: both\.$/m);
  });

  it('starts no worker for a role that there is not', () => {
    const { code, problem } = sluice('worker', 'ingest', 'lunch');
    assert.equal(code, 2);
    assert.match(problem, /'lunch' is invalid.*Allowed choices are ingest, batch/);
  });

  it('ends a command that it does not know as wrong use', () => {
    const { code, problem } = sluice('wait');
    assert.equal(code, 2);
    assert.match(problem, /unknown command 'wait'/);
  });
});
