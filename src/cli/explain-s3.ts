import { describeError } from '../clients/aws-errors';
import { CommandError } from './context';

/** What the SDK says, without a service's answer, about a machine that is not set up. */
const NOT_SET_UP = /^CredentialsProviderError|Region is missing/;

/**
 * Does what reads and writes the lake.
 *
 * @throws CommandError for what S3 answers, or for no answer; other errors as they are
 */
export async function explainingS3<T>(lake: { bucket: string }, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explain(error, lake.bucket);
  }
}

function explain(error: unknown, bucket: string): unknown {
  if (!(error instanceof Error)) return error;
  if (error.name === 'NoSuchBucket') {
    return new CommandError(
      `There is no bucket ${bucket}: run \`sluice provision\`, or correct SLUICE_BUCKET`,
    );
  }
  const says = describeError(error);
  // Every error of a request that was sent has it, the network's too.
  const isOfRequest = '$metadata' in error;
  return isOfRequest || NOT_SET_UP.test(says)
    ? new CommandError(`Could not use the bucket ${bucket}: ${says}`)
    : error;
}
