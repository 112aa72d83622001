import assert from 'node:assert/strict';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { type MotoServer, startMotoServer } from '../../local/moto-server';

describe('The embedded moto', () => {
  let moto: MotoServer;

  before(async () => {
    moto = await startMotoServer();
  });

  after(() => moto.stop());

  /** `fetch` sets Host and Origin by itself. */
  async function ask(path: string, headers: Record<string, string>, method = 'GET') {
    const asking = request(`${moto.url}${path}`, { method, headers });
    asking.end();
    const [answer] = (await once(asking, 'response')) as [IncomingMessage];
    return { status: answer.statusCode, body: await text(answer) };
  }

  for (const host of ['127.0.0.1', 'localhost', 'moto', '[::1]', 'bucket.localhost']) {
    it(`answers to its own name: ${host}`, async () => {
      const { status } = await ask('/moto-api/', { host: `${host}:${moto.port}` });
      assert.equal(status, 200);
    });
  }

  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'notlocalhost']) {
    it(`answers to no other, wherever that name leads: ${host}`, async () => {
      const { status, body } = await ask('/moto-api/data.json', { host: `${host}:${moto.port}` });
      assert.deepEqual(
        [status, body],
        [403, `moto is not called '${host}:${moto.port}': ask 127.0.0.1 or localhost\n`],
      );
    });
  }

  it('does nothing for a page of another origin, and answers its own', async () => {
    const host = `127.0.0.1:${moto.port}`;
    for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1:1']) {
      const { status, body } = await ask('/moto-api/reset', { host, origin }, 'POST');
      assert.deepEqual([status, body], [403, `moto answers no page of '${origin}'\n`]);
    }
    assert.equal((await ask('/moto-api/reset', { host, origin: `http://${host}` }, 'POST')).status, 200);
  });
});
