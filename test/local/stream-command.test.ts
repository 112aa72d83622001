import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { freePort, HOST } from '../../local/ports';
import type { Ledger } from '../../local/simulated-stream';
import { ForegroundProcess } from './foreground-process';

describe('The simulated stream as a command', function () {
  this.timeout('5m');
  let command: ForegroundProcess | undefined;

  afterEach(() => command?.kill());

  function startCommand(...args: string[]): ForegroundProcess {
    const script = require.resolve('../../local/stream-command.ts');
    return new ForegroundProcess(script, { args, cwd: tmpdir() });
  }

  it('serves a stream and what it published, and publishes more on request', async () => {
    const [port, ledgerPort] = [await freePort(), await freePort()];
    command = startCommand('--port', String(port), '--ledger-port', String(ledgerPort), '--events', '0');
    await command.said(/\/ledger/);
    const post = (query: string) => fetch(`http://${HOST}:${ledgerPort}/publish${query}`, { method: 'POST' });
    assert.equal((await post('?count=3')).status, 200);
    for (const wrong of ['', '?count=x', '?count=0', '?count=1.5', '?count=10001']) {
      assert.equal((await post(wrong)).status, 400, wrong);
    }
    const { published } = (await (await fetch(`http://${HOST}:${ledgerPort}/ledger`)).json()) as Ledger;
    assert.equal(published.length, 3);

    const stream = await fetch(`http://${HOST}:${port}/v2/stream/recentchange?since=2020-01-01`, {
      headers: { 'user-agent': 'test/1 (nobody)' },
    });
    assert.equal(stream.status, 200);
    let text = '';
    for await (const chunk of stream.body ?? []) {
      text += Buffer.from(chunk).toString('latin1');
      if (published.every(({ key }) => text.includes(key))) break;
    }
  });

  it('says which option it can not use', async () => {
    command = startCommand('--port', '0');
    await command.said(/It must be a whole number from 1 to 65535/);
    assert.equal(await command.exited, 2);
  });
});
