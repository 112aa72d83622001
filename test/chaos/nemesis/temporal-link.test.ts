import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { startTemporalLink, type TemporalLink } from './temporal-link';

describe('The link of a worker to Temporal', () => {
  let server: Server;
  let link: TemporalLink;
  let client: Socket;

  beforeEach(async () => {
    server = createServer((socket) => socket.on('error', () => {}).pipe(socket));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    link = await startTemporalLink(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    client = await dial();
  });

  afterEach(async () => {
    client.destroy();
    await link.close();
    server.close();
  });

  async function dial(): Promise<Socket> {
    const socket = connect(Number(link.address.split(':')[1]), '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    return socket;
  }

  async function echo(socket: Socket, text: string): Promise<void> {
    socket.write(text);
    const [heard] = (await once(socket, 'data')) as [Buffer];
    assert.equal(heard.toString(), text);
  }

  it('passes bytes both ways', async () => {
    await echo(client, 'hello');
  });

  it('holds everything back while it is cut in silence, and lets it pass once it is mended', async () => {
    await echo(client, 'before');
    link.cut('silent');
    const late = await dial();
    let heard = 0;
    for (const socket of [client, late]) socket.on('data', () => (heard += 1)).write('meanwhile');
    // A round trip past the link, which is longer than one through it.
    const around = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await echo(around, 'around');
    around.destroy();
    assert.equal(heard, 0);
    const both = Promise.all([once(client, 'data'), once(late, 'data')]);
    link.mend();
    await both;
    late.destroy();
  });

  it('ends connections while it is cut by a reset, and takes new ones once it is mended', async () => {
    const closed = once(client, 'close');
    link.cut('reset');
    await closed;
    await once(await dial(), 'close');
    link.mend();
    client = await dial();
    await echo(client, 'again');
  });

  it('ends connections to a server that is away', async () => {
    server.close();
    client.destroy();
    await once(server, 'close');
    await once(await dial(), 'close');
  });
});
