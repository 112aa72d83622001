import assert from 'node:assert/strict';
import type { Activity } from '../../src/lane/standing';
import { whyKept } from '../../src/lane/status';

const ACTIVITIES: readonly Activity[] = ['running', 'paused', 'stopping', 'stopped', 'parked'];

describe('A lane', () => {
  it('may be removed once it has drained its queue', () => {
    assert.equal(whyKept({ activity: 'stopped', claim: 'held' }), undefined);
    assert.equal(whyKept({ activity: 'stopped', claim: 'open' }), undefined);
  });

  it('is kept where it could never claim its queue, which nobody has read', () => {
    assert.match(
      whyKept({ activity: 'stopped', claim: 'never' }) ?? '',
      /nobody has read what is there; .*--abandon/,
    );
    assert.equal(whyKept({ activity: 'stopped', claim: 'never' }, { abandon: true }), undefined);
  });

  for (const activity of ACTIVITIES.filter((one) => one !== 'stopped')) {
    it(`is kept while it is ${activity}${activity === 'running' ? '' : ', unless what it holds is given up'}`, () => {
      const lane = { activity, claim: 'held' } as const;
      assert.match(whyKept(lane) ?? '', /stop it first/);
      assert.equal(whyKept(lane, { abandon: true }) === undefined, activity !== 'running');
      assert.equal((whyKept(lane) ?? '').includes('--abandon'), activity !== 'running');
    });
  }
});
