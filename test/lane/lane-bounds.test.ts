import assert from 'node:assert/strict';
import { LIMITS } from '../../src/lane/limits';
import type { ReceivedMessage } from '../../src/lane/received';
import { definitionOf } from '../support/definition';
import { digestOf, DrivenLane, HOPELESS, messagesOf, NEVER } from '../support/driven-lane';

/** Messages of one row each, with ids and receipts as long as those of SQS. */
function longMessages(count: number, { from, bytes }: { from: number; bytes: number }): ReceivedMessage[] {
  const cells = ['x'.repeat(bytes - 4)];
  return Array.from({ length: count }, (_, index) => ({
    id: `b3e8bd77-2520-46a8-9c43-${String(from + index).padStart(12, '0')}`,
    receipt: 'r'.repeat(412),
    events: [{ key: digestOf(from + index), cells, bytes }],
  }));
}

describe('The bounds of a lane', () => {
  // `verify` takes a sequence number for missing that is below the newest four.
  it('hold four uploads under way, also where other settings freeze all that waits', () => {
    const lane = DrivenLane.claimed({ batch: { rows: 10, flushAfterSeconds: NEVER } });
    for (let sent = 0; lane.underWay('receive').length > 0;) {
      const { rows, backlogRows = rows } = lane.next('receive').input;
      lane.received(messagesOf(backlogRows, sent + 1), { behind: true });
      sent += backlogRows;
    }
    assert.equal(lane.underWay('upload').length, LIMITS.uploadsAtOnce);
    lane.tell((told) => told.want(definitionOf()));
    assert.equal(lane.status.version, 2);
    assert.equal(lane.underWay('upload').length, LIMITS.uploadsAtOnce);
  });

  // The receipts and keys of a receive were in no sum before it had begun: 1,978 KiB, and Temporal takes 2,048.
  it('hold what continue-as-new carries within 1,900 KiB, where batches and the window are as large as settings allow', () => {
    const [rowBytes, windowKeys] = [240, 60_000];
    const settledKeys = new Uint8Array(windowKeys * 8);
    const view = new DataView(settledKeys.buffer);
    for (let n = 0; n < windowKeys; n += 1) view.setUint32(n * 8, n + 1);
    const lane = DrivenLane.claimed(
      { batch: { rows: 1_000, flushAfterSeconds: NEVER }, windowKeys },
      { settledKeys },
    );
    for (let sent = 0; lane.underWay('receive').length > 0;) {
      const { rows, bytes } = lane.next('receive').input;
      const count = Math.min(rows, Math.floor(bytes / rowBytes));
      lane.received(longMessages(count, { from: sent + 1, bytes: rowBytes }), { behind: true });
      sent += count;
    }
    for (const upload of lane.underWay('upload')) lane.uploaded(HOPELESS, upload);
    lane.windUp();
    assert.equal(lane.lane.mayEnd, true);
    const carried = JSON.stringify(lane.lane.carried()).length + lane.lane.settledKeys().length;
    assert(carried <= LIMITS.stateBytes, `${Math.ceil(carried / 1024)} KiB`);
  });
});

describe('A lane that is stopped after a pause', () => {
  it('receives before it looks at the counts of its queue, which lag', () => {
    const lane = DrivenLane.claimed({ drainQuietSeconds: 0 });
    lane.tell((told) => told.pause());
    lane.received([]);
    lane.pass(3_600_000);
    lane.tell((told) => told.stop());
    lane.claimed();
    assert.deepEqual(lane.doing, ['receive']);
  });
});
