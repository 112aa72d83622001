import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerCredentials } from '@grpc/grpc-js';
import { HOST } from '../../local/ports';
import { eventually } from '../support/eventually';
import { sourceCommand } from '../support/source-command';
import { type Certificate, makeCertificate } from '../support/certificate';
import { EMPTY, startFakeTemporal } from '../support/fake-temporal';

const API_KEY = 'hunter2-api-key';
const AWS_SECRET = 'hunter2-aws-secret';

/** Speaks TLS, wants a client's certificate, and answers the first question of a client of Temporal. */
class TlsTemporal {
  /** The `authorization` of each request. */
  readonly authorizations: (string | undefined)[] = [];
  #close = () => {};

  /** @param authority that must have signed the client's certificate */
  async listen(authority: Certificate, own: Certificate): Promise<string> {
    const pair = { cert_chain: readFileSync(own.certificate), private_key: readFileSync(own.key) };
    const credentials = ServerCredentials.createSsl(readFileSync(authority.certificate), [pair], true);
    const { address, close } = await startFakeTemporal(
      {
        // What every client of Temporal asks first.
        GetSystemInfo: (answer, { metadata }) => {
          this.authorizations.push(metadata.get('authorization')[0]?.toString());
          answer(null, EMPTY);
        },
      },
      credentials,
    );
    this.#close = close;
    return address;
  }

  close(): void {
    this.#close();
  }
}

/** A process of ours, from source, with these variables and no others. */
class StartedProcess {
  output = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  constructor(args: readonly string[], environment: Record<string, string>, folder: string) {
    this.#child = spawn(process.execPath, sourceCommand(...args), {
      env: { PATH: process.env.PATH, HOME: folder, ...environment },
      // No `.env` here.
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    this.#closed = once(this.#child, 'close');
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }

  async exited(): Promise<void> {
    await this.#closed;
  }
}

describe('A connection to Temporal (skipped without openssl 3)', function () {
  this.timeout('5m');
  const processes: StartedProcess[] = [];
  let folder: string;
  let authority: Certificate;
  let stranger: Certificate;
  let temporal: TlsTemporal;
  let environment: Record<string, string>;

  before(async function () {
    folder = await mkdtemp(join(tmpdir(), 'sluice-tls-'));
    try {
      authority = makeCertificate(folder, 'authority');
      stranger = makeCertificate(folder, 'stranger');
    } catch {
      // Without openssl 3 there is nothing to test with.
      this.skip();
    }
    const server = makeCertificate(folder, 'server', authority);
    const client = makeCertificate(folder, 'client', authority);
    temporal = new TlsTemporal();
    environment = {
      TEMPORAL_ADDRESS: await temporal.listen(authority, server),
      TEMPORAL_API_KEY: API_KEY,
      TEMPORAL_TLS: 'true',
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: authority.certificate,
      TEMPORAL_TLS_CLIENT_CERT_PATH: client.certificate,
      TEMPORAL_TLS_CLIENT_KEY_PATH: client.key,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: AWS_SECRET,
      // Port 9 discards: nothing listens there.
      AWS_ENDPOINT_URL: `http://${HOST}:9`,
      SLUICE_LOG_LEVEL: 'TRACE',
    };
  });

  afterEach(async () => {
    await Promise.all(processes.splice(0).map((started) => started.end()));
    temporal?.authorizations.splice(0);
  });

  after(async () => {
    temporal?.close();
    await rm(folder, { recursive: true });
  });

  function start(args: readonly string[], changed: Record<string, string> = {}): StartedProcess {
    const started = new StartedProcess(args, { ...environment, ...changed }, folder);
    processes.push(started);
    return started;
  }

  const sluiceStatus = (changed?: Record<string, string>) => start(['status'], changed);
  const worker = (changed?: Record<string, string>) => start(['worker', 'ingest'], changed);

  function assertNoSecret({ output }: StartedProcess): void {
    assert.doesNotMatch(output, /hunter2|PRIVATE KEY/);
  }

  it("of the command line has TLS, a certificate and the API key of Temporal's own variables", async () => {
    const command = sluiceStatus();
    await command.exited();
    assert.deepEqual(new Set(temporal.authorizations), new Set([`Bearer ${API_KEY}`]));
    // Past Temporal, it looks for the queue.
    assert.match(command.output, /Could not open the queue sse_queue/);
    assertNoSecret(command);
  });

  it("of a worker has TLS, a certificate and the API key of Temporal's own variables", async () => {
    const started = worker();
    await eventually('a request', () => temporal.authorizations.length > 0);
    assert.equal(temporal.authorizations[0], `Bearer ${API_KEY}`);
    assertNoSecret(started);
  });

  const untrusted = () => ({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: stranger.certificate });

  it('of the command line does not come about with a server that nobody vouches for', async () => {
    const command = sluiceStatus(untrusted());
    await command.exited();
    assert.match(command.output, /Temporal does not answer at/);
    assert.deepEqual(temporal.authorizations, []);
    assertNoSecret(command);
  });

  it('of a worker does not come about with a server that nobody vouches for', async () => {
    const started = worker(untrusted());
    await eventually('a warning', () => started.output.includes('Temporal does not answer'));
    assert.deepEqual(temporal.authorizations, []);
    assertNoSecret(started);
  });

  it('does not come about with a file that can not be read, and every process says which setting names it', async () => {
    const missing = join(folder, 'missing.pem');
    for (const start of [sluiceStatus, worker]) {
      const started = start({ TEMPORAL_TLS_CLIENT_KEY_PATH: missing });
      await started.exited();
      assert.equal(
        started.output,
        `TEMPORAL_TLS_CLIENT_KEY_PATH must name a file that can be read (ENOENT: no such file or directory); it is "${missing}"\n`,
      );
    }
    assert.deepEqual(temporal.authorizations, []);
  });
});
