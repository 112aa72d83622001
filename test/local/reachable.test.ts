import assert from 'node:assert/strict';
import { freePort, HOST } from '../../local/ports';
import { requireReachable } from '../../local/reachable';
import { StackError } from '../../local/stack-error';
import { type Answer, LocalServer, openStream } from '../support/local-server';

const contact = 'someone@example.org';

describe('whether a source can be reached', () => {
  const servers: LocalServer[] = [];

  afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

  async function serve(answer: Answer): Promise<LocalServer> {
    const server = await LocalServer.start(answer);
    servers.push(server);
    return server;
  }

  it('leaves an endless stream at the first answer, and says who asked', async () => {
    const server = await serve((_, response) => openStream(response));
    await requireReachable({ url: server.url, contact });
    assert.match(server.requests[0]?.userAgent ?? '', /^sluice\/\S+ \(someone@example\.org\)$/);
    await server.asked(1);
    assert.equal(server.requests.length, 1);
  });

  for (const status of [408, 429, 500, 503]) {
    it(`lets ingest wait for a server that answers ${status}`, async () => {
      const { url } = await serve((_, response) => response.writeHead(status).end());
      await requireReachable({ url, contact });
    });
  }

  it('names the setting that a server wants to see when it answers 403', async () => {
    const { url } = await serve((_, response) => response.writeHead(403).end());
    await rejects(
      url,
      `${url} answered 403: set SLUICE_CONTACT to a page or an e-mail address of yours, which goes into the User-Agent.`,
    );
  });

  it('tells a server that has no such stream from one that is not there', async () => {
    const { url } = await serve((_, response) => response.writeHead(404).end());
    await rejects(url, `${url} answered 404: correct SLUICE_SOURCE_URL, or ask who runs the server.`);
  });

  it('is not taken in by the page of a wireless network that wants a login', async () => {
    const { url } = await serve((_, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>'),
    );
    await rejects(
      url,
      `${url} answered with text/html, which is no event stream: correct SLUICE_SOURCE_URL.`,
    );
  });

  it('names the demo, which needs no internet, when nothing answers', async () => {
    const url = `http://${HOST}:${await freePort()}/stream`;
    await assert.rejects(requireReachable({ url, contact }), (error: unknown) => {
      assert.ok(error instanceof StackError);
      assert.match(error.message, /ECONNREFUSED.*`npm run demo`/);
      return true;
    });
  });

  it('says why nothing answers where a name has several addresses', async () => {
    const url = `http://localhost:${await freePort()}/stream`;
    await assert.rejects(requireReachable({ url, contact }), /\(\S*.*ECONNREFUSED.*\)/);
  });

  it('asks the brokers of a topic, and is content with one of them', async () => {
    const server = await serve((_, response) => openStream(response));
    const [up, down] = [`${HOST}:${new URL(server.url).port}`, `${HOST}:${await freePort()}`];
    await requireReachable({ url: `kafka://${down},${up}/topic`, contact });
    await assert.rejects(requireReachable({ url: `kafka://${down}/topic`, contact }), {
      name: 'StackError',
      message: new RegExp(`^kafka://${down}/topic can't be reached \\(.*ECONNREFUSED.*SLUICE_SOURCE_URL\\.$`),
    });
  });

  async function rejects(url: string, message: string): Promise<void> {
    await assert.rejects(requireReachable({ url, contact }), { name: 'StackError', message });
  }
});
