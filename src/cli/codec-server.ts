import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Payload } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { decompress, LARGEST_PAYLOAD, payloadCodec, PayloadCodecError } from '../clients/payload-codec';
import { CommandError } from './errors';

const { Payload: PayloadMessage } = temporal.api.common.v1;

/** Bytes of a request: Temporal hands out 4 MiB of a history at once, which base64 makes a third larger. */
const LARGEST_REQUEST = 8 * 1024 * 1024;

/** Bytes that the payloads of one request may have together. */
const LARGEST_ANSWER = 8 * LARGEST_PAYLOAD;

/** Payloads of a request: a page of a history has some thousands. */
const MOST_PAYLOADS = 20_000;

/** Connections at once: each may hold a request and its answer. */
const MOST_CONNECTIONS = 32;

/** Milliseconds within which a request must have come. */
const REQUEST_TIMEOUT_MS = 30_000;

/** What the web UI sends: its namespace, and where it is told to, the access token that it has. */
const ALLOWED_HEADERS = 'Content-Type, X-Namespace, Authorization, Authorization-Extras';

export interface CodecServerOptions {
  /** Where it listens. */
  address: string;
  /** 0: a free one. */
  port: number;
  /** Origins whose pages may read the answers, such as `http://localhost:8233`. */
  corsOrigin: readonly string[];
}

export interface CodecServer {
  /** For `--codec-endpoint` and the web UI. */
  url: string;
  close(): Promise<void>;
}

/** A request that can't be answered, and the HTTP status that says so. */
class RefusedRequest extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** `sluice codec-server`: lets Temporal's web UI and CLI read compressed payloads, until SIGINT or SIGTERM. */
export async function codecServer(options: CodecServerOptions): Promise<void> {
  const server = await startCodecServer(options);
  console.log(`Codec server at ${server.url} (for --codec-endpoint of temporal, and the web UI's settings)`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  await server.close();
}

/**
 * Temporal's codec server protocol (https://docs.temporal.io/codec-server): POST `…/decode` and `…/encode` with
 * `{ "payloads": [...] }`, payloads as protobuf's JSON has them. It holds no secret and reaches no other server: whoever may ask
 * gets back what they sent, in another form.
 *
 * @throws CommandError when it can't listen there
 */
export async function startCodecServer({
  address,
  port,
  corsOrigin,
}: CodecServerOptions): Promise<CodecServer> {
  const origins = new Set(corsOrigin);
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    void answer(request, response, origins);
  });
  server.maxConnections = MOST_CONNECTIONS;
  server.listen(port, address);
  try {
    await once(server, 'listening');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`The codec server can't listen at ${address}:${port}: ${reason}`);
  }
  return { url: urlOf(server), close: () => close(server) };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  origins: ReadonlySet<string>,
): Promise<void> {
  allowOrigin(request, response, origins);
  try {
    requireOrigin(request, origins);
    if (request.method === 'OPTIONS') {
      response.writeHead(204).end();
      return;
    }
    const payloads = await transformed(request);
    const json = payloads.map((payload) =>
      PayloadMessage.toObject(PayloadMessage.fromObject(payload), { bytes: String }),
    );
    send(response, 200, { payloads: json });
  } catch (error) {
    const isTheirs = error instanceof RefusedRequest;
    // The rest of a body that is not wanted is not read.
    if (!request.complete) response.setHeader('Connection', 'close');
    send(response, isTheirs ? error.status : 500, {
      message: error instanceof Error ? error.message : String(error),
    });
  }
}

/** What browsers ask before a page of another origin may read the answer. */
function allowOrigin(
  { headers }: IncomingMessage,
  response: ServerResponse,
  origins: ReadonlySet<string>,
): void {
  response.setHeader('Vary', 'Origin');
  const { origin } = headers;
  if (origin === undefined || !origins.has(origin)) return;
  response.setHeader('Access-Control-Allow-Origin', origin);
  response.setHeader('Access-Control-Allow-Credentials', 'true');
  response.setHeader('Access-Control-Allow-Methods', 'POST, OPTIONS');
  response.setHeader('Access-Control-Allow-Headers', ALLOWED_HEADERS);
  // A page from elsewhere, such as Temporal Cloud's, asks for this machine.
  if (headers['access-control-request-private-network'] === 'true') {
    response.setHeader('Access-Control-Allow-Private-Network', 'true');
  }
}

/** Browsers say whose page asks. One of another origin can't read the answer; here it can't have it made either. */
function requireOrigin({ headers: { origin } }: IncomingMessage, origins: ReadonlySet<string>): void {
  if (origin === undefined || origins.has(origin)) return;
  throw new RefusedRequest(403, `Pages of ${origin} may not ask: --cors-origin names those that may`);
}

async function transformed(request: IncomingMessage): Promise<Payload[]> {
  // Only the last part of the path counts, so that it can be mounted anywhere.
  const { pathname } = new URL(request.url ?? '/', 'http://codec');
  const [, action] = /\/(encode|decode)$/.exec(pathname) ?? [];
  if (action === undefined)
    throw new RefusedRequest(404, `There is no ${pathname}: POST to /decode or /encode`);
  if (request.method !== 'POST') throw new RefusedRequest(405, `${pathname} takes POST`);
  // Any page may send a form or plain text without asking first.
  const [type = ''] = (request.headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() !== 'application/json')
    throw new RefusedRequest(415, `${pathname} takes application/json`);
  const payloads = payloadsOf(await bodyOf(request));
  if (payloads.length > MOST_PAYLOADS)
    throw new RefusedRequest(413, `A request may have ${MOST_PAYLOADS} payloads`);
  return action === 'encode' ? await payloadCodec.encode(payloads) : await decode(payloads);
}

/** One after the other, so that together they can't become larger than may be. */
async function decode(payloads: readonly Payload[]): Promise<Payload[]> {
  const decoded: Payload[] = [];
  let room = LARGEST_ANSWER;
  for (const payload of payloads) {
    const plain = await decompress(payload, Math.min(room, LARGEST_PAYLOAD)).catch((error: unknown) => {
      throw error instanceof PayloadCodecError ? new RefusedRequest(400, error.message) : error;
    });
    room = Math.max(1, room - (plain.data?.length ?? 0));
    decoded.push(plain);
  }
  return decoded;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > LARGEST_REQUEST) throw new RefusedRequest(413, `A request may have ${LARGEST_REQUEST} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function payloadsOf(body: string): Payload[] {
  try {
    const { payloads } = JSON.parse(body) as { payloads?: unknown };
    if (!Array.isArray(payloads)) throw new TypeError('there is no list of payloads');
    return payloads.map((payload: unknown) => {
      if (typeof payload !== 'object' || payload === null) throw new TypeError('a payload is an object');
      return PayloadMessage.fromObject(payload);
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RefusedRequest(400, `The body must be {"payloads": [...]}, bytes in base64 (${reason})`);
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

async function close(server: Server): Promise<void> {
  server.close();
  // The web UI keeps its connections.
  server.closeAllConnections();
  await once(server, 'close');
}
