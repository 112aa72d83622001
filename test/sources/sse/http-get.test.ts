import assert from 'node:assert/strict';
import { lookup } from 'node:dns';
import { text } from 'node:stream/consumers';
import { httpGet, MayNotAsk } from '../../../src/sources/sse/http-get';
import { LocalServer } from '../../support/local-server';

/** A resolver that finds these for every name. */
function resolverOf(...addresses: string[]): typeof lookup {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  return ((_name: string, { all }: { all?: boolean }, callback: (...args: unknown[]) => void) => {
    const [first] = found;
    if (all) callback(null, found);
    else callback(null, first?.address, first?.family);
  }) as typeof lookup;
}

describe('A GET of a source', () => {
  const { signal } = new AbortController();

  it('asks where its name leads', async () => {
    const server = await LocalServer.start((_, response) => void response.end('hello'));
    try {
      const { port } = new URL(server.url);
      const url = new URL(`http://stream.example:${port}/`);
      const answer = await httpGet(url, { headers: {}, signal, resolve: resolverOf('127.0.0.1') });
      assert.equal(await text(answer), 'hello');
    } finally {
      await server.close();
    }
  });

  for (const addresses of [['169.254.169.254'], ['127.0.0.1', 'fd00:ec2::23'], ['fe80::1%eth0']]) {
    it(`asks nobody where its name leads to where machines find their credentials: ${addresses.join(', ')}`, async () => {
      const url = new URL('http://stream.example/');
      await assert.rejects(
        httpGet(url, { headers: {}, signal, resolve: resolverOf(...addresses) }),
        (error) =>
          error instanceof MayNotAsk &&
          /^stream\.example leads to \S+, a link-local address/.test(error.message),
      );
    });
  }
});
