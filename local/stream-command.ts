import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { Command } from 'commander';
import { ENDLESS_EVENTS, RATE_PER_SECOND, startEndlessStream } from './endless-stream';
import { runInForeground } from './foreground';
import { wholeNumber } from './option';
import { HOST, requireFreePort } from './ports';
import type { SimulatedStream } from './simulated-stream';

interface StreamCommandOptions {
  host: string;
  port: number;
  ledgerPort: number;
  events: number;
  rate: number;
}

/** Of one request to publish. */
const MOST_AT_ONCE = 10_000;

/** `bin/simulated-stream.js`: a simulated EventStreams by itself, for a container or another machine. */
async function streamCommand(): Promise<void> {
  await runInForeground(async ({ endings, interrupted }) => {
    const { host, port, ledgerPort, events, rate } = readOptions();
    await requireFreePort(port, 'The simulated EventStreams');
    await requireFreePort(ledgerPort, 'Its ledger');
    const stream = await startEndlessStream({ host, port, events, ratePerSecond: rate });
    endings.push(() => stream.close());
    const ledger = await serveLedger(stream, host, ledgerPort);
    endings.push(() => closeServer(ledger));
    console.log(
      `Simulated EventStreams at ${stream.url}, what it published at http://${HOST}:${ledgerPort}/ledger`,
    );
    await interrupted;
    return 0;
  });
}

function readOptions(): StreamCommandOptions {
  return new Command('simulated-stream')
    .description('Runs a simulated EventStreams until Ctrl-C.')
    .option('--host <address>', 'to listen at; 0.0.0.0 lets other machines in', HOST)
    .option('--port <port>', 'of the stream', wholeNumber(1, 65_535), 8088)
    .option('--ledger-port <port>', 'of what was published', wholeNumber(1, 65_535), 8089)
    .option('--events <count>', 'to publish by itself', wholeNumber(0, 100_000_000), ENDLESS_EVENTS)
    .option('--rate <count>', 'of events a second', wholeNumber(1, 100_000), RATE_PER_SECOND)
    .exitOverride()
    .parse()
    .opts();
}

/**
 * `GET /ledger` tells what was published, to compare a lake with; `POST /publish?count=100` publishes more, at once, and
 * tells how many there are now.
 */
async function serveLedger(stream: SimulatedStream, host: string, port: number): Promise<Server> {
  const server = createServer(({ method, url = '/' }, response) => {
    const { pathname, searchParams } = new URL(url, `http://${HOST}`);
    const count = Number(searchParams.get('count'));
    const answer = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (method === 'GET' && pathname === '/ledger') return answer(200, stream.ledger);
    if (method !== 'POST' || pathname !== '/publish') {
      return answer(404, { error: 'There are GET /ledger and POST /publish?count=100 here.' });
    }
    if (!(Number.isInteger(count) && count >= 1 && count <= MOST_AT_ONCE)) {
      return answer(400, { error: `count must be a whole number from 1 to ${MOST_AT_ONCE}.` });
    }
    stream.publish(count);
    answer(200, { published: stream.ledger.published.length });
  });
  await once(server.listen(port, host), 'listening');
  return server;
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

void streamCommand();
