import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import type { PipelineStatus } from '../../src/cli/status';
import type { LakeReport } from '../../src/verify/lake-audit';
import { type Audit, auditLake } from '../../local/audit';
import { freePort, HOST } from '../../local/ports';
import type { Ledger } from '../../local/simulated-stream';
import { eventually } from '../support/eventually';
import { findChromium, launchChromium, openWorkflowList } from '../support/browser';
import { makeCertificate } from '../support/certificate';
import { ComposeProject, type Container, engineMissing } from './compose';

const ROWS = 1_000;
/** The stream breaks one event, and publishes it beside the others. */
const BROKEN = 2;
/** Published in one go, so that whatever is killed is in the middle of them. */
const BURST = 400;

const PATIENCE_MS = 240_000;

describe('The simulated variant under docker compose (skipped where no Docker engine is reachable)', function () {
  this.timeout('20m');
  // Each test goes on where the one before it ended.
  this.bail(true);

  let project: ComposeProject;
  let ports: { temporal: number; ui: number; codec: number; moto: number; ledger: number };
  let s3: S3Client;
  let isStarted = false;
  /** What earlier runs of the stream published: it forgets when it is stopped. */
  const earlier: Ledger[] = [];

  before(async function () {
    const reason = await engineMissing();
    if (reason !== undefined) {
      console.log(`  skipped: ${reason}`);
      this.skip();
    }
    ports = {
      temporal: await freePort(),
      ui: await freePort(),
      codec: await freePort(),
      moto: await freePort(),
      ledger: await freePort(),
    };
    project = new ComposeProject(
      `sluice-test-${process.pid}`,
      ['docker-compose.yml', 'docker-compose.simulated.yml'],
      {
        SLUICE_TEMPORAL_PORT: String(ports.temporal),
        SLUICE_UI_PORT: String(ports.ui),
        SLUICE_CODEC_PORT: String(ports.codec),
        SLUICE_MOTO_PORT: String(ports.moto),
        SLUICE_LEDGER_PORT: String(ports.ledger),
        SLUICE_STREAM_EVENTS: String(ROWS + BROKEN),
        SLUICE_STREAM_RATE: '50',
        // What a machine's `.env` may hold after `npm run stack`.
        TEMPORAL_ADDRESS: '127.0.0.1:1',
        AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
        SLUICE_SOURCE_URL: 'http://127.0.0.1:1/',
      },
    );
    s3 = new S3Client({
      endpoint: `http://${HOST}:${ports.moto}`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      forcePathStyle: true,
    });
    isStarted = true;
    await project.compose('build', '--quiet', 'worker');
  });

  afterEach(async function () {
    if (this.currentTest?.state !== 'failed') return;
    console.log(await project.compose('ps', '--all'));
    console.log(await project.compose('logs', '--no-color', '--tail', '40'));
  });

  after(async () => {
    if (!isStarted) return;
    s3.destroy();
    await project.compose('down', '--volumes', '--timeout', '5');
  });

  async function up(...args: string[]): Promise<void> {
    await project.compose('up', '--detach', '--wait', '--wait-timeout', '300', ...args);
  }

  async function ledger(): Promise<Ledger> {
    const response = await fetch(`http://${HOST}:${ports.ledger}/ledger`);
    const now = (await response.json()) as Ledger;
    const all = [...earlier, now];
    return {
      published: all.flatMap(({ published }) => published),
      broken: all.flatMap(({ broken }) => broken),
      withheld: [],
      canaries: 0,
    };
  }

  async function publish(count: number): Promise<void> {
    const url = `http://${HOST}:${ports.ledger}/publish?count=${count}`;
    const { status } = await fetch(url, { method: 'POST' });
    assert.equal(status, 200);
  }

  async function audit(): Promise<Audit> {
    return await auditLake({ s3, bucket: 'sse-bucket', prefix: '', ledger: await ledger() });
  }

  /** Until each event that was published has its row. @returns how many rows there are */
  async function untilWhole(): Promise<number> {
    let found = await audit();
    await eventually(
      'each event has its row',
      async () => {
        found = await audit();
        return found.missing.length === 0;
      },
      PATIENCE_MS,
    );
    const { missing, repeated, unknown, changed } = found;
    const none = { missing: [], repeated: [], unknown: [], changed: [] };
    assert.deepEqual({ missing, repeated, unknown, changed }, none);
    return found.rows;
  }

  /** Until the lake has some of a burst, and not all of it. */
  async function untilInTheMiddle(before: number): Promise<void> {
    await eventually('some rows of the burst', async () => (await audit()).rows > before, PATIENCE_MS);
  }

  async function status(): Promise<PipelineStatus> {
    return JSON.parse(
      await project.compose('exec', '-T', 'worker', 'sluice', 'status', '--json'),
    ) as PipelineStatus;
  }

  async function isHealthy(service: string): Promise<boolean> {
    const containers = await project.containers(service);
    return containers.length > 0 && containers.every(({ health }) => health === 'healthy');
  }

  /** As the kernel would for want of memory: unlike `docker compose kill` it leaves the restart policy in force. */
  async function killFromOutside(service: string): Promise<Container> {
    const killed = await project.container(service);
    process.kill(killed.pid, 'SIGKILL');
    await eventually(
      `${service} runs again`,
      async () => {
        const { id, state, startedAt, restarts } = await project.container(service);
        return (
          id === killed.id &&
          state === 'running' &&
          startedAt > killed.startedAt &&
          restarts > killed.restarts
        );
      },
      60_000,
    );
    return killed;
  }

  /** What a process of the image's Node writes. */
  async function runInImage(script: string, environment: Record<string, string> = {}): Promise<string> {
    const variables = Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
    const options = ['--rm', '--no-deps', '--no-TTY', ...variables];
    return await project.compose('run', ...options, 'worker', 'node', '--eval', script);
  }

  it('has root certificates, without which no worker reaches a Temporal with a public one', async () => {
    const count = await runInImage(
      "const { readFileSync } = require('node:fs');" +
        "console.log(readFileSync('/etc/ssl/certs/ca-certificates.crt', 'utf8').split('-BEGIN CERTIFICATE-').length - 1)",
    );
    assert.ok(Number(count) > 100, `${count.trim()} root certificates`);

    const folder = await mkdtemp(join(tmpdir(), 'sluice-tls-'));
    try {
      const own = makeCertificate(folder, 'nobody-vouches-for-it');
      const says = await runInImage(TRY_TLS, {
        CERTIFICATE: readFileSync(own.certificate, 'utf8'),
        KEY: readFileSync(own.key, 'utf8'),
      });
      // Without roots it is `NativeCertsNotFound`, whatever the server has.
      assert.match(says, /InvalidCertificate/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('starts with one command, and writes 1,000 events as 1,000 rows', async () => {
    await up();
    for (const service of ['temporal', 'moto', 'stream', 'worker'])
      assert.ok(await isHealthy(service), service);
    await eventually('1,000 events', async () => (await ledger()).published.length === ROWS, PATIENCE_MS);
    assert.equal(await untilWhole(), ROWS);
    assert.equal((await audit()).rejected, BROKEN);
  });

  it('runs the worker and moto as ordinary users who can write and escalate nothing', async () => {
    for (const [service, user] of [
      ['worker', 'node'],
      ['moto', '5000:5000'],
    ] as const) {
      const { id } = await project.container(service);
      const [inspected] = JSON.parse(await project.docker('inspect', id)) as [
        { Config: { User: string }; HostConfig: Record<string, unknown> },
      ];
      assert.equal(inspected.Config.User, user);
      assert.equal(inspected.HostConfig['ReadonlyRootfs'], true);
      assert.deepEqual(inspected.HostConfig['CapDrop'], ['ALL']);
      assert.deepEqual(inspected.HostConfig['SecurityOpt'], ['no-new-privileges:true']);
    }
    const command = await project.compose('exec', '-T', 'worker', 'cat', '/proc/1/cmdline');
    assert.equal(command.replaceAll('\0', ' ').trim(), 'node /usr/local/bin/sluice worker');
  });

  it('changes nothing at a second `up`', async () => {
    const services = ['temporal', 'moto', 'stream', 'worker'];
    const containers = () => Promise.all(services.map((service) => project.container(service)));
    const before = await containers();
    const { ingest, batch } = await status();
    await up();
    const ids = ({ id, pid, startedAt }: Container) => ({ id, pid, startedAt });
    assert.deepEqual((await containers()).map(ids), before.map(ids));
    const now = await status();
    assert.deepEqual(now.ingest.definition, ingest.definition);
    assert.equal(now.batch.version, batch.version);
    assert.match(await project.compose('logs', '--no-color', 'start'), /pipeline recentchange: woken\n$/);
  });

  it('shows both workflows in the web UI (skipped where there is no Chromium)', async function () {
    const executable = findChromium();
    if (executable === undefined) {
      console.log('  skipped: no Chromium or Chrome found; install one, or name it in SLUICE_CHROMIUM');
      this.skip();
    }
    const browser = await launchChromium(executable);
    try {
      const page = await openWorkflowList(browser, `http://${HOST}:${ports.ui}`);
      await page.getByRole('link', { name: 'sluice-ingest/recentchange' }).waitFor();
      await page.getByRole('link', { name: 'sluice-batch/123456789012/us-east-1/sse_queue' }).waitFor();
    } finally {
      await browser.close();
    }
  });

  it('tells the web UI of a codec server that its pages may ask', async () => {
    const web = `http://${HOST}:${ports.ui}`;
    const settings = (await (await fetch(`${web}/api/v1/settings`)).json()) as {
      Codec?: { Endpoint?: string };
    };
    const endpoint = settings.Codec?.Endpoint;
    assert.equal(endpoint, `http://${HOST}:${ports.codec}`);

    const text = JSON.stringify('readable '.repeat(1_000));
    const payload = {
      metadata: { encoding: base64('json/plain') },
      data: base64(text),
    };
    const [compressed] = await askCodec(`${endpoint}/encode`, web, [payload]);
    assert.equal(compressed?.metadata.encoding, base64('binary/zlib'));
    assert.deepEqual(await askCodec(`${endpoint}/decode`, web, [compressed]), [payload]);
  });

  it('loses and repeats nothing when the worker is killed, and the restart policy starts it again', async () => {
    const before = (await audit()).rows;
    await publish(BURST);
    await untilInTheMiddle(before);
    await killFromOutside('worker');
    assert.equal(await untilWhole(), before + BURST);
  });

  it('loses and repeats nothing when Temporal is killed', async () => {
    const before = (await audit()).rows;
    await publish(BURST);
    await untilInTheMiddle(before);
    await killFromOutside('temporal');
    assert.equal(await untilWhole(), before + BURST);
  });

  it('calls the worker unhealthy while Temporal is away, and healthy when it is back', async () => {
    await eventually('healthy', () => isHealthy('worker'), 60_000);
    await project.compose('kill', 'temporal');
    await eventually(
      'unhealthy',
      async () => (await project.container('worker')).health === 'unhealthy',
      PATIENCE_MS,
    );
    await project.compose('start', 'temporal');
    await eventually('healthy again', () => isHealthy('worker'), PATIENCE_MS);
  });

  // Before the stream is stopped: after that its offsets begin anew, elsewhere.
  it('is whole by `sluice verify`, too, from inside, as far as broken events let it see', async () => {
    // They leave holes, and their offsets can't be read: exit code 1. Without a grace, since all of it is new.
    const command = ['sh', '-c', 'sluice verify --json --grace 0s || [ $? -eq 1 ]'];
    const text = await project.compose('exec', '-T', '--index', '1', 'worker', ...command);
    const { whole, unchecked } = JSON.parse(text) as LakeReport;
    assert.equal(whole, true);
    assert.deepEqual(unchecked, [{ check: 'offsets', reason: 'rejected-unreadable', count: BROKEN }]);
  });

  it('goes on after `stop` and `up` where it was: its state is on volumes', async () => {
    const before = (await audit()).rows;
    await publish(BURST);
    await eventually(
      'the stream is read, and rows wait',
      async () => {
        const { ingest } = await status();
        return ingest.counts.sent >= (await ledger()).published.length;
      },
      PATIENCE_MS,
    );
    const now = await ledger();
    earlier.splice(0, earlier.length, now);
    const first = await status();
    const begun = Date.now();
    await project.compose('stop');
    const seconds = (Date.now() - begun) / 1_000;
    // 137 would be SIGKILL at the end of the grace time, 143 a process that SIGTERM ended.
    assert.equal((await project.container('worker')).exitCode, 0, `after ${seconds} s`);
    await up();
    assert.equal(await untilWhole(), before + BURST + (await freshRows()));
    const second = await status();
    assert.ok(second.batch.counts.rows >= first.batch.counts.rows, 'the workflows know what they did before');
  });

  /** Of the stream's present run. */
  async function freshRows(): Promise<number> {
    const all = await ledger();
    return all.published.length - (earlier[0]?.published.length ?? 0);
  }

  it('shares the work among three workers', async () => {
    await up('--scale', 'worker=3', '--no-recreate');
    const workers = await project.containers('worker');
    assert.equal(workers.length, 3);
    assert.ok(await isHealthy('worker'));
    const before = await untilWhole();
    await publish(BURST);
    const rows = await untilWhole();
    assert.ok(rows >= before + BURST);
  });
});

/** Connects to a server with TLS as a worker does, and writes what came of it. */
const TRY_TLS = `
  const { createServer } = require('node:tls');
  const { NativeConnection } = require('@temporalio/worker');
  const { CERTIFICATE: cert, KEY: key } = process.env;
  const server = createServer({ cert, key, ALPNProtocols: ['h2'] }).listen(0, '127.0.0.1', async () => {
    const address = '127.0.0.1:' + server.address().port;
    console.log(await NativeConnection.connect({ address, tls: true }).then(() => 'connected', String));
    process.exit();
  });
`;

interface JsonPayload {
  metadata: { encoding: string };
  data: string;
}

/** As a page of the web UI asks. */
async function askCodec(
  url: string,
  origin: string,
  payloads: readonly (JsonPayload | undefined)[],
): Promise<JsonPayload[]> {
  const headers = { 'Content-Type': 'application/json', Origin: origin };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ payloads }) });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('access-control-allow-origin'), origin);
  return ((await response.json()) as { payloads: JsonPayload[] }).payloads;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
