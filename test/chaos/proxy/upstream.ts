import { once } from 'node:events';
import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as open,
} from 'node:http';
import { buffer } from 'node:stream/consumers';

/** A request on its way to the backend. */
export interface Call {
  method: string;
  /** Path and query. */
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** Aborts when the client has gone away. */
  signal: AbortSignal;
}

export interface Answer {
  status: number;
  headers: OutgoingHttpHeaders;
  body: Buffer | IncomingMessage;
}

export type WholeAnswer = Answer & { body: Buffer };

/** The backend ended the connection, or takes none. */
export class BackendLost extends Error {}

/** A connection for each request: one that a backend closes while it idles would look like a fault. */
const agent = new Agent({ keepAlive: false });

/** Of one connection only; see RFC 9110, 7.6.1. */
const HOP_BY_HOP = ['connection', 'keep-alive', 'transfer-encoding', 'expect'];

/**
 * Sends a request on as it is.
 *
 * @throws BackendLost without an answer
 */
export async function forward(
  target: string,
  { method, path, headers, body, signal }: Call,
): Promise<Answer> {
  const request = open(new URL(target).origin + path, {
    agent,
    method,
    signal,
    headers: { ...endToEnd(headers), 'content-length': body.byteLength },
  });
  // One that is aborted after its answer began has nobody else who listens.
  request.on('error', () => {});
  request.end(body);
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return { status: response.statusCode ?? 502, headers: endToEnd(response.headers), body: response };
  } catch (error) {
    throw new BackendLost(`${method} ${target}${path} got no answer`, { cause: error });
  }
}

/** @returns the answer with its body read to the end. @throws BackendLost when the body ends early */
export async function readWhole(answer: Answer): Promise<WholeAnswer> {
  if (Buffer.isBuffer(answer.body)) return { ...answer, body: answer.body };
  try {
    return { ...answer, body: await buffer(answer.body) };
  } catch (error) {
    throw new BackendLost('The answer ended early', { cause: error });
  }
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)));
}
