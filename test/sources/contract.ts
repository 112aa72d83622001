import assert from 'node:assert/strict';
import { ConfirmedCursor } from '../../src/sources/confirmed-cursor';
import type { Cursor } from '../../src/sources/cursor';
import { keyDigest } from '../../src/event/key';
import type { OnReconnect, Source, SourceEvent } from '../../src/sources/source';
import { eventually } from '../support/eventually';
import { Follower } from '../support/follower';
import { ownTimeOf } from '../support/own-time';
import { settled } from '../support/settled';
import type { TcpLink } from '../support/tcp-link';

/** A stream of the kind that is tested, empty, behind a link that can fail. */
export interface Stage {
  /** Opens the source, with short waits. */
  open(onReconnect?: OnReconnect): Source;
  link: TcpLink;
  /** Before the first event. */
  start: Cursor;
  /** Publishes that many events with `meta.id`. @returns their payloads in the order of publication */
  publish(count: number): Promise<string[]>;
  /** Publishes {@link FLOOD_BYTES} or more. */
  flood(): Promise<void>;
  close(): Promise<void>;
}

export interface Kind {
  name: string;
  /** A reason not to run at all. */
  skip?: string | undefined;
  /** Once, before the first stage. */
  prepare?: () => Promise<void>;
  finish?: () => Promise<void>;
  stage(): Promise<Stage>;
  /** Partitions that `publish` spreads events over: order is kept within one. */
  partitionOf(payload: string): string;
  /** Events that a reader may be sent again after it resumed, when it had confirmed all. */
  repeatsAtMost: number;
}

/** More than the source, the kernels and the link may hold of a stream that nobody takes, which is this. */
export const FLOOD_BYTES = 32 * 1024 * 1024;
const AHEAD_AT_MOST = 24 * 1024 * 1024;

/** What was published: some sources send a canary now and then, by themselves. */
const eventsOf = ({ fresh }: Follower) => fresh.filter((text) => !text.includes('"domain":"canary"'));
const received = (follower: Follower, count: number) =>
  eventually(`${count} events`, () => eventsOf(follower).length >= count);

const idOf = (payload: string) => (JSON.parse(payload) as { meta: { id: string } }).meta.id;
const idsOf = (payloads: readonly string[]) => payloads.map(idOf);

/** What ingest relies on, whatever it reads from. A new source must pass it: see CONTRIBUTING, "Adding a source". */
export function itIsASource(kind: Kind): void {
  const suite = kind.skip === undefined ? describe : describe.skip;
  const why = kind.skip === undefined ? '' : ` (skipped: ${kind.skip})`;
  suite(`The contract of a source, kept by ${kind.name}${why}`, () => {
    let stage: Stage;
    const followers: Follower[] = [];

    before(async function () {
      this.timeout(300_000);
      await kind.prepare?.();
    });
    after(() => kind.finish?.());

    beforeEach(async () => {
      stage = await kind.stage();
    });
    afterEach(async () => {
      stage.link.mend();
      await Promise.all(followers.splice(0).map((follower) => follower.stop()));
      await stage.close();
    });

    function follow(from: Cursor = stage.start): Follower {
      const follower = new Follower(stage.open(), from);
      followers.push(follower);
      return follower;
    }

    function inOrder(payloads: readonly string[]): Map<string, string[]> {
      const ordered = new Map<string, string[]>();
      for (const payload of payloads) {
        const partition = kind.partitionOf(payload);
        ordered.set(partition, [...(ordered.get(partition) ?? []), idOf(payload)]);
      }
      return ordered;
    }

    /** As it travels: through heartbeats and workflow state. */
    const carried = (cursor: ConfirmedCursor) => JSON.parse(JSON.stringify(cursor.cursor())) as Cursor;

    describe('order', () => {
      it('is that of publication within a partition, from the first event on', async () => {
        const published = await stage.publish(300);
        const follower = follow();
        await received(follower, 300);
        published.push(...(await stage.publish(300)));
        await received(follower, 600);
        assert.deepEqual(inOrder(eventsOf(follower)), inOrder(published));
      });

      it('is kept over cuts', async () => {
        const follower = follow();
        const published: string[] = [];
        for (let round = 1; round <= 5; round += 1) {
          published.push(...(await stage.publish(60)));
          await received(follower, round * 60 - 20);
          stage.link.cut();
        }
        await received(follower, 300);
        assert.deepEqual(inOrder(eventsOf(follower)), inOrder(published));
      });
    });

    describe('cursor', () => {
      it('resumes behind the confirmed events, loses none, and brings few again', async () => {
        const published = await stage.publish(200);
        const first = follow();
        await received(first, 200);
        await first.stop();
        published.push(...(await stage.publish(100)));
        const second = follow(carried(first.cursor));
        await received(second, 100);
        assert.deepEqual(idsOf(eventsOf(second)).sort(), idsOf(published.slice(200)).sort());
        const again = second.texts.length - second.fresh.length;
        assert(again <= kind.repeatsAtMost, `${again} came again`);
      });

      it('waits before what is not confirmed, however much behind it is', async () => {
        await stage.publish(50);
        const cursor = new ConfirmedCursor(stage.start);
        const [held, ...others] = await readSome(stage.open(), cursor, 50);
        assert(held);
        for (const { pending } of others) cursor.confirm(pending);
        const resumed = follow(carried(cursor));
        await eventually('the one that was not confirmed', () =>
          idsOf(eventsOf(resumed)).includes(idOf(held.event.text)),
        );
      });

      it('has not moved when nothing was confirmed', async () => {
        const published = await stage.publish(20);
        const cursor = new ConfirmedCursor(stage.start);
        await readSome(stage.open(), cursor, 20);
        const resumed = follow(carried(cursor));
        await received(resumed, 20);
        assert.deepEqual(idsOf(eventsOf(resumed)).sort(), idsOf(published).sort());
      });

      it('is known before the first event: what comes while nobody reads is not passed over', async () => {
        const first = follow();
        await eventually('a connection', () => stage.link.received > 0);
        await first.stop();
        const published = await stage.publish(10);
        const second = follow(carried(first.cursor));
        await received(second, 10);
        assert.deepEqual(idsOf(eventsOf(second)).sort(), idsOf(published).sort());
      });

      it('stays below 32 KiB as JSON', async () => {
        await stage.publish(1_000);
        const follower = follow();
        await received(follower, 1_000);
        assert(JSON.stringify(carried(follower.cursor)).length < 32 * 1024);
      });
    });

    describe('failures', () => {
      it('are told, each once, with a reason', async () => {
        const told: string[] = [];
        const follower = new Follower(
          stage.open((reason, detail) => told.push(`${reason}: ${detail}`)),
          stage.start,
        );
        followers.push(follower);
        await stage.publish(5);
        await received(follower, 5);
        stage.link.cut();
        await stage.publish(5);
        await received(follower, 10);
        assert(told.length >= 1, 'nothing was told');
        assert(
          told.every((line) => /^(closed|silent|refused|unreachable): ./.test(line)),
          told.join('\n'),
        );
      });

      it('of a server that takes nobody are waited for', async () => {
        await stage.publish(5);
        const follower = follow();
        await received(follower, 5);
        stage.link.break();
        const before = stage.link.connections;
        await eventually('three tries', () => stage.link.connections >= before + 3);
        stage.link.mend();
        await stage.publish(5);
        await received(follower, 10);
      });

      it('lose no event, over many cuts and readers that end anywhere', async function () {
        this.timeout(300_000);
        const published: string[] = [];
        const fresh = new Set<string>();
        let from = stage.start;
        for (let round = 0; round < 8; round += 1) {
          published.push(...(await stage.publish(50)));
          const follower = follow(from);
          await eventually('some events', () => eventsOf(follower).length >= 20 + round);
          stage.link.cut();
          await eventually('more events', () => eventsOf(follower).length >= 25 + round);
          await follower.stop();
          for (const id of idsOf(eventsOf(follower))) fresh.add(id);
          from = carried(follower.cursor);
        }
        const last = follow(from);
        await eventually('every event', () => {
          for (const id of idsOf(eventsOf(last))) fresh.add(id);
          return fresh.size >= published.length;
        });
        assert.deepEqual([...fresh].sort(), idsOf(published).sort());
      });
    });

    describe('back-pressure', () => {
      it('reaches the server: what is not taken is not sent', async function () {
        this.timeout(300_000);
        await stage.flood();
        const stop = new AbortController();
        const { link } = stage;
        let held = 0;
        for await (const event of stage.open().read(() => stage.start, stop.signal)) {
          if ('mark' in event) continue;
          if (held === 0) {
            await settled('bytes from the server', () => link.received);
            held = link.received;
            assert(held < AHEAD_AT_MOST, `${held} bytes`);
          }
          // What was taken makes room for more.
          if (link.received > held) stop.abort();
        }
        assert(link.received > held);
      });
    });

    describe('shutdown', () => {
      const situations: Record<string, (stage: Stage, follower: Follower) => Promise<void>> = {
        'while it waits for events': async (_, follower) => await received(follower, 5),
        'after a cut': async ({ link }, follower) => {
          await received(follower, 5);
          link.cut();
        },
        'while nobody answers': async ({ link }, follower) => {
          await received(follower, 5);
          link.stall();
        },
        'while it is cut off': async ({ link }, follower) => {
          await received(follower, 5);
          link.break();
          const before = link.connections;
          await eventually('a try', () => link.connections > before);
        },
        'while the first answer does not come': async ({ link }) => {
          await eventually('a connection', () => link.connections > 0);
        },
      };
      for (const [when, arrange] of Object.entries(situations)) {
        it(`takes less than a second: ${when}`, async () => {
          await stage.publish(5);
          if (when.includes('first answer')) stage.link.stall();
          const follower = follow();
          await arrange(stage, follower);
          const took = await ownTimeOf(async () => assert.equal(await follower.stop(), undefined));
          assert(took < 1_000, `${took} ms`);
          // A socket that is stalled does not see its other end go.
          stage.link.mend();
          await eventually('no connection is left', () => stage.link.open === 0);
        });
      }

      it('gives nothing more, though it holds events', async () => {
        await stage.publish(100);
        const stop = new AbortController();
        let taken = 0;
        for await (const event of stage.open().read(() => stage.start, stop.signal)) {
          if ('mark' in event) continue;
          taken += 1;
          stop.abort();
        }
        assert.equal(taken, 1);
      });

      it('is over before it began when the signal has aborted', async () => {
        for await (const _ of stage.open().read(() => stage.start, AbortSignal.abort())) assert.fail();
        assert.equal(stage.link.connections, 0);
      });
    });
  });
}

/** Reads that many events without confirming any. */
async function readSome(source: Source, cursor: ConfirmedCursor, count: number) {
  const stop = new AbortController();
  const read: { event: SourceEvent; pending: ReturnType<ConfirmedCursor['received']> }[] = [];
  for await (const event of source.read(() => cursor.resume(), stop.signal)) {
    if ('mark' in event) {
      cursor.mark(event.mark);
      continue;
    }
    const digest = keyDigest(event.read.key);
    if (cursor.knows(digest)) continue;
    if (event.read.ok && event.read.isCanary) continue;
    read.push({ event, pending: cursor.received(event, digest, event.read) });
    if (read.length >= count) stop.abort();
  }
  return read;
}
