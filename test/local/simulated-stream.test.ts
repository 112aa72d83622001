import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';

import {
  awkwardTexts,
  startSimulatedStream,
  type SimulatedStream,
  type SimulatedStreamOptions,
} from '../../local/simulated-stream';
import { eventually } from '../support/eventually';

const eqiad = 'eqiad.mediawiki.recentchange';
const codfw = 'codfw.mediawiki.recentchange';
const userAgent = 'sluice-test/1.0 (test@example.org)';

interface ReceivedEvent {
  name: string;
  id: string;
  data: string;
}

/** A plain client: what it shows is what came over the wire. */
class Client {
  readonly chunks: Buffer[] = [];
  hasEnded = false;

  private constructor(readonly response: IncomingMessage) {
    response.on('data', (chunk: Buffer) => this.chunks.push(chunk));
    response.on('error', () => {});
    response.once('close', () => {
      this.hasEnded = true;
    });
  }

  static async connect(url: string, headers: Record<string, string> = {}): Promise<Client> {
    return new Client(await request(url, headers));
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  /** Events that arrived whole. (A dot in the pattern would stop at U+2028, which is no line end in SSE.) */
  get events(): ReceivedEvent[] {
    return [...this.text.matchAll(/event: ([^\n]*)\nid: ([^\n]*)\ndata: ([^\n]*)\n\n/g)].map(
      ([, name = '', id = '', data = '']) => ({ name, id, data }),
    );
  }

  get texts(): string[] {
    return this.events.map(({ data }) => data);
  }

  async received(count: number): Promise<ReceivedEvent[]> {
    await eventually(`${count} events arrive`, () => this.events.length >= count);
    return this.events;
  }

  close(): void {
    this.response.destroy();
  }
}

async function request(url: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const outgoing = get(url, { headers: { 'user-agent': userAgent, ...headers }, agent: false });
  const response: IncomingMessage = await new Promise((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.once('error', reject);
  });
  return response;
}

async function statusOf(url: string, headers: Record<string, string> = {}): Promise<number | undefined> {
  const response = await request(url, headers);
  response.destroy();
  return response.statusCode;
}

function metaOf(text: string): { id: string; offset: number; topic: string; domain: string; dt: string } {
  return JSON.parse(text).meta;
}

describe('The simulated stream', () => {
  const open: SimulatedStream[] = [];

  async function start(options: SimulatedStreamOptions = {}): Promise<SimulatedStream> {
    const stream = await startSimulatedStream({ cutAfterEvents: false, ...options });
    open.push(stream);
    return stream;
  }

  afterEach(async () => {
    await Promise.all(open.splice(0).map((stream) => stream.close()));
  });

  describe('as events go', () => {
    it('publishes exactly so many events, the broken ones among them and canaries not', async () => {
      const { published, ledger } = await start({
        events: 1003,
        ratePerSecond: Infinity,
        startsWhen: 'at-once',
      });
      await published;

      assert.equal(ledger.published.length, 1000);
      assert.deepEqual(ledger.broken.map(({ reason }) => reason).sort(), [
        'The event is larger than one SQS message.',
        'The text is JSON, but not an object.',
        'The text is cut off and is not JSON.',
      ]);
      assert(ledger.canaries > 0);
    });

    it('can leave the large one out', async () => {
      const options = { events: 3, ratePerSecond: Infinity, startsWhen: 'at-once' } as const;
      const { published, ledger } = await start({ ...options, brokenKinds: ['not-json'] });
      await published;

      assert.equal(ledger.broken.length, 3);
      assert(ledger.broken.every(({ text }) => text.length < 3000));
      for (const { text } of ledger.broken) assert.throws(() => JSON.parse(text), SyntaxError);
    });

    it('can leave canaries and awkward texts out, and make events larger', async () => {
      const options = { events: 300, broken: 0, ratePerSecond: Infinity, startsWhen: 'at-once' } as const;
      const { published, ledger } = await start({
        ...options,
        canaryOneIn: 0,
        awkwardOneIn: 0,
        paddingBytes: 20_000,
      });
      await published;

      assert.equal(ledger.canaries, 0);
      assert(ledger.published.every(({ text }) => text.length > 20_000));
      assert(
        ledger.published.every(
          ({ text }) => !awkwardTexts.some((awkward) => text.includes(JSON.stringify(awkward))),
        ),
      );
    });

    it('makes the same content from the same seed, and other content from another', async () => {
      const streams = [await start({ seed: 1 }), await start({ seed: 1 }), await start({ seed: 2 })];
      const keys = streams.map((stream) => stream.publish(50).map(({ key, offset }) => [key, offset]));

      assert.deepEqual(keys[0], keys[1]);
      assert.notDeepEqual(keys[0], keys[2]);
    });

    it('looks like RecentChange: sizes, types, missing fields, no nulls, offsets without holes', async () => {
      const stream = await start();
      const texts = stream.publish(2000).map(({ text }) => text);
      const changes = texts.map((text) => JSON.parse(text));
      const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / texts.length;

      assert(bytes > 1100 && bytes < 1300, `${bytes} bytes on average`);
      assert.deepEqual(
        new Set(changes.map(({ type }) => type)),
        new Set(['edit', 'new', 'log', 'categorize']),
      );
      assert(changes.some(({ namespace }) => namespace === -1));
      assert(changes.some((change) => change.type === 'edit' && !('patrolled' in change)));
      assert(changes.some((change) => !('user' in change)));
      assert(changes.some((change) => change.type === 'log' && !('id' in change)));
      assert(changes.some(({ log_params }) => Array.isArray(log_params) && log_params.length === 0));
      assert(changes.some(({ log_params }) => typeof log_params === 'string'));
      assert(texts.every((text) => !/:null[,}]/.test(text) && !text.includes('\n')));
      const { offset } = changes[0].meta;
      assert.equal(changes.at(-1).meta.offset, offset + texts.length - 1 + stream.ledger.canaries);
    });

    it('carries awkward text: raw noncharacters, escaped lone surrogates, CR and LF, formulas', async () => {
      const stream = await start();
      const all = stream
        .publish(600)
        .map(({ text }) => text)
        .join('\n');

      for (const part of [
        '\ufffe',
        '\uffff',
        '\u2028',
        '\\ud800',
        '\\r\\n',
        '👩‍👩‍👧‍👦',
        '"=1+1"',
        '"NULL"',
        '\\"',
      ]) {
        assert(all.includes(part), `no ${JSON.stringify(part)}`);
      }
    });

    it('forgets payloads on request, and keeps keys and digests', async () => {
      const options = { events: 50_000, broken: 0, ratePerSecond: Infinity, startsWhen: 'at-once' } as const;
      const { published, ledger } = await start({ ...options, keepPayloads: false });
      await published;

      assert.equal(ledger.published.length, 50_000);
      assert(ledger.published.every(({ text, sha256 }) => text === '' && /^[0-9a-f]{64}$/.test(sha256)));
    });

    it('refuses to break more events than it publishes', async () => {
      await assert.rejects(start({ events: 2, broken: 3 }), /broken is 3, and events is only 2/);
    });
  });

  describe('on the wire', () => {
    it('says :ok once, and then everything that is published, canaries and broken events too', async () => {
      const stream = await start({ events: 403, ratePerSecond: Infinity });
      const client = await Client.connect(stream.url);
      await stream.published;
      const { ledger } = stream;
      const events = await client.received(403 + ledger.canaries);

      assert(client.text.startsWith(':ok\n\nevent: message\n'));
      assert.equal(client.text.match(/^:/gm)?.length, 1);
      const texts = new Set(events.map(({ data }) => data));
      assert(ledger.published.every(({ text }) => texts.has(text)));
      assert(ledger.broken.every(({ text }) => texts.has(text)));
      assert.equal(client.texts.filter((text) => text.includes('"domain":"canary"')).length, ledger.canaries);
    });

    it('begins to publish at the first connection, at the rate it was given', async () => {
      const stream = await start({ events: 40, ratePerSecond: 200 });
      assert.equal(await statusOf(stream.url, { 'user-agent': 'node' }), 403);
      assert.equal(stream.ledger.published.length, 0);
      const begun = Date.now();
      await Client.connect(stream.url);
      await stream.published;

      assert(Date.now() - begun > 150);
      assert.equal(stream.ledger.published.length + stream.ledger.broken.length, 40);
    });

    it('gives each event an id with both partitions, one millisecond past the event', async () => {
      const stream = await start();
      const client = await Client.connect(stream.url);
      const [event] = stream.publish(1);
      const [received] = await client.received(1);

      assert(event && received);
      assert.deepEqual(JSON.parse(received.id), [
        { topic: eqiad, partition: 0, timestamp: Date.parse(metaOf(event.text).dt) + 1 },
        { topic: codfw, partition: 0, offset: -1 },
      ]);
    });

    it('has twins that share an id, and ids that step back', async () => {
      const stream = await start();
      const client = await Client.connect(stream.url);
      stream.publish(1000);
      const times = (await client.received(1000)).map(({ id }) => Number(JSON.parse(id)[0].timestamp));
      const steps = times.slice(1).map((time, index) => time - (times[index] ?? 0));

      const twins = steps.filter((step) => step === 0).length;
      const backward = steps.filter((step) => step < 0);
      assert(twins >= 10 && twins <= 30, `${twins} twins`);
      assert(backward.length >= 3 && backward.length <= 20, `${backward.length} steps back`);
      assert(backward.every((step) => step >= -5));
    });

    it('breaks events into pieces, inside UTF-8 characters too', async () => {
      const stream = await start({ splitOneIn: 1 });
      const client = await Client.connect(stream.url);
      const events = stream.publish(50);
      await client.received(50);

      assert(client.chunks.length > 100);
      assert(client.chunks.some((chunk) => ((chunk[0] ?? 0) & 0xc0) === 0x80));
      assert(events.every(({ text }) => client.texts.includes(text)));
    });

    it('cuts connections, some in the middle of an event, and the next one goes on', async () => {
      const stream = await start({ cutAfterEvents: [10, 20] });
      const tails: string[] = [];
      for (let round = 0; round < 12; round += 1) {
        const client = await Client.connect(stream.url);
        stream.publish(30);
        await eventually('the connection ends', () => client.hasEnded);
        assert(client.events.length >= 9 && client.events.length <= 20);
        tails.push(client.text.slice(-2));
      }

      assert(tails.includes('\n\n'));
      assert(tails.some((tail) => tail !== '\n\n'));
    });

    it('does not buffer for a client that does not read, and sends it everything once it reads', async () => {
      const stream = await start();
      const client = await Client.connect(stream.url);
      client.response.pause();
      stream.publish(20_000);
      await eventually('the client has its buffers full', () => stream.bufferedBytes > 0);
      assert(stream.bufferedBytes < 100_000, `${stream.bufferedBytes} bytes`);

      client.response.resume();
      await client.received(20_000 + stream.ledger.canaries);
    });

    it('sends nothing while stalled, and everything afterwards', async () => {
      const stream = await start();
      const client = await Client.connect(stream.url);
      stream.stall();
      stream.publish(3);
      // A second connection is answered after anything the first could have been sent.
      const second = await Client.connect(stream.url);
      await eventually('the second connection is greeted', () => second.text === ':ok\n\n');
      assert.equal(client.text, ':ok\n\n');

      stream.unstall();
      await client.received(3);
    });

    it('leaves out withheld events and their offsets', async () => {
      const stream = await start();
      const client = await Client.connect(stream.url);
      stream.withhold(2);
      const sent = stream.publish(5);
      await client.received(3);

      assert.equal(sent.length, 3);
      assert.deepEqual(
        client.texts,
        sent.map(({ text }) => text),
      );
      const offsets = [...stream.ledger.withheld, ...sent].map(({ offset }) => offset);
      assert.deepEqual(
        offsets,
        Array.from({ length: 5 }, (_, index) => (offsets[0] ?? 0) + index),
      );
    });

    it('sends withheld events that turn up late to whoever begins before them, as they were or as something else', async () => {
      const stream = await start();
      stream.withhold(3);
      stream.publish(4);
      const [first, second, third] = stream.ledger.withheld;
      assert(first && second && third);
      stream.release(1);
      stream.release(1, 'canary');
      assert.deepEqual(stream.ledger.withheld, [third]);
      assert.equal(stream.ledger.published.at(-1)?.sha256, first.sha256);

      const client = await Client.connect(`${stream.url}?since=2026-01-01`);
      await client.received(3);
      const [late, canary] = client.texts;
      assert.equal(late, first.text);
      const { meta } = JSON.parse(canary ?? '');
      assert.deepEqual([meta.domain, meta.offset], ['canary', second.offset]);
    });

    it("has another cluster's offsets after a switch, and resumes as before", async () => {
      const stream = await start();
      const [before] = stream.publish(1);
      stream.switchCluster();
      const [after] = stream.publish(1);
      assert(before && after);
      assert.equal(after.topic, before.topic);
      assert.equal(after.offset, before.offset + 1 + 1_000_000_000);
      const client = await Client.connect(`${stream.url}?since=2026-01-01`);
      await client.received(2);
      assert.deepEqual(client.texts, [before.text, after.text]);
    });

    it('goes on in the other topic, with other offsets, after a switch of datacenter', async () => {
      const stream = await start();
      const client = await Client.connect(stream.url);
      const [before] = stream.publish(1);
      stream.switchDatacenter();
      const [after] = stream.publish(1);
      const [, second] = await client.received(2);

      assert(before && after && second);
      assert.deepEqual([before.topic, after.topic], [eqiad, codfw]);
      assert.notEqual(after.offset, before.offset + 1);
      assert.deepEqual(
        JSON.parse(second.id).map((entry: object) => 'timestamp' in entry),
        [true, true],
      );
    });

    it('ends a stream with an error event on request', async () => {
      const stream = await start();
      const client = await Client.connect(stream.url);
      stream.sendError('Broker gone');
      await once(client.response, 'close');

      assert.equal(client.events[0]?.name, 'error');
      assert.match(client.events[0].data, /Broker gone/);
    });

    it('sends a retry field when told to', async () => {
      const stream = await start({ retryMilliseconds: 50 });
      const client = await Client.connect(stream.url);
      await eventually('the field arrives', () => client.text === ':ok\n\nretry: 50\n\n');
    });
  });

  describe('when a client resumes', () => {
    /** Five events, the third a twin of the second. */
    async function withTwins() {
      const stream = await start();
      let events = stream.publish(2);
      const timeOf = (index: number) => Date.parse(metaOf(events[index]?.text ?? '').dt);
      while (timeOf(events.length - 1) !== timeOf(events.length - 2))
        events = [...events, ...stream.publish(1)];
      events = [...events, ...stream.publish(3)];
      return { stream, texts: events.map(({ text }) => text), timeOf, twin: events.length - 4 };
    }

    it('starts at latest without Last-Event-ID and since', async () => {
      const stream = await start();
      stream.publish(3);
      const client = await Client.connect(stream.url);
      const later = stream.publish(2);
      await client.received(2);

      assert.deepEqual(
        client.texts,
        later.map(({ text }) => text),
      );
    });

    it('starts at the first event that is young enough, in milliseconds, ISO 8601 or as an id', async () => {
      const { stream, texts, timeOf, twin } = await withTwins();
      const time = timeOf(twin);
      const id = JSON.stringify([{ topic: eqiad, partition: 0, timestamp: time }]);
      const clients = [
        await Client.connect(`${stream.url}?since=${time}`),
        await Client.connect(`${stream.url}?since=${new Date(time).toISOString()}`),
        await Client.connect(`${stream.url}?since=garbage`, { 'last-event-id': id }),
      ];

      for (const client of clients) {
        await client.received(5);
        assert(client.texts.includes(texts[twin - 1] ?? ''));
        assert(client.texts.includes(texts[twin] ?? ''));
      }
    });

    it('skips the twin of the last event, as the real service does', async () => {
      const { stream, texts, timeOf, twin } = await withTwins();
      const id = JSON.stringify([{ topic: eqiad, partition: 0, timestamp: timeOf(twin - 1) + 1 }]);
      const client = await Client.connect(stream.url, { 'last-event-id': id });
      await client.received(3);

      assert(!client.texts.includes(texts[twin] ?? ''));
      assert.equal(client.texts.at(-1), texts.at(-1));
    });

    it('starts at an offset, and at the end where nothing is young enough or the offset is −1', async () => {
      const stream = await start();
      const events = stream.publish(4);
      const connect = (start: object) =>
        Client.connect(stream.url, {
          'last-event-id': JSON.stringify([{ topic: eqiad, partition: 0, ...start }]),
        });
      const fromOffset = await connect({ offset: events[2]?.offset });
      await fromOffset.received(2);
      assert.deepEqual(
        fromOffset.texts,
        events.slice(2).map(({ text }) => text),
      );

      const future = await connect({ timestamp: Date.now() + 3_600_000 });
      const latest = await connect({ offset: -1 });
      const [later] = stream.publish(1);
      for (const client of [future, latest]) {
        await client.received(1);
        assert.deepEqual(client.texts, [later?.text]);
      }
    });

    it('shows the offset that a timestamp led to, until the partition has had an event', async () => {
      const stream = await start();
      stream.switchDatacenter();
      const [ofCodfw] = stream.publish(1);
      stream.switchDatacenter();
      stream.publish(1);
      const client = await Client.connect(stream.url, {
        'last-event-id': JSON.stringify([
          { topic: eqiad, partition: 0, timestamp: 1 },
          { topic: codfw, partition: 0, offset: ofCodfw?.offset },
        ]),
      });
      const [first] = await client.received(2);

      assert.equal(typeof JSON.parse(first?.id ?? '[]')[0].offset, 'number');
      assert.equal(typeof JSON.parse(first?.id ?? '[]')[1].timestamp, 'number');
    });

    it('loses what a replayed offset −1 skips after a switch of datacenter', async () => {
      const stream = await start();
      const first = await Client.connect(stream.url);
      stream.publish(1);
      const id = (await first.received(1))[0]?.id ?? '';
      first.close();
      stream.switchDatacenter();
      stream.publish(2);
      const second = await Client.connect(stream.url, { 'last-event-id': id });
      const [later] = stream.publish(1);
      await second.received(1);

      assert.deepEqual(second.texts, [later?.text]);
    });

    const malformed: Record<string, string> = {
      'no JSON': '[{"topic"',
      'an empty header': '',
      'no list': '{}',
      'an empty list': '[]',
      'no partition': `[{"topic":"${eqiad}","offset":1}]`,
      'an unknown topic': '[{"topic":"other","partition":0,"offset":1}]',
      'neither offset nor timestamp': `[{"topic":"${eqiad}","partition":0}]`,
      'both offset and timestamp': `[{"topic":"${eqiad}","partition":0,"offset":1,"timestamp":1}]`,
    };
    for (const [what, id] of Object.entries(malformed)) {
      it(`answers 400 to a Last-Event-ID with ${what}`, async () => {
        const stream = await start();
        assert.equal(await statusOf(stream.url, { 'last-event-id': id }), 400);
      });
    }

    it('answers 400 to a since that is no time', async () => {
      const stream = await start();
      assert.equal(await statusOf(`${stream.url}?since=yesterday`), 400);
      assert.equal(await statusOf(`${stream.url}?since=2026-13-45`), 400);
    });
  });

  describe('when it refuses', () => {
    it('answers 403 without a User-Agent that names a contact', async () => {
      const stream = await start();
      for (const agent of ['node', 'undici', 'axios/1.7.2', 'sluice/1.0']) {
        assert.equal(await statusOf(stream.url, { 'user-agent': agent }), 403);
      }
      assert.equal((await fetch(stream.url)).status, 403);
    });

    it('answers 404 elsewhere', async () => {
      const stream = await start();
      assert.equal(await statusOf(stream.url.replace('recentchange', 'other')), 404);
    });

    it('answers 429 to one connection too many from an address, until another closes', async () => {
      const stream = await start({ maxConnections: 2 });
      const first = await Client.connect(stream.url);
      await Client.connect(stream.url);
      assert.equal(await statusOf(stream.url), 429);

      first.close();
      await eventually('one connection is left', () => stream.connections === 1);
      assert.equal(await statusOf(stream.url), 200);
    });

    it('answers any status on request, so many times, with Retry-After', async () => {
      const stream = await start();
      stream.refuseNext({ status: 503, count: 1, retryAfterSeconds: 2 });
      stream.refuseNext({ status: 204, count: 2 });
      const refused = await request(stream.url);
      refused.destroy();

      assert.deepEqual([refused.statusCode, refused.headers['retry-after']], [503, '2']);
      assert.deepEqual(
        [await statusOf(stream.url), await statusOf(stream.url), await statusOf(stream.url)],
        [204, 204, 200],
      );
    });

    it('refuses requests on schedule, as in the demo', async () => {
      const stream = await start({
        refusals: [
          { request: 2, status: 429, retryAfterSeconds: 1 },
          { request: 4, status: 503 },
        ],
      });
      const statuses = [];
      for (let count = 0; count < 5; count += 1) statuses.push(await statusOf(stream.url));

      assert.deepEqual(statuses, [200, 429, 200, 503, 200]);
    });

    it('answers 400 to the next Last-Event-ID on request, and not to a request without one', async () => {
      const stream = await start();
      stream.refuseNextLastEventId();
      const id = { 'last-event-id': JSON.stringify([{ topic: eqiad, partition: 0, offset: -1 }]) };

      assert.equal(await statusOf(stream.url), 200);
      assert.equal(await statusOf(stream.url, id), 400);
      assert.equal(await statusOf(stream.url, id), 200);
    });

    it('logs each request with what it asked and what it got', async () => {
      const stream = await start();
      await statusOf(`${stream.url}?since=1`);
      await statusOf(stream.url, { 'last-event-id': 'x' });

      assert.deepEqual(
        stream.requests.map(({ lastEventId, since, userAgent, status }) => ({
          lastEventId,
          since,
          userAgent,
          status,
        })),
        [
          { lastEventId: undefined, since: '1', userAgent, status: 200 },
          { lastEventId: 'x', since: undefined, userAgent, status: 400 },
        ],
      );
    });

    it('is gone after close, with its connections', async () => {
      const stream = await startSimulatedStream({ events: 1000, ratePerSecond: 1 });
      const client = await Client.connect(stream.url);
      const { url } = stream;
      await stream.close();

      await eventually('the connection ends', () => client.hasEnded);
      await assert.rejects(request(url), /ECONNREFUSED/);
      assert.throws(() => stream.url, /closed: start another/);
    });
  });
});
