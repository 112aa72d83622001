import { createHash } from 'node:crypto';
import type { ListedObject, Part } from '../../src/lake/layout';
import type { LakeStore, NewObject, ObjectContent } from '../../src/lake/store';
import type { Lake } from '../../src/pipeline/definition';

/** What commands do with a lake's objects. */
type Store = Pick<
  LakeStore,
  'lake' | 'clock' | 'list' | 'folders' | 'read' | 'putIfAbsent' | 'replace' | 'delete'
>;

interface StoredObject {
  body: string | Uint8Array;
  modifiedAt: number;
  metadata: Record<string, string>;
}

/** A bucket in memory: its objects are listed, read, written and deleted, on conditions as in S3. */
export class MemoryBucket {
  readonly objects = new Map<string, StoredObject>();
  /** What was done, in its order, such as `Get raw/a.csv`. */
  readonly commands: string[] = [];
  /** Keys that listings told of. */
  readonly listed: string[] = [];
  mostGetsAtOnce = 0;
  /** Its own clock, in epoch milliseconds. */
  now = () => Date.now();
  /** Called before each; throws what it fails with. */
  before: (command: string) => void = () => {};
  #gets = 0;

  /** A lake in it. */
  store(lake: Lake): Store {
    return {
      lake,
      clock: { now: () => this.now() },
      list: (part) => this.#list(part),
      folders: (prefix) => this.#folders(prefix),
      read: (key) => this.#get(key),
      putIfAbsent: (object) => this.#put(object),
      replace: (object, options) => this.#replace(object, options?.etag),
      delete: (key, options) => this.#delete(key, options?.etag),
    };
  }

  put(key: string, body: string | Uint8Array, modifiedAt = Date.now(), metadata = {}): void {
    this.objects.set(key, { body, modifiedAt: Math.floor(modifiedAt / 1_000) * 1_000, metadata });
  }

  text(key: string): string | undefined {
    const object = this.objects.get(key);
    return object && Buffer.from(object.body).toString();
  }

  #begin(command: string): void {
    this.commands.push(command);
    this.before(command);
  }

  async *#list({ prefix, startAfter = '', end }: Part): AsyncGenerator<ListedObject> {
    this.#begin(`List ${prefix}`);
    const isWanted = (key: string) =>
      key.startsWith(prefix) && key > startAfter && (end === undefined || key < end);
    for (const key of [...this.objects.keys()].filter(isWanted).sort()) {
      this.listed.push(key);
      yield { key, modifiedAt: this.objects.get(key)?.modifiedAt ?? 0 };
    }
  }

  async #get(key: string): Promise<ObjectContent | undefined> {
    this.#begin(`Get ${key}`);
    this.#gets += 1;
    this.mostGetsAtOnce = Math.max(this.mostGetsAtOnce, this.#gets);
    await Promise.resolve();
    this.#gets -= 1;
    const object = this.objects.get(key);
    if (!object) return undefined;
    const { body, metadata } = object;
    return { body: Buffer.from(body), etag: etagOf(body), metadata };
  }

  async #put({ key, body, metadata }: NewObject): Promise<boolean> {
    this.#begin(`Put ${key}`);
    if (this.objects.has(key)) return false;
    this.put(key, body, Date.now(), metadata);
    return true;
  }

  async #folders(prefix: string): Promise<string[]> {
    this.#begin(`Folders ${prefix}`);
    const ends = [...this.objects.keys()].flatMap((key) => {
      const end = key.startsWith(prefix) ? key.indexOf('/', prefix.length) : -1;
      return end === -1 ? [] : [key.slice(0, end + 1)];
    });
    return [...new Set(ends)].sort();
  }

  async #replace({ key, body }: NewObject, etag: string | undefined): Promise<boolean> {
    this.#begin(`Replace ${key}`);
    const found = this.objects.get(key);
    if (etag !== undefined && (!found || etagOf(found.body) !== etag)) return false;
    this.put(key, body);
    return true;
  }

  async #delete(key: string, etag: string | undefined): Promise<boolean> {
    this.#begin(`Delete ${key}`);
    const object = this.objects.get(key);
    if (object && etag !== undefined && etagOf(object.body) !== etag) return false;
    this.objects.delete(key);
    return true;
  }
}

function etagOf(body: string | Uint8Array): string {
  return `"${createHash('md5').update(body).digest('hex')}"`;
}
