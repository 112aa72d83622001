import { ConfirmedCursor } from '../../src/sources/confirmed-cursor';
import type { Cursor } from '../../src/sources/cursor';
import { keyDigest } from '../../src/event/key';
import type { Source } from '../../src/sources/source';
import { eventually } from './eventually';

/** Reads a source in the background as `consumeStream` does, and confirms each event at once. */
export class Follower {
  /** Payloads in the order in which they came, repeats too. */
  readonly texts: string[] = [];
  /** What would go to the queue, one for each. */
  readonly bodies: string[] = [];
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
    for await (const event of source.read(() => this.cursor.resume(), this.#stop.signal)) {
      if ('mark' in event) {
        this.cursor.mark(event.mark, event.place);
        continue;
      }
      const { text, read } = event;
      this.texts.push(text);
      this.bodies.push(event.body ?? text);
      const digest = keyDigest(read.key);
      if (this.cursor.knows(digest)) continue;
      this.fresh.push(text);
      this.cursor.confirm(this.cursor.received(event, digest, read));
    }
  }
}
