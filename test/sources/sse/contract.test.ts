import { startSimulatedStream } from '../../../local/simulated-stream';
import { sseSource } from '../../../src/sources/sse/source';
import { userAgent } from '../../../src/sources/sse/user-agent';
import { TcpLink } from '../../support/tcp-link';
import { FLOOD_BYTES, itIsASource } from '../contract';

itIsASource({
  name: 'SSE',
  partitionOf: () => 'all',
  // A resumed stream is asked for its last two seconds again.
  repeatsAtMost: 300,
  async stage() {
    const stream = await startSimulatedStream({
      cutAfterEvents: false,
      retryMilliseconds: 1,
      maxConnections: 50,
    });
    const link = await TcpLink.start(() => Number(new URL(stream.url).port));
    const url = new URL(stream.url);
    url.port = String(link.port);
    return {
      link,
      start: { since: Date.now() - 60_000, positions: {}, recent: {} },
      open: (onReconnect = () => {}) =>
        sseSource({ url: url.href, userAgent: userAgent('test@example.org'), backoffMs: 5, onReconnect }),
      publish: (count) => Promise.resolve(stream.publish(count).map(({ text }) => text)),
      flood: () => {
        for (let bytes = 0; bytes < FLOOD_BYTES;) {
          for (const { text } of stream.publish(1_000)) bytes += text.length;
        }
        return Promise.resolve();
      },
      close: async () => {
        await link.close();
        await stream.close();
      },
    };
  },
});
