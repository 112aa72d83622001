import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { httpGet, MayNotAsk } from '../../src/sources/sse/http-get';
import { LocalServer } from '../support/local-server';
import { anyText } from './awkward';
import { FUZZ_TIMEOUT_MS, runs } from './runs';

const LOCATIONS = runs(2_000);
const ADDRESSES = runs(2_000);

/** A test that is given an address which nobody may ask must not ask it where that goes wrong. */
const LOST_MS = 2_000;

describe('A redirect to anywhere', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  let server: LocalServer;
  let other: LocalServer;
  let location = '';
  let asked: string[] = [];
  let askedOther = 0;

  before(async () => {
    server = await LocalServer.start((request, response) => {
      asked.push(String(request.url));
      if (request.url === '/first') response.writeHead(302, { location });
      response.end();
    });
    other = await LocalServer.start((_, response) => {
      askedOther += 1;
      response.end();
    });
  });

  after(async () => {
    await server.close();
    await other.close();
  });

  /** What HTTP lets a header hold. */
  const headerText = anyText.map((text) => text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, ''));

  it(`asks the same server again, or none (${LOCATIONS.numRuns} locations)`, async () => {
    const { port, host } = new URL(other.url);
    const elsewhere = fc
      .tuple(
        fc.constantFrom('http:', 'https:', 'HTTP:', 'http:/', '', 'file:', 'ftp:', 'javascript:', '\t'),
        fc.constantFrom('//', '\\\\', '/\\', '', '///', '//user:pass@'),
        fc.constantFrom(
          host,
          `localhost:${port}`,
          `127.1:${port}`,
          `0x7f000001:${port}`,
          `[::1]:${port}`,
          '169.254.169.254',
          '',
        ),
        fc.oneof(fc.constantFrom('', '/', '?x', '#y', '/../..'), headerText),
      )
      .map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(fc.oneof(elsewhere, headerText), async (text) => {
        location = text;
        asked = [];
        const signal = AbortSignal.timeout(LOST_MS);
        const url = new URL('/first', server.url);
        await httpGet(url, { headers: { 'Last-Event-ID': 'secret' }, signal }).then(
          (answer) => void answer.resume(),
          (error: unknown) => assert.ok(error instanceof Error && !signal.aborted, String(error)),
        );
        assert.equal(askedOther, 0, `another server is asked for ${JSON.stringify(text)}`);
        assert.ok(asked.length <= 6, `${asked.length} requests`);
      }),
      LOCATIONS,
    );
  });

  it(`never is to where machines find their credentials (${ADDRESSES.numRuns} addresses)`, async () => {
    const byte = fc.nat(255);
    const linkLocal = fc.tuple(byte, byte).chain(([third, fourth]) => {
      const number = ((169 << 24) | (254 << 16) | (third << 8) | fourth) >>> 0;
      const dotted = `169.254.${third}.${fourth}`;
      return fc.constantFrom(
        dotted,
        String(number),
        `0x${number.toString(16)}`,
        `0251.0376.${third}.${fourth}`,
        `169.254.${(third << 8) | fourth}`,
        `[::ffff:${dotted}]`,
        `[::ffff:a9fe:${((third << 8) | fourth).toString(16)}]`,
        `[fe80::${third.toString(16)}:${fourth.toString(16)}]`,
        `[fd00:ec2::${fourth.toString(16)}]`,
        '100.100.100.200',
      );
    });
    await fc.assert(
      fc.asyncProperty(linkLocal, async (host) => {
        const signal = AbortSignal.timeout(LOST_MS);
        const asking = httpGet(new URL(`http://${host}/latest/meta-data/`), { headers: {}, signal });
        await assert.rejects(asking, (error) => error instanceof MayNotAsk, host);
      }),
      ADDRESSES,
    );
  });
});
