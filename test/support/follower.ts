import { ConfirmedCursor } from '../../src/sources/confirmed-cursor';
import type { Cursor } from '../../src/sources/cursor';
import { keyDigest, readEvent } from '../../src/sources/event';
import type { Source } from '../../src/sources/source';
import { eventually } from '../local/eventually';

/** Reads a source in the background as `consumeStream` does, and confirms each event at once. */
export class Follower {
  /** Payloads in the order in which they came, repeats too. */
  readonly texts: string[] = [];
  /** Those that were not known before. */
  readonly fresh: string[] = [];
  readonly cursor: ConfirmedCursor;
  /** When the reading has ended: with what it failed, if it did. */
  readonly ended: Promise<unknown>;
  readonly #stop = new AbortController();

  constructor(source: Source, from: Cursor) {
    this.cursor = new ConfirmedCursor(from);
    this.ended = this.#follow(source).then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  async received(count: number): Promise<void> {
    await eventually(`${count} events`, () => this.fresh.length >= count);
  }

  /** @returns with what the reading failed, if it did */
  async stop(): Promise<unknown> {
    this.#stop.abort();
    return await this.ended;
  }

  async #follow(source: Source): Promise<void> {
    for await (const { id, positions, text } of source.read(() => this.cursor.resume(), this.#stop.signal)) {
      this.texts.push(text);
      const event = readEvent(text);
      const digest = keyDigest(event.key);
      if (this.cursor.knows(digest)) continue;
      this.fresh.push(text);
      const { partition, offset } = event.ok ? event : { partition: '', offset: undefined };
      this.cursor.confirm(this.cursor.received({ id, positions }, digest, { partition, offset }));
    }
  }
}
