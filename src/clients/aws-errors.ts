import { clockIsOff, dateOf } from './server-clock';

/**
 * What an error of an AWS client says about trying again. Throttling comes with any status, so names count
 * first; every other 4xx but a timeout or a conflict stays what it is until a person changes something.
 *
 * Source: the error classification of the AWS SDKs, and "Error responses" of the SQS and S3 API references.
 */
const TRANSIENT_NAMES =
  /throttl|slow.?down|toomanyrequests|requestlimitexceeded|requesttimeout|expiredtoken/i;
const TRANSIENT_STATUS = new Set([408, 409, 425, 429]);

/** AWS refuses a request that was signed too long ago, or is dated in the future: the worker's clock is off. */
const CLOCK_NAMES = /^(?:RequestTimeTooSkewed|RequestExpired|RequestInTheFuture)$/;
/** So it may be with these, which mean a wrong secret as well. */
const SIGNATURE_NAMES = /^(?:InvalidSignatureException|SignatureDoesNotMatch|AuthFailure)$/;
const CLOCK_WORDS = /signature expired|not yet current/i;

/** From which on the AWS SDK takes a wrong signature for a matter of clocks, in milliseconds. AWS tolerates five to fifteen minutes. */
const TOLERATED_MS = 240_000;

/** Whether the same request may work later. Errors that did not come from the service (the network's) may. */
export function isTransient(error: unknown): boolean {
  const status = httpStatus(error);
  if (status === undefined || status >= 500 || TRANSIENT_STATUS.has(status)) return true;
  return error instanceof Error && (TRANSIENT_NAMES.test(error.name) || isOfClock(error));
}

/** The AWS SDK reckons with the clock of the answer from then on, and somebody may set this one: another try may work. */
function isOfClock(error: Error): boolean {
  if (CLOCK_NAMES.test(error.name)) return true;
  if (!SIGNATURE_NAMES.test(error.name)) return false;
  return CLOCK_WORDS.test(error.message) || Math.abs(aheadMs(error) ?? 0) >= TOLERATED_MS;
}

/** Milliseconds by which this machine's clock is ahead of that of the answer; undefined where it has no date. */
function aheadMs(error: Error): number | undefined {
  const response: unknown = Reflect.get(error, '$response');
  const date = Date.parse(dateOf(response) ?? '');
  return Number.isNaN(date) ? undefined : Date.now() - date;
}

/**
 * Whether a service answered that it did not do what it was asked. It may have where no answer came, where it failed (5xx), and
 * where time ran out.
 */
export function isRefused(error: unknown): boolean {
  const status = httpStatus(error);
  if (status === undefined || status < 400 || status >= 500 || status === 408) return false;
  return !(error instanceof Error && /timeout/i.test(error.name));
}

/** Whether a service answered with this error, such as `QueueDoesNotExist`. */
export function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}

/** `QueueDoesNotExist: The specified queue does not exist.`; for people. Of a clock that is off it says by how much. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const words = `${error.name}: ${error.message}`;
  if (!isOfClock(error)) return words;
  const ahead = aheadMs(error);
  const isKnown = ahead !== undefined && Math.abs(ahead) >= TOLERATED_MS;
  const clock = isKnown ? clockIsOff(ahead) : 'The clock of this machine may be off: set it (NTP)';
  return `${words.replace(/\.?$/, '.')} ${clock}`;
}

function httpStatus(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}
