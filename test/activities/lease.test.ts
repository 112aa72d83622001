import assert from 'node:assert/strict';
import { Lease } from '../../src/activities/lease';
import { taken } from '../support/receive-task';

describe('A lease', () => {
  it('ends with what its heartbeat could not tell, and lets the process live', async () => {
    const problem = new Error('a gauge takes no -0.069');
    let told = 0;
    const lease = new Lease({
      acknowledge: taken,
      details: () => {
        told += 1;
        if (told === 2) throw problem;
        return {};
      },
      onAcknowledged: () => lease.beat(),
      heartbeatTimeoutMs: 1_000,
      lastsMs: 60_000,
    });
    await lease.keep();
    assert.equal(told, 2);
    assert.equal(lease.failure, problem);
    assert.equal(lease.ended.reason, problem);
    assert.deepEqual([lease.isCancelled, lease.isPaused, lease.isSuperseded], [false, false, false]);
    lease.close();
  });
});
