import { setTimeout as delay } from 'node:timers/promises';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { isNamed } from '../clients/aws-errors';
import { type ServerClock, serverClockOf } from '../clients/server-clock';
import type { Lake } from '../pipeline/definition';
import type { ListedObject, Part } from './layout';

/** An object to write. */
export interface NewObject {
  /** Whole, with the prefix. */
  key: string;
  body: string | Uint8Array;
  contentType: string;
  /** `x-amz-meta-…` */
  metadata?: Record<string, string>;
}

/** What an object holds, the tag that changes with it, and what was written beside it. */
export interface ObjectContent {
  body: Uint8Array;
  etag: string | undefined;
  metadata: Partial<Record<string, string>>;
}

export interface RequestOptions {
  /** Gives the request up. */
  abortSignal?: AbortSignal;
}

/** Milliseconds before another try at a key that another request was writing, one for each. */
const CONFLICT_WAITS_MS = [100, 200, 400, 800];

/** The bucket of a lake, as Sluice uses it. All methods throw the S3 client's errors, unless they say otherwise. */
export class LakeStore {
  readonly lake: Lake;
  /** The clock of S3. */
  readonly clock: Pick<ServerClock, 'now'>;
  readonly #s3: S3Client;

  constructor(s3: S3Client, lake: Lake) {
    this.#s3 = s3;
    this.clock = serverClockOf(s3);
    this.lake = lake;
  }

  /**
   * Writes an object, unless its key is taken: what holds events is never replaced. Where another request is writing the
   * same key at that moment, S3 answers 409 ConditionalRequestConflict and wants the upload to be tried again: it is, a
   * few times (S3 user guide, "Prevent object overwrites with conditional writes").
   *
   * @returns whether it was written; false when the key is taken
   */
  async putIfAbsent(object: NewObject, options: RequestOptions = {}): Promise<boolean> {
    const command = this.#put(object, { IfNoneMatch: '*' });
    for (let conflicts = 0; ; conflicts += 1) {
      try {
        await this.#s3.send(command, options);
        return true;
      } catch (error) {
        if (isNamed(error, 'PreconditionFailed')) return false;
        const waitMs = isNamed(error, 'ConditionalRequestConflict')
          ? CONFLICT_WAITS_MS[conflicts]
          : undefined;
        if (waitMs === undefined) throw error;
        await delay(waitMs, undefined, { signal: options.abortSignal });
      }
    }
  }

  /**
   * Writes an object, whatever is there: for the few that tell how things stand now.
   *
   * @param options.etag writes it only as long as it is as it was read. Default: in any case
   * @returns whether it was written; false when it is another one than was read, or none
   */
  async replace(
    object: NewObject,
    { etag, abortSignal }: RequestOptions & { etag?: string | undefined } = {},
  ): Promise<boolean> {
    const command = this.#put(object, etag === undefined ? {} : { IfMatch: etag });
    try {
      await this.#s3.send(command, abortSignal === undefined ? {} : { abortSignal });
      return true;
    } catch (error) {
      if (etag !== undefined && (isNamed(error, 'PreconditionFailed') || isNamed(error, 'NoSuchKey')))
        return false;
      throw error;
    }
  }

  #put(
    { key, body, contentType, metadata }: NewObject,
    condition: { IfNoneMatch?: string; IfMatch?: string },
  ): PutObjectCommand {
    const { bucket, acl } = this.lake;
    return new PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: body,
      ContentType: contentType,
      ...(metadata === undefined ? {} : { Metadata: metadata }),
      ...condition,
      ...(acl === undefined ? {} : { ACL: acl }),
    });
  }

  /** @returns undefined when there is no such object */
  async read(key: string): Promise<ObjectContent | undefined> {
    try {
      const {
        Body,
        ETag,
        Metadata = {},
      } = await this.#s3.send(new GetObjectCommand({ Bucket: this.lake.bucket, Key: key }));
      const body = (await Body?.transformToByteArray()) ?? new Uint8Array();
      return { body, etag: ETag, metadata: Metadata };
    } catch (error) {
      if (isNamed(error, 'NoSuchKey')) return undefined;
      throw error;
    }
  }

  /** What was written beside an object, without reading it. */
  async metadata(key: string): Promise<Partial<Record<string, string>>> {
    const command = new HeadObjectCommand({ Bucket: this.lake.bucket, Key: key });
    const { Metadata = {} } = await this.#s3.send(command);
    return Metadata;
  }

  /** Lists objects in the order of their keys. */
  async *list({ prefix, startAfter, end }: Part): AsyncGenerator<ListedObject> {
    let token: string | undefined;
    do {
      const page = await this.#s3.send(
        new ListObjectsV2Command({
          Bucket: this.lake.bucket,
          Prefix: prefix,
          StartAfter: startAfter,
          ContinuationToken: token,
        }),
      );
      for (const { Key, LastModified } of page.Contents ?? []) {
        if (Key === undefined) continue;
        if (end !== undefined && Key >= end) return;
        yield { key: Key, modifiedAt: LastModified?.getTime() ?? 0 };
      }
      token = page.NextContinuationToken;
    } while (token !== undefined);
  }

  /** @returns the folders whose names begin so, in the order of their names, each with a slash at its end */
  async folders(prefix: string): Promise<string[]> {
    const found: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.#s3.send(
        new ListObjectsV2Command({
          Bucket: this.lake.bucket,
          Prefix: prefix,
          Delimiter: '/',
          ContinuationToken: token,
        }),
      );
      for (const { Prefix } of page.CommonPrefixes ?? []) if (Prefix !== undefined) found.push(Prefix);
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return found;
  }

  /**
   * Deletes an object. One that is not there is as good as deleted.
   *
   * @param options.etag deletes it only as it was read. Default: whatever it is
   * @returns whether it is gone; false when it is another one than was read
   */
  async delete(key: string, { etag }: { etag?: string | undefined } = {}): Promise<boolean> {
    try {
      await this.#s3.send(
        new DeleteObjectCommand({
          Bucket: this.lake.bucket,
          Key: key,
          ...(etag === undefined ? {} : { IfMatch: etag }),
        }),
      );
      return true;
    } catch (error) {
      if (isNamed(error, 'PreconditionFailed')) return false;
      // Without `If-Match` S3 deletes what is not there; with it, it says so.
      if (isNamed(error, 'NoSuchKey')) return true;
      throw error;
    }
  }

  async bucketExists(): Promise<boolean> {
    try {
      await this.#s3.send(new HeadBucketCommand({ Bucket: this.lake.bucket }));
      return true;
    } catch (error) {
      if (isNamed(error, 'NotFound')) return false;
      throw error;
    }
  }

  /** Makes the bucket, in the region of the client. */
  async createBucket(): Promise<void> {
    const region = await this.#s3.config.region();
    await this.#s3.send(
      new CreateBucketCommand({
        Bucket: this.lake.bucket,
        // us-east-1 is the default, and may not be named.
        ...(region === 'us-east-1'
          ? {}
          : { CreateBucketConfiguration: { LocationConstraint: region as 'eu-west-1' } }),
      }),
    );
  }
}
