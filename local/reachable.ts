import { once } from 'node:events';
import { connect } from 'node:net';
import type { PipelineDefinition } from '../src/pipeline/definition';
import { isKafkaUrl, parseKafkaUrl } from '../src/sources/kafka/address';
import { userAgent } from '../src/sources/sse/user-agent';
import { StackError } from './stack-error';

const PATIENCE_MS = 10_000;

/** Ingest waits and tries again where one of these, or any 5xx, is the answer. */
const PASSING_STATUS = new Set([408, 429]);

/**
 * Asks for a stream once, as ingest does, and leaves at the first answer; of Kafka, it connects to a broker.
 *
 * @throws StackError when the server can't be reached, or answers what no trying again will change
 */
export async function requireReachable(source: PipelineDefinition['source']): Promise<void> {
  if (isKafkaUrl(source.url)) await requireBroker(source.url);
  else await requireStream(source);
}

/** That one of the brokers named takes a connection: what it then refuses, ingest says. */
async function requireBroker(url: string): Promise<void> {
  const trials = parseKafkaUrl(url).bootstrap.map((broker) => connectOnce(broker, PATIENCE_MS));
  await Promise.any(trials).catch(({ errors }: AggregateError) => {
    const reasons = errors.map(reasonOf).join('; ');
    throw new StackError(`${url} can't be reached (${reasons}): check the brokers in SLUICE_SOURCE_URL.`);
  });
}

/** Rejects where nothing takes a connection within so many milliseconds. */
export async function connectOnce(to: { host: string; port: number }, patienceMs: number): Promise<void> {
  const socket = connect({ ...to, signal: AbortSignal.timeout(patienceMs) });
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

async function requireStream({ url, contact }: PipelineDefinition['source']): Promise<void> {
  const response = await fetch(url, {
    headers: { Accept: 'text/event-stream', 'User-Agent': userAgent(contact) },
    signal: AbortSignal.timeout(PATIENCE_MS),
  }).catch((error: unknown) => {
    throw new StackError(
      `${url} can't be reached (${reasonOf(error)}): check the connection to the internet and SLUICE_SOURCE_URL, or ` +
        'run `npm run demo`, which needs neither.',
      { cause: error },
    );
  });
  await response.body?.cancel();
  const problem = problemOf(response);
  if (problem !== undefined) throw new StackError(`${url} answered ${problem}.`);
}

/** What a person has to change, if it is so. */
function problemOf({ status, headers }: Response): string | undefined {
  const contentType = headers.get('content-type') ?? 'no content type';
  if (status === 200 && contentType.startsWith('text/event-stream')) return undefined;
  if (status === 200) return `with ${contentType}, which is no event stream: correct SLUICE_SOURCE_URL`;
  if (status >= 500 || PASSING_STATUS.has(status)) return undefined;
  return status === 403
    ? '403: set SLUICE_CONTACT to a page or an e-mail address of yours, which goes into the User-Agent'
    : `${status}: correct SLUICE_SOURCE_URL, or ask who runs the server`;
}

/** fetch says "fetch failed" and keeps what happened in the cause, whose message is empty for several addresses. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${PATIENCE_MS / 1000} s`;
  const { cause = error } = error;
  if (!(cause instanceof Error)) return String(cause);
  return cause.message || ('code' in cause ? String(cause.code) : cause.name);
}
