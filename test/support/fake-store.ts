import { S3ServiceException } from '@aws-sdk/client-s3';
import type { LakeStore, NewObject, RequestOptions } from '../../src/lake/store';
import type { Lake } from '../../src/pipeline/definition';

/** An error as the S3 client throws it. */
export function s3Error(name: string, httpStatusCode: number): S3ServiceException {
  return new S3ServiceException({
    name,
    message: `${name}, said S3`,
    $fault: httpStatusCode < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode },
  });
}

/** A lake's store that takes objects, and never replaces one. */
export class FakeStore implements Pick<LakeStore, 'lake' | 'putIfAbsent' | 'replace'> {
  readonly objects = new Map<string, string>();
  readonly puts: NewObject[] = [];
  readonly replaced: NewObject[] = [];
  /** Called before an object is replaced; throws what that fails with. */
  beforeReplace: (count: number) => void | Promise<void> = () => {};
  /** Called before each object is written; throws what that fails with. */
  before: (count: number, signal: AbortSignal | undefined) => void | Promise<void> = () => {};

  constructor(readonly lake: Lake = { bucket: 'lake', prefix: 'raw' }) {}

  async putIfAbsent(object: NewObject, { abortSignal }: RequestOptions = {}): Promise<boolean> {
    this.puts.push(object);
    await this.before(this.puts.length, abortSignal);
    if (this.objects.has(object.key)) return false;
    this.objects.set(object.key, Buffer.from(object.body).toString());
    return true;
  }

  async replace(object: NewObject): Promise<boolean> {
    this.replaced.push(object);
    await this.beforeReplace(this.replaced.length);
    return true;
  }
}
