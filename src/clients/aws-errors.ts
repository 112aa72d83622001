/**
 * What an error of an AWS client says about trying again. Throttling comes with any status, so names count
 * first; every other 4xx but a timeout or a conflict stays what it is until a person changes something.
 *
 * Source: the error classification of the AWS SDKs, and "Error responses" of the SQS and S3 API references.
 */
const TRANSIENT_NAMES =
  /throttl|slow.?down|toomanyrequests|requestlimitexceeded|requesttimeout|expiredtoken|requesttimetooskewed/i;
const TRANSIENT_STATUS = new Set([408, 409, 425, 429]);

/** Whether the same request may work later. Errors that did not come from the service (the network's) may. */
export function isTransient(error: unknown): boolean {
  const status = httpStatus(error);
  if (status === undefined || status >= 500 || TRANSIENT_STATUS.has(status)) return true;
  return error instanceof Error && TRANSIENT_NAMES.test(error.name);
}

/** Whether a service answered with this error, such as `QueueDoesNotExist`. */
export function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}

/** `QueueDoesNotExist: The specified queue does not exist.`; for people. */
export function describeError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function httpStatus(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}
