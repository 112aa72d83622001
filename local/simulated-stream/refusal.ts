/** A request that gets a status instead of the stream. */
export class RefusedRequest extends Error {
  override readonly name = 'RefusedRequest';

  /** @param retryAfterSeconds sent as Retry-After when given */
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfterSeconds?: number,
  ) {
    super(message);
  }
}
