import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { LaneClock } from '../../src/lane/clock';

const BEGAN = Date.UTC(2026, 0, 31, 12);
const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A clock of a lane, and work that is handed out and answered. */
class Told {
  readonly clock: LaneClock;

  /** @param at milliseconds after the beginning, which one answer told already */
  constructor(at = 0, clock = new LaneClock(BEGAN)) {
    this.clock = clock;
    this.hear(at);
    this.hear(at);
  }

  /** Work is handed out, and answered. @param at when it was done, in milliseconds after the beginning */
  hear(at: number, work: object = this.begin()) {
    return this.clock.hear(work, { from: BEGAN + at, until: BEGAN + at });
  }

  begin(): object {
    const work = {};
    this.clock.begin(work);
    return work;
  }

  get now(): number {
    return this.clock.now - BEGAN;
  }

  get date(): number {
    return this.clock.date() - BEGAN;
  }
}

describe('The clock of a lane', () => {
  it('goes by its first answer, whatever the lane began with', () => {
    for (const at of [-10 * HOUR, -MINUTE, MINUTE, 10 * HOUR]) {
      const clock = new LaneClock(BEGAN);
      clock.hear({}, { from: BEGAN + at, until: BEGAN + at });
      assert.equal(clock.now, BEGAN + at);
    }
  });

  it('goes on with each answer, and is not set back by one that was long on its way', () => {
    const told = new Told();
    const late = told.begin();
    assert.equal(told.hear(20 * SECOND), 'steady');
    assert.equal(told.hear(40 * SECOND), 'steady');
    assert.equal(told.hear(5 * SECOND, late), 'steady');
    assert.equal(told.now, 40 * SECOND);
  });

  it('takes what two workers make of one clock for one clock', () => {
    const told = new Told();
    assert.equal(told.hear(20_900), 'steady');
    assert.equal(told.hear(19_400), 'steady');
    assert.equal(told.now, 20_900);
  });

  it('goes ahead with one answer, as after an outage', () => {
    const told = new Told();
    assert.equal(told.hear(5 * HOUR), 'ahead');
    assert.equal(told.hear(5 * HOUR + SECOND), 'steady');
    assert.equal(told.now, 5 * HOUR + SECOND);
    assert.equal(told.clock.takeLook(), false, 'so far ahead an object may be dated at once');
  });

  it('is led ahead by one answer, and begins anew with the next', () => {
    for (const ahead of [10 * HOUR, 100 * 365 * DAY]) {
      const told = new Told();
      assert.equal(told.hear(ahead), 'ahead');
      assert.equal(told.hear(20 * SECOND), 'anew');
      assert.equal(told.now, 20 * SECOND);
      assert.equal(told.hear(40 * SECOND), 'steady');
    }
  });

  it('begins anew, too, where an answer that was asked for before came in between', () => {
    const told = new Told();
    const before = told.begin();
    assert.equal(told.hear(10 * HOUR), 'ahead');
    assert.equal(told.hear(10 * SECOND, before), 'steady', 'it may have been on its way for ten hours');
    assert.equal(told.hear(20 * SECOND), 'anew');
  });

  it('believes no second time far ahead by itself, once one was wrong', () => {
    const told = new Told();
    told.hear(10 * HOUR);
    told.hear(20 * SECOND);
    for (let at = 30; at < 300; at += 10) {
      assert.equal(told.hear(10 * HOUR), 'odd');
      assert.equal(told.hear(at * SECOND), 'steady');
    }
    assert.equal(told.hear(5 * HOUR), 'odd');
    assert.equal(told.hear(5 * HOUR + SECOND), 'anew', 'two say the same');
    assert.equal(told.now, 5 * HOUR + SECOND);
  });

  it('believes one again after a thousand answers that were right, also over continue-as-new', () => {
    const led = new Told();
    led.hear(10 * HOUR);
    led.hear(20 * SECOND);
    const carried = JSON.parse(JSON.stringify(led.clock.carried())) as ReturnType<LaneClock['carried']>;
    const told = new Told(21 * SECOND, new LaneClock(BEGAN, carried));
    assert.equal(told.hear(5 * HOUR), 'odd');
    for (let count = 0; count < 1_000; count += 1) assert.equal(told.hear((22 + count) * SECOND), 'steady');
    assert.equal(told.hear(5 * HOUR), 'ahead');
  });

  it('believes no earlier time than was known when the work was handed out, unless two say so', () => {
    for (const back of [10 * SECOND, 10 * HOUR, 20 * 365 * DAY]) {
      const told = new Told(MINUTE);
      assert.equal(told.hear(MINUTE - back), 'odd');
      assert.equal(told.hear(MINUTE + SECOND), 'steady', 'it cost one answer');
      assert.equal(told.hear(MINUTE - back), 'odd');
      assert.equal(told.hear(MINUTE - back + SECOND), 'anew', 'somebody set the clock of the queue back');
      assert.equal(told.now, MINUTE - back + SECOND);
    }
  });

  it('is not convinced by two answers that are wrong in two ways', () => {
    const told = new Told(MINUTE);
    assert.equal(told.hear(-10 * HOUR), 'odd');
    assert.equal(told.hear(-20 * HOUR), 'odd');
    assert.equal(told.now, MINUTE);
  });

  it('believes the next answer once a person doubts it', () => {
    const told = new Told(10 * HOUR);
    told.clock.doubt();
    assert.equal(told.hear(MINUTE), 'anew');
    assert.equal(told.now, MINUTE);
  });

  it('takes no time from what is none', () => {
    const told = new Told(MINUTE);
    const { clock } = told;
    const at = BEGAN + 2 * MINUTE;
    for (const [from, until] of [
      [NaN, at],
      [at, NaN],
      [at, Infinity],
      [-Infinity, at],
      [-1, at],
      [at, at - MINUTE],
      [at - HOUR, at],
      [8e15, 8e15],
    ] as const) {
      assert.equal(clock.hear(told.begin(), { from, until }), 'odd', `${from}, ${until}`);
      assert.equal(told.now, MINUTE);
    }
  });

  it('asks for the time once more before an object is dated a day ahead', () => {
    const told = new Told();
    assert.equal(told.clock.takeLook(), false);
    told.hear(3 * DAY);
    assert.equal(told.clock.takeLook(), true);
    assert.equal(told.clock.takeLook(), false, 'once');
    told.hear(100 * DAY);
    told.hear(MINUTE);
    assert.equal(told.clock.takeLook(), false, 'it was wrong');
  });

  it('dates no object before an earlier one, over continue-as-new too', () => {
    const told = new Told();
    told.hear(10 * HOUR);
    assert.equal(told.date, 10 * HOUR);
    told.hear(MINUTE);
    assert.equal(told.now, MINUTE);
    assert.equal(told.date, 10 * HOUR, 'until that time has passed');
    const next = new Told(2 * MINUTE, new LaneClock(BEGAN, told.clock.carried()));
    assert.equal(next.date, 10 * HOUR);
    next.clock.tick(BEGAN + 11 * HOUR);
    assert.equal(next.date, 11 * HOUR);
  });

  it('comes back to the right time within three right answers, whatever one wrong answer told, and its dates never go back', () => {
    const any = fc.oneof(
      fc.integer({ min: -40 * 365 * DAY, max: 8_000 * 365 * DAY }),
      fc.integer({ min: -DAY, max: DAY }),
      fc.constantFrom(NaN, Infinity, -Infinity),
    );
    fc.assert(
      fc.property(fc.array(any, { maxLength: 10 }), (wrong) => {
        const told = new Told();
        let [at, dated] = [0, told.date];
        const see = () => {
          assert(told.date >= dated);
          dated = told.date;
        };
        for (const time of wrong) {
          told.hear(time);
          see();
          for (let count = 0; count < 3; count += 1) {
            at += SECOND;
            told.hear(at);
            see();
          }
          assert(Math.abs(told.now - at) <= 6 * SECOND, `${told.now} and not ${at}`);
        }
      }),
    );
  });
});
