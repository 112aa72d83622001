import assert from 'node:assert/strict';
import {
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';

/** An error as the S3 client throws it. */
export function s3Error(name: string, httpStatusCode: number): S3ServiceException {
  return new S3ServiceException({
    name,
    message: `${name}, said S3`,
    $fault: httpStatusCode < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode },
  });
}

/** A bucket that never replaces an object, in place of the S3 client. */
export class FakeS3 {
  readonly objects = new Map<string, string>();
  readonly puts: PutObjectCommandInput[] = [];
  /** Called before each PUT; throws what it fails with. */
  before: (count: number, signal: AbortSignal | undefined) => void | Promise<void> = () => {};

  readonly send: S3Client['send'] = async (command: object, options?: unknown): Promise<never> =>
    // The overloads of `send` can't be answered without a cast.
    (await this.#answer(command, options)) as never;

  async #answer(command: object, options: unknown): Promise<object> {
    if (!(command instanceof PutObjectCommand))
      throw new Error(`The fake does not know ${command.constructor.name}`);
    const { Key = '', Body, IfNoneMatch } = command.input;
    this.puts.push(command.input);
    const signal =
      typeof options === 'object' && options !== null && 'abortSignal' in options
        ? options.abortSignal
        : undefined;
    await this.before(this.puts.length, signal instanceof AbortSignal ? signal : undefined);
    if (IfNoneMatch === '*' && this.objects.has(Key)) throw s3Error('PreconditionFailed', 412);
    assert(typeof Body === 'string');
    this.objects.set(Key, Body);
    return {};
  }
}
