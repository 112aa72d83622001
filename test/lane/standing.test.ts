import assert from 'node:assert/strict';
import { Standing } from '../../src/lane/standing';

describe('Standing', () => {
  it('waits twice as long each time that the same thing fails again, and ten minutes at most', () => {
    const standing = new Standing();
    const waits = Array.from({ length: 7 }, () => {
      standing.park('upload', 'problem');
      const wait = standing.takeWait();
      assert.ok(wait && standing.woke(wait));
      return wait.ms / 1_000;
    });
    assert.deepEqual(waits, [30, 60, 120, 240, 480, 600, 600]);
  });

  it('begins anew when another thing fails', () => {
    const standing = new Standing();
    for (const doing of ['upload', 'upload', 'claim']) {
      standing.park(doing, `${doing} failed`);
      standing.retry();
    }
    assert.deepEqual(standing.carried().parked, { doing: 'claim', problem: 'claim failed', tries: 1 });
  });

  it('counts failures while it is parked as one', () => {
    const standing = new Standing();
    assert.equal(standing.park('upload', 'one'), true);
    assert.equal(standing.park('delete', 'another'), false);
    assert.equal(standing.problem, 'one');
  });

  it('is parked no more when that works again, and not when another thing does', () => {
    const standing = new Standing();
    standing.park('upload', 'problem');
    standing.retry();
    standing.worked('delete');
    assert.notEqual(standing.carried().parked, undefined);
    standing.worked('upload');
    assert.equal(standing.carried().parked, undefined);
  });

  it('is troubled by what it is parked for until that works, while it tries again, too', () => {
    const standing = new Standing();
    standing.park('feed', 'the lane takes nothing');
    standing.retry();
    assert.deepEqual([standing.isParked, standing.isTroubledBy('feed')], [false, true]);
    assert.equal(standing.isTroubledBy('consume'), false);
    standing.worked('feed');
    assert.equal(standing.isTroubledBy('feed'), false);
  });

  it('waits once for each time that it parks, and takes no wait for that of a later problem', () => {
    const standing = new Standing();
    standing.park('upload', 'problem');
    const first = standing.takeWait();
    assert.equal(standing.takeWait(), undefined);
    standing.retry();
    standing.park('upload', 'problem');
    assert.ok(first);
    assert.equal(standing.woke(first), false);
    assert.equal(standing.isParked, true);
  });

  it('waits again in the next run', () => {
    const standing = new Standing();
    standing.park('upload', 'problem');
    const first = standing.takeWait();
    assert.deepEqual(new Standing(standing.carried()).takeWait(), first);
  });

  it('waits for a person where trying again by itself would leave something out', () => {
    const standing = new Standing();
    standing.park('consume', 'records were deleted', { isFinal: true });
    assert.equal(standing.takeWait(), undefined);
    standing.resume();
    assert.equal(standing.activity, 'running');
  });

  it('tells what keeps it from working before what it was asked', () => {
    const standing = new Standing();
    const seen = [standing.activity];
    standing.stop();
    seen.push(standing.activity);
    standing.pause();
    seen.push(standing.activity);
    standing.park('measure', 'problem');
    seen.push(standing.activity);
    standing.drained();
    seen.push(standing.activity);
    assert.deepEqual(seen, ['running', 'stopping', 'paused', 'parked', 'stopped']);
  });

  it('is not stopped where it was started meanwhile', () => {
    const standing = new Standing();
    standing.stop();
    standing.start();
    standing.drained();
    assert.equal(standing.activity, 'running');
  });

  it('is woken from a pause by a stop, which must end its work', () => {
    const standing = new Standing();
    standing.pause();
    standing.stop();
    assert.equal(standing.activity, 'stopping');
  });
});
