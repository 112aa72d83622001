import { describeError, isNamed } from '../clients/aws-errors';
import { isNoQueue, type Queue } from '../queue/queue';
import { CommandError } from './errors';

/** What the SDK says, without a service's answer, about a machine that is not set up. */
const NOT_SET_UP = /^CredentialsProviderError|Region is missing/;

/**
 * Opens the queue.
 *
 * @throws CommandError when it is not there, or can't be read
 */
export async function explainingQueue<T>({ name }: Pick<Queue, 'name'>, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (isNoQueue(error)) {
      throw new CommandError(`There is no queue ${name}: run \`sluice provision\`, or correct SLUICE_QUEUE`);
    }
    throw new CommandError(`Could not open the queue ${name}: ${describeError(error)}`);
  }
}

/**
 * Does what reads and writes the lake.
 *
 * @throws CommandError for what S3 answers, or for no answer; other errors as they are
 */
export async function explainingS3<T>({ bucket }: { bucket: string }, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isNamed(error, 'NoSuchBucket')) throw noBucket(bucket);
    throw isOfS3(error)
      ? new CommandError(`Could not use the bucket ${bucket}: ${describeError(error)}`)
      : error;
  }
}

/** Every error of a request that was sent has `$metadata`, the network's too. */
function isOfS3(error: unknown): boolean {
  return error instanceof Error && ('$metadata' in error || NOT_SET_UP.test(describeError(error)));
}

export function noBucket(bucket: string): CommandError {
  return new CommandError(`There is no bucket ${bucket}: run \`sluice provision\`, or correct SLUICE_BUCKET`);
}
