import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type SimulatedStream, startSimulatedStream } from '../../local/simulated-stream';
import { type Stack, startStack } from '../../local/stack';

/** Of a socket that waits for connections, in /proc/net/tcp (proc_net_tcp in the kernel's documentation). */
const LISTENING = '0A';

const LOOPBACK: Record<string, string> = {
  '0100007F': '127.0.0.1',
  '0000000000000000FFFF00000100007F': '::ffff:127.0.0.1',
  '00000000000000000000000001000000': '::1',
};

interface Listener {
  address: string;
  port: number;
}

function listenersOf(pid: number): Listener[] {
  const sockets = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`)));
  return ['tcp', 'tcp6']
    .flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(({ 3: state, 9: inode }) => state === LISTENING && sockets.has(`socket:[${inode}]`))
    .map(({ 1: local = '' }) => {
      const [address = '', port = ''] = local.split(':');
      return { address: LOOPBACK[address] ?? address, port: Number.parseInt(port, 16) };
    });
}

/** A file may be closed between the listing and the look. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

describe('Whatever the demo and the embedded stack start (skipped where no /proc tells sockets)', function () {
  this.timeout('5m');
  let stack: Stack;
  let stream: SimulatedStream;

  before(async function () {
    // Which sockets a process has, only Linux tells.
    if (!existsSync('/proc/net/tcp')) this.skip();
    stack = await startStack();
    stream = await startSimulatedStream();
  });

  after(async () => {
    await stream?.close();
    await stack?.stop();
  });

  it('listens on loopback and nowhere else', () => {
    const { temporal, moto, codec } = stack;
    const found = [process.pid, temporal.pid, moto.pid].flatMap(listenersOf);
    const named = [stream.url, temporal.webUrl, moto.url, codec.url, `http://${temporal.address}`];
    for (const url of named) {
      assert(
        found.some(({ port }) => port === Number(new URL(url).port)),
        `${url} is not among the sockets found`,
      );
    }
    const loopback = Object.values(LOOPBACK);
    assert.deepEqual(
      found.filter(({ address }) => !loopback.includes(address)),
      [],
    );
  });
});
