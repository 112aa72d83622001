import assert from 'node:assert/strict';
import { HELP, readOptions } from './options';
import { NUMBER_NAMES } from './scenario';

describe('The options of the model', () => {
  it('say which seeds run, and what the seeds do not decide', () => {
    const args = ['--seeds', '3-5', '--order', 'back', '--window', '300', '--slow-deletions', '0.3'];
    assert.deepEqual(readOptions(args), {
      seeds: [3, 4, 5],
      scale: 50,
      untilBad: false,
      wanted: { order: 'back', window: 300, 'slow-deletions': 0.3 },
    });
  });

  it('make a run calm, but for what is wanted', () => {
    const options = readOptions(['--calm', '--crashes', '2']);
    assert.ok(options !== 'help');
    assert.equal(options.wanted.crashes, 2);
    assert.equal(options.wanted.outages, 0);
    assert.equal(options.wanted.window, undefined);
  });

  for (const [args, problem] of [
    [['--seeds', 'x'], '--seeds takes a whole number, or two with a dash; it is x'],
    [['--order', 'fifo'], '--order takes sent, back, asked, noisy; it is fifo'],
    [['--trace', '17'], '--trace tells of one seed: --seeds 17'],
    [['--rate', 'fast'], '--rate takes a number from 0; it is fast'],
  ] as const) {
    it(`refuse ${args.join(' ')}`, () => {
      assert.throws(() => readOptions(args), { message: problem });
    });
  }

  it('are all in the help', () => {
    for (const name of [...NUMBER_NAMES, 'seeds', 'scale', 'order', 'stale', 'calm', 'until-bad', 'trace']) {
      assert.ok(HELP.includes(`--${name} `), name);
    }
  });
});
