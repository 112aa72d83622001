/** An error that is the user's to mend: shown as one sentence, without a stack. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';
}

/** An option or argument that can't be used; the message says which, and its rule. */
export class UsageError extends CommandError {
  override readonly name = 'UsageError';
}
