import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  feedLimitMs,
  isNearRetention,
  judge,
  type Measured,
  mustAskLane,
  waitedMs,
  whyShortRetention,
} from '../../src/queue/retention';

const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;
const DAY_SECONDS = DAY_MS / 1_000;

/** Parked, ingest looks as often as this, at least. */
const PARKED_MS = 10 * 60_000;

function measured(at: number, visible: number, retentionSeconds = 14 * DAY_SECONDS): Measured {
  return { visible, notVisible: 0, delayed: 0, retentionSeconds, at };
}

interface Life {
  retentionSeconds: number;
  /** When the lane takes nothing, or too little, in shares of the retention. */
  stands: { from: number; to: number };
  /** Of what comes, the share that it takes then. Default: nothing; it is paused, or gone. */
  speed?: number;
  /** Whether events come at all. */
  isIdle?: boolean;
}

interface Lived {
  /** When ingest parked, and went on. */
  parkedAt: number | undefined;
  wentOnAt: number | undefined;
  /** When SQS first forgot a message. */
  forgotAt: number | undefined;
}

/** Ingest, a queue and a lane in virtual time, from 0 on, for four retentions. */
function live({ retentionSeconds, stands, speed = 0, isIdle = false }: Life): Lived {
  const retentionMs = retentionSeconds * 1_000;
  const stepMs = retentionMs / 2_000;
  const lived: Lived = { parkedAt: undefined, wentOnAt: undefined, forgotAt: undefined };
  const queue: number[] = [];
  let lane = 0;
  let known = 0;
  let isParked = false;
  let lookAt = 0;
  let strength = 0;
  for (let now = 0; now < 4 * retentionMs; now += stepMs) {
    if (now >= lookAt) {
      const found = measured(now, queue.length, retentionSeconds);
      if (mustAskLane(found, known)) known = lane;
      const { mayFeed, lookAgainMs } = judge(found, known);
      if (!mayFeed) lived.parkedAt ??= now;
      else if (isParked) lived.wentOnAt ??= now;
      isParked = !mayFeed;
      lookAt = now + (isParked ? Math.min(PARKED_MS, stepMs) : lookAgainMs);
    }
    if (!isParked && !isIdle) queue.push(now);
    const [oldest = now] = queue;
    if (now - oldest > retentionMs) lived.forgotAt ??= now;
    const stand = now >= stands.from * retentionMs && now < stands.to * retentionMs;
    strength = stand ? strength + speed : queue.length;
    lane = queue.splice(0, Math.floor(strength)).at(-1) ?? lane;
    strength -= Math.floor(strength);
    if (queue.length === 0 && (speed > 0 || !stand)) lane = now;
  }
  return lived;
}

describe('A queue that forgets', () => {
  const retentions = fc.integer({ min: 60, max: 14 * DAY_SECONDS });

  it('is fed until a quarter of its retention is left, a day at least, and half of a short one', () => {
    const limitIn = (days: number) => feedLimitMs({ retentionSeconds: days * DAY_SECONDS }) / DAY_MS;
    assert.deepEqual([14, 8, 4, 2, 1].map(limitIn), [10.5, 6, 3, 1, 0.5]);
  });

  it('is fed no more before the lane has left its messages for so long, and not sooner', () => {
    fc.assert(
      fc.property(retentions, fc.double({ min: 0, max: 2, noNaN: true }), (retentionSeconds, from) => {
        const { parkedAt = Infinity } = live({ retentionSeconds, stands: { from, to: 4 } });
        const retentionMs = retentionSeconds * 1_000;
        const leftMs = parkedAt - from * retentionMs;
        const limitMs = feedLimitMs({ retentionSeconds });
        const stepMs = retentionMs / 2_000;
        assert.ok(leftMs <= limitMs + 2 * stepMs + 1_000, `parked after ${leftMs} of ${limitMs} ms`);
        assert.ok(leftMs > limitMs - 2 * stepMs, `parked after ${leftMs} of ${limitMs} ms`);
      }),
      { numRuns: 50 },
    );
  });

  it('forgets nothing before ingest was parked for a fifth of the retention, however little its lane takes', () => {
    fc.assert(
      fc.property(retentions, fc.double({ min: 0, max: 1, noNaN: true }), (retentionSeconds, speed) => {
        const { parkedAt, forgotAt } = live({ retentionSeconds, speed, stands: { from: 0.1, to: 4 } });
        if (forgotAt === undefined) return;
        assert.ok(parkedAt !== undefined && forgotAt - parkedAt > (retentionSeconds * 1_000) / 5);
      }),
      { numRuns: 50 },
    );
  });

  it('loses nothing of a lane that takes nothing for eleven days of fourteen, and is fed again when that is over', () => {
    const lived = live({ retentionSeconds: 14 * DAY_SECONDS, stands: { from: 0.1, to: 0.1 + 11 / 14 } });
    assert.equal(lived.forgotAt, undefined);
    assert.ok((lived.parkedAt ?? Infinity) <= (0.1 * 14 + 10.5 + 0.02) * DAY_MS);
    assert.ok((lived.wentOnAt ?? Infinity) <= (0.1 * 14 + 11 + 0.02) * DAY_MS);
  });

  it('is always fed while its lane receives, or stands for less than that', () => {
    const short = { from: 0.2, to: 0.2 + 10.4 / 14 };
    const lived = live({ retentionSeconds: 14 * DAY_SECONDS, stands: short });
    assert.deepEqual(lived, { parkedAt: undefined, wentOnAt: undefined, forgotAt: undefined });
  });

  it('is always fed while nothing waits in it', () => {
    fc.assert(
      fc.property(retentions, (retentionSeconds) => {
        const { parkedAt } = live({ retentionSeconds, stands: { from: 0, to: 4 }, isIdle: true });
        assert.equal(parkedAt, undefined);
      }),
      { numRuns: 20 },
    );
  });

  it('is fed for a quarter of an hour when a person says so, and only where that is needed', () => {
    const late = measured(11 * DAY_MS, 1);
    assert.deepEqual(judge(late, 0, true), { mayFeed: true, lookAgainMs: 15 * 60_000 });
    assert.equal(judge(late, 0).mayFeed, false);
    const early = measured(DAY_MS, 1);
    assert.deepEqual(judge(early, 0, true), judge(early, 0));
  });

  it('counts what is delayed, or received and not deleted, as waiting', () => {
    const at = 11 * DAY_MS;
    assert.equal(waitedMs(measured(at, 0), 0), 0);
    assert.equal(waitedMs({ ...measured(at, 0), notVisible: 1 }, 0), at);
    assert.equal(waitedMs({ ...measured(at, 0), delayed: 1 }, 0), at);
  });

  it('is near its retention from half of it on', () => {
    assert.equal(isNearRetention(measured(7 * DAY_MS, 1), 0), false);
    assert.equal(isNearRetention(measured(7 * DAY_MS + 1, 1), 0), true);
    assert.equal(isNearRetention(measured(8 * DAY_MS, 0), 0), false);
  });

  it('has a short retention under two days', () => {
    assert.equal(whyShortRetention({ retentionSeconds: 2 * DAY_SECONDS }), undefined);
    assert.match(whyShortRetention({ retentionSeconds: 5_400 }) ?? '', /after 1\.5 h:.*sluice provision/);
  });
});
