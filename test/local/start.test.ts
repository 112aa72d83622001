import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort, HOST } from '../../local/ports';
import { ensurePythonEnvironment } from '../../local/python';
import {
  type SimulatedStream,
  type SimulatedStreamOptions,
  startSimulatedStream,
} from '../../local/simulated-stream';
import { eventually } from '../support/eventually';
import { ForegroundProcess, gone } from './foreground-process';

describe('npm start', function () {
  this.timeout('5m');
  let scratch: string;
  let stream: SimulatedStream | undefined;
  let command: ForegroundProcess | undefined;

  before(async function () {
    this.timeout('5m');
    await ensurePythonEnvironment();
  });

  beforeEach(async () => {
    scratch = await mkdtemp(path.join(tmpdir(), 'sluice-start-'));
  });

  afterEach(async () => {
    if (command && !command.hasExited) {
      const servers = await command.descendants();
      await command.kill();
      await gone(servers);
    }
    await stream?.close();
    command = undefined;
    stream = undefined;
    await rm(scratch, { recursive: true });
  });

  it('brings the stream into the lake until Ctrl-C, then stops, counts, and leaves nothing running', async () => {
    await publish({ events: 60, broken: 0 });
    // The stream begins when it is asked whether it is there.
    command = start({ SLUICE_SOURCE_SINCE: new Date().toISOString(), SLUICE_BATCH_ROWS: '20' });
    const [, webUrl] = await command.said(/^Temporal's web UI +(http\S+)$/m);
    const [, metricsUrl] = await command.said(/^metrics +(http\S+)$/m);
    await command.said(/^[1-9]\d* rows in [1-9]\d* objects, \d+ waiting/m);
    assert.equal((await fetch(String(webUrl))).status, 200);
    assert.match(await (await fetch(String(metricsUrl))).text(), /^temporal_/m);
    await stream?.published;

    const children = await command.descendants();
    // npm hands the Ctrl-C on that its child had from the terminal as well: the two are one.
    command.interrupt();
    command.interrupt();
    assert.equal(await command.exited, 0);
    assert.match(command.output, /^pipeline recentchange: stopped, all is in the lake$/m);
    assert.match(
      command.output,
      /^\d+ rows in \d+ objects were in s3:\/\/sse-bucket: they end with moto, which keeps them in memory\.\n$/m,
    );
    await gone(children);
  });

  it('ends at once at the second Ctrl-C, and leaves nothing running', async () => {
    await publish({ events: 5, broken: 0 });
    command = start({ SLUICE_DRAIN_QUIET: '1h' });
    await command.said(/Ctrl-C stops the pipeline/);
    const children = await command.descendants();
    command.interrupt();
    await command.said(/Ctrl-C again ends at once/);
    const { exited } = command;
    const ended = eventually('it ends', () => {
      command?.interrupt();
      return command?.hasExited ?? true;
    });
    assert.equal(await exited, 130);
    await ended;
    await gone(children);
  });

  it('reads .env, and takes other ports where the usual ones are in use', async () => {
    await publish({ events: 5, broken: 0 });
    const taken = createServer();
    try {
      await occupy(taken, 8233);
      await writeFile(
        path.join(scratch, '.env'),
        `SLUICE_PIPELINE=from-dot-env\nSLUICE_SOURCE_URL=${stream?.url}\nSLUICE_METRICS_ADDRESS=${HOST}:${await freePort()}\n`,
      );
      command = new ForegroundProcess(script, { cwd: scratch });
      await command.said(/^pipeline from-dot-env: started$/m);
      const [, port] = await command.said(/^Temporal's web UI +http:\/\/127\.0\.0\.1:(\d+)$/m);
      assert.notEqual(port, '8233');
      assert.equal((await fetch(`http://${HOST}:${port}`)).status, 200);
    } finally {
      taken.close();
    }
  });

  it('starts nothing without the source, and names the demo', async () => {
    const url = `http://${HOST}:${await freePort()}/v2/stream/recentchange`;
    command = start({ SLUICE_SOURCE_URL: url });
    assert.equal(await command.exited, 1);
    assert.match(command.output, /^http:\/\/\S+ can't be reached \(.*\): .*`npm run demo`.*\.\n$/);
    assert.ok(command.output.startsWith(url));
  });

  it('starts nothing with settings that are wrong', async () => {
    command = start({ SLUICE_BATCH_ROWS: 'many', SLUICE_SOURCE_URL: 'http://localhost' });
    assert.equal(await command.exited, 2);
    assert.match(command.output, /^SLUICE_BATCH_ROWS must be .* it is "many"\n$/);
  });

  const script = path.join(__dirname, '../../local/start.ts');

  function start(environment: Record<string, string> = {}): ForegroundProcess {
    const settings = stream ? { SLUICE_SOURCE_URL: stream.url } : {};
    return new ForegroundProcess(script, { cwd: scratch, environment: { ...settings, ...environment } });
  }

  async function publish(options: SimulatedStreamOptions): Promise<void> {
    stream = await startSimulatedStream({ ratePerSecond: 20, retryMilliseconds: 200, ...options });
  }
});

/** Resolves when something listens on the port, this or another. */
async function occupy(server: ReturnType<typeof createServer>, port: number): Promise<void> {
  server.listen(port, HOST);
  await Promise.race([once(server, 'listening'), once(server, 'error')]).catch(() => {});
}
