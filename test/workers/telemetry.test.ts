import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { freePort, HOST } from '../../local/ports';
import { eventually } from '../support/eventually';
import { sourceCommand } from '../support/source-command';

/** A worker process whose Temporal is away: what it writes, and how it ends. */
class StartedWorker {
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | string>;
  #text = '';

  constructor(environment: Record<string, string>) {
    this.#child = spawn(process.execPath, sourceCommand('worker'), {
      env: {
        PATH: process.env.PATH,
        AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
        ...environment,
      },
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#text += text));
    this.#exited = once(this.#child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  }

  /** What it has written to stderr. */
  get lines(): string[] {
    return this.#text.split('\n').slice(0, -1);
  }

  /** @returns the exit code, or the signal's name */
  async end(signal?: NodeJS.Signals): Promise<number | string> {
    if (signal) this.#child.kill(signal);
    return await this.#exited;
  }
}

describe('A worker process', () => {
  let worker: StartedWorker;
  let address: string;
  let listener: Server | undefined;

  beforeEach(async () => {
    address = `${HOST}:${await freePort()}`;
  });

  afterEach(async () => {
    await worker.end('SIGKILL');
    listener?.close();
  });

  async function startUntilWarned(environment: Record<string, string>): Promise<string[]> {
    worker = new StartedWorker({ TEMPORAL_ADDRESS: address, ...environment });
    await eventually('a warning', () => worker.lines.some((line) => line.includes('WARN')));
    return worker.lines;
  }

  it('logs one JSON object a line where stderr is no terminal', async () => {
    const [first = '', second = ''] = await startUntilWarned({});
    const { time, ...start } = JSON.parse(first) as Record<string, string>;
    assert.ok(Math.abs(Date.parse(time ?? '') - Date.now()) < 60_000);
    assert.deepEqual(start, {
      level: 'INFO',
      message: 'Worker process starts',
      roles: 'ingest,batch',
      temporalAddress: address,
      temporalNamespace: 'default',
    });
    const warning = JSON.parse(second) as Record<string, string>;
    assert.equal(warning['message'], 'Temporal does not answer (TEMPORAL_ADDRESS); trying again');
    assert.equal(warning['temporalAddress'], address);
    assert.equal(await worker.end('SIGTERM'), 0);
  });

  it('logs lines of text where it is asked to, and nothing below its level', async () => {
    const [first = ''] = await startUntilWarned({ SLUICE_LOG_FORMAT: 'text', SLUICE_LOG_LEVEL: 'WARN' });
    assert.match(
      first,
      /^\S+Z WARN  Temporal does not answer \(TEMPORAL_ADDRESS\); trying again temporalAddress=/,
    );
  });

  it('ends with a sentence when something listens at the address of its metrics', async () => {
    listener = createServer().listen(0, HOST);
    await once(listener, 'listening');
    const { port } = listener.address() as { port: number };
    worker = new StartedWorker({ TEMPORAL_ADDRESS: address, SLUICE_METRICS_ADDRESS: `localhost:${port}` });
    assert.equal(await worker.end(), 2);
    assert.deepEqual(worker.lines, [
      'SLUICE_METRICS_ADDRESS must be an address that no program listens at: end the one that does (another worker?), ' +
        `or name another address; it is "localhost:${port}"`,
    ]);
  });

  it('ends with a sentence when the address of its metrics is of another machine', async () => {
    worker = new StartedWorker({ TEMPORAL_ADDRESS: address, SLUICE_METRICS_ADDRESS: '192.0.2.1:9464' });
    assert.equal(await worker.end(), 2);
    assert.match(
      worker.lines.join('\n'),
      /^SLUICE_METRICS_ADDRESS must be an address that this process can listen at \(.*EADDRNOTAVAIL.*\); it is "192\.0\.2\.1:9464"$/,
    );
  });

  it('tries to reach Temporal again where it serves metrics, too: the SDK listens anew each time', async () => {
    await startUntilWarned({ SLUICE_METRICS_ADDRESS: `${HOST}:${await freePort()}` });
    await eventually('a second try', () => worker.lines.length >= 3);
    for (const line of worker.lines.slice(1)) assert.match(line, /Temporal does not answer/);
  });

  it('ends with the settings that are wrong', async () => {
    worker = new StartedWorker({ SLUICE_LOG_LEVEL: 'loud', SLUICE_LOG_FORMAT: 'xml' });
    assert.equal(await worker.end(), 2);
    assert.deepEqual(worker.lines, [
      'SLUICE_LOG_FORMAT must be auto, text or json; it is "xml"',
      'SLUICE_LOG_LEVEL must be TRACE, DEBUG, INFO, WARN or ERROR; it is "loud"',
    ]);
  });
});
