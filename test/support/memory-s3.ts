import { createHash } from 'node:crypto';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { s3Error } from './fake-s3';

/** A bucket in memory that lists, gets, puts and deletes, on conditions as S3 does, in place of the S3 client. */
export class MemoryS3 {
  readonly objects = new Map<string, { body: string | Uint8Array; modifiedAt: number }>();
  /** Commands in their order, such as `Get raw/a.csv`. */
  readonly commands: string[] = [];
  /** Objects that one page of a listing has. */
  pageSize = 1_000;
  mostGetsAtOnce = 0;
  /** Called before each command; throws what it fails with. */
  before: (command: string) => void = () => {};
  #gets = 0;

  /** The client as a command gets it. */
  get client(): S3Client {
    const client = new S3Client({ region: 'us-east-1' });
    // The overloads of `send` can't be answered without a cast.
    client.send = (async (command: object) => (await this.#answer(command)) as never) as S3Client['send'];
    return client;
  }

  put(key: string, body: string | Uint8Array, modifiedAt = Date.now()): void {
    this.objects.set(key, { body, modifiedAt: Math.floor(modifiedAt / 1_000) * 1_000 });
  }

  text(key: string): string | undefined {
    const object = this.objects.get(key);
    return object && Buffer.from(object.body).toString();
  }

  async #answer(command: object): Promise<object> {
    if (command instanceof ListObjectsV2Command) return this.#list(command.input);
    if (command instanceof GetObjectCommand) return await this.#get(command.input);
    if (command instanceof PutObjectCommand) return this.#put(command.input);
    if (command instanceof DeleteObjectCommand) return this.#delete(command.input);
    throw new Error(`The fake does not know ${command.constructor.name}`);
  }

  #begin(command: string): void {
    this.commands.push(command);
    this.before(command);
  }

  #list({ Prefix = '', StartAfter = '', ContinuationToken = '' }: ListObjectsV2Command['input']) {
    this.#begin(`List ${Prefix}`);
    const after = ContinuationToken || StartAfter;
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(Prefix) && key > after).sort();
    const page = keys.slice(0, this.pageSize);
    return {
      Contents: page.map((Key) => ({ Key, LastModified: new Date(this.objects.get(Key)?.modifiedAt ?? 0) })),
      NextContinuationToken: keys.length > page.length ? page.at(-1) : undefined,
    };
  }

  async #get({ Key = '' }: GetObjectCommand['input']) {
    this.#begin(`Get ${Key}`);
    this.#gets += 1;
    this.mostGetsAtOnce = Math.max(this.mostGetsAtOnce, this.#gets);
    await Promise.resolve();
    this.#gets -= 1;
    const object = this.objects.get(Key);
    if (!object) throw s3Error('NoSuchKey', 404);
    const body = Buffer.from(object.body);
    return { Body: { transformToByteArray: () => Promise.resolve(body) }, ETag: etagOf(object.body) };
  }

  #put({ Key = '', Body, IfNoneMatch }: PutObjectCommand['input']) {
    this.#begin(`Put ${Key}`);
    if (IfNoneMatch === '*' && this.objects.has(Key)) throw s3Error('PreconditionFailed', 412);
    if (!(typeof Body === 'string' || Body instanceof Uint8Array))
      throw new Error('The fake takes no streams');
    this.put(Key, Body);
    return {};
  }

  #delete({ Key = '', IfMatch }: DeleteObjectCommand['input']) {
    this.#begin(`Delete ${Key}`);
    const object = this.objects.get(Key);
    if (IfMatch !== undefined && !object) throw s3Error('NoSuchKey', 404);
    if (IfMatch !== undefined && object && etagOf(object.body) !== IfMatch)
      throw s3Error('PreconditionFailed', 412);
    this.objects.delete(Key);
    return {};
  }
}

function etagOf(body: string | Uint8Array): string {
  return `"${createHash('md5').update(body).digest('hex')}"`;
}
