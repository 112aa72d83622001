import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { deflateSync } from 'node:zlib';
import { type CodecServer, startCodecServer } from '../../src/cli/codec-server';
import { CommandError } from '../../src/cli/errors';
import { HOST } from '../../local/ports';
import { ensurePythonEnvironment } from '../../local/python';
import { COMPRESSED_FROM, LARGEST_PAYLOAD } from '../../src/clients/payload-codec';
import { testTemporal } from '../support/temporal';

const ORIGIN = 'http://localhost:8233';
const LONG_TEXT = 'sluice '.repeat(COMPRESSED_FROM);

interface JsonPayload {
  metadata: Record<string, string>;
  data: string;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

const payloadOf = (value: unknown): JsonPayload => ({
  metadata: { encoding: base64('json/plain') },
  data: base64(JSON.stringify(value)),
});

const compressed = (whole: Uint8Array): JsonPayload => ({
  metadata: { encoding: base64('binary/zlib') },
  data: deflateSync(whole).toString('base64'),
});

describe('The codec server', () => {
  let server: CodecServer;

  before(async () => {
    server = await startCodecServer({ address: HOST, port: 0, corsOrigin: [ORIGIN] });
  });

  after(() => server.close());

  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    fetch(server.url + path, {
      method: 'POST',
      body,
      headers: { 'Content-Type': 'application/json', 'X-Namespace': 'default', ...headers },
    });

  async function ask(path: string, payloads: unknown[]): Promise<JsonPayload[]> {
    const response = await post(path, JSON.stringify({ payloads }));
    assert.equal(response.status, 200);
    return ((await response.json()) as { payloads: JsonPayload[] }).payloads;
  }

  async function isRefused(status: number, message: RegExp, path: string, body: string): Promise<void> {
    const response = await post(path, body);
    assert.equal(response.status, status);
    assert.match(((await response.json()) as { message: string }).message, message);
  }

  it('encodes and decodes payloads in their order, wherever it is mounted', async () => {
    const payloads = [payloadOf('small'), payloadOf(LONG_TEXT)];
    const encoded = await ask('/encode', payloads);
    assert.deepEqual(encoded[0], payloads[0]);
    assert.equal(encoded[1]?.metadata['encoding'], base64('binary/zlib'));
    assert.deepEqual(await ask('/decode', encoded), payloads);
    assert.deepEqual(await ask('/some/namespace/decode', encoded), payloads);
  });

  it('lets pages of the origins that it knows ask, and no others', async () => {
    const preflight = (origin: string) =>
      fetch(`${server.url}/decode`, {
        method: 'OPTIONS',
        headers: {
          Origin: origin,
          'Access-Control-Request-Method': 'POST',
          'Access-Control-Request-Headers': 'content-type,x-namespace',
          'Access-Control-Request-Private-Network': 'true',
        },
      });
    const { status, headers } = await preflight(ORIGIN);
    assert.equal(status, 204);
    assert.equal(headers.get('access-control-allow-origin'), ORIGIN);
    assert.match(headers.get('access-control-allow-headers') ?? '', /Content-Type, X-Namespace/);
    assert.equal(headers.get('access-control-allow-private-network'), 'true');
    assert.equal((await preflight('http://example.org')).headers.get('access-control-allow-origin'), null);
    const answer = await post('/decode', JSON.stringify({ payloads: [] }), { Origin: ORIGIN });
    assert.equal(answer.headers.get('access-control-allow-origin'), ORIGIN);
  });

  it('does nothing for a page of another origin, nor for what any page may send without asking', async () => {
    const body = JSON.stringify({ payloads: [] });
    const foreign = await post('/encode', body, { Origin: 'http://example.org' });
    assert.equal(foreign.status, 403);
    assert.match(
      await foreign.text(),
      /Pages of http:\/\/example\.org may not ask: --cors-origin names those that may/,
    );
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      assert.equal((await post('/encode', body, { 'Content-Type': type })).status, 415);
    }
    const json = await post('/encode', body, { 'Content-Type': 'Application/JSON; charset=utf-8' });
    assert.equal(json.status, 200);
  });

  it('takes no more payloads at once than a history may have', async () => {
    const payloads = Array.from({ length: 20_001 }, () => ({}));
    await isRefused(413, /A request may have 20000 payloads/, '/encode', JSON.stringify({ payloads }));
  });

  it('refuses what it can not read, and says why', async () => {
    await isRefused(404, /There is no \/elsewhere: POST to \/decode or \/encode/, '/elsewhere', '{}');
    await isRefused(400, /The body must be/, '/decode', 'no JSON');
    await isRefused(400, /there is no list of payloads/, '/decode', '{}');
    await isRefused(400, /a payload is an object/, '/decode', '{"payloads":[null]}');
    await isRefused(400, /The body must be/, '/decode', '{"payloads":[{"data":"*"}]}');
    const damaged = { ...compressed(Buffer.from('x')), data: base64('damaged') };
    await isRefused(400, /can't be read/, '/decode', JSON.stringify({ payloads: [damaged] }));
    assert.equal((await fetch(`${server.url}/decode`)).status, 405);
  });

  it('decodes no more than may be, of one payload and of all together', async () => {
    const bomb = compressed(Buffer.alloc(LARGEST_PAYLOAD + 1));
    await isRefused(400, /would have more than/, '/decode', JSON.stringify({ payloads: [bomb] }));
    const {
      payloads: [large],
    } = { payloads: await ask('/encode', [payloadOf('x'.repeat(LARGEST_PAYLOAD / 2))]) };
    const many = Array.from({ length: 20 }, () => large);
    await isRefused(400, /would have more than/, '/decode', JSON.stringify({ payloads: many }));
    await isRefused(413, /A request may have/, '/decode', 'x'.repeat(8 * 1024 * 1024 + 1));
  });

  it('says which address it can not listen at', async () => {
    const port = Number(new URL(server.url).port);
    await assert.rejects(startCodecServer({ address: HOST, port, corsOrigin: [] }), (error) => {
      assert(error instanceof CommandError);
      assert.match(
        error.message,
        new RegExp(`^The codec server can't listen at ${HOST}:${port}: .*EADDRINUSE`),
      );
      return true;
    });
  });

  describe("and Temporal's own command line", () => {
    const temporal = testTemporal();

    it('show what was compressed', async () => {
      const workflowId = randomUUID();
      await temporal.client.workflow.start('any', { workflowId, taskQueue: 'nobody', args: [LONG_TEXT] });
      const { temporal: command } = await ensurePythonEnvironment();
      const show = async (...options: string[]) => {
        const args = ['workflow', 'show', '--workflow-id', workflowId, '--output', 'json'];
        const address = ['--address', temporal.address];
        return (await promisify(execFile)(command, [...args, ...address, ...options])).stdout;
      };
      const shown = base64(JSON.stringify(LONG_TEXT));
      assert(!(await show()).includes(shown));
      assert((await show('--codec-endpoint', server.url)).includes(shown));
      await temporal.client.workflow.getHandle(workflowId).terminate();
    });
  });
});
