import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { FREE_PORTS, freePort, HOST } from '../../local/ports';

describe('A free port', () => {
  it('is another one at each call, can be listened on, and lies where it was looked for', async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, () => freePort()));
    assert.equal(new Set(ports).size, ports.length);
    for (const port of ports) {
      assert.ok(port >= FREE_PORTS.from && port <= FREE_PORTS.to, String(port));
      await new Promise<void>((resolve, reject) => {
        const server = createServer().once('error', reject);
        server.listen(port, HOST, () => server.close(() => resolve()));
      });
    }
  });
});
