/** The embedded stack could not be set up or started. The message is one sentence: what happened and what to do. */
export class StackError extends Error {
  override name = 'StackError';
}
