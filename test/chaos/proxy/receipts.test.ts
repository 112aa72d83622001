import assert from 'node:assert/strict';
import { Receipts } from './receipts';

describe('What a receipt is worth', () => {
  const received = (ReceiptHandle: string, MessageId = 'message') => ({ MessageId, ReceiptHandle });
  const because = (receipts: Receipts, receipt: string, now: number) => {
    const worth = receipts.worth(receipt, now);
    return worth.worth === 'nothing' ? worth.because : worth.worth;
  };

  it('is a deletion until the visibility timeout of its receive ends', () => {
    const receipts = new Receipts();
    receipts.received(received('one'), 100);
    assert.deepEqual(receipts.worth('one', 99), { worth: 'deletion', real: 'one' });
    assert.equal(because(receipts, 'one', 100), 'expired');
  });

  it('is nothing once the message was received again, however young the receipt is', () => {
    const receipts = new Receipts();
    receipts.received(received('one'), 100);
    receipts.received(received('two'), 50);
    assert.equal(because(receipts, 'one', 10), 'superseded');
    assert.equal(because(receipts, 'two', 10), 'deletion');
  });

  it('is unknown for what the queue never gave', () => {
    assert.deepEqual(new Receipts().worth('garbage', 0), { worth: 'unknown' });
  });

  it('is nothing for a message that is gone, whichever receipt deleted it', () => {
    const receipts = new Receipts();
    receipts.received(received('one'), 100);
    receipts.received(received('two'), 200);
    assert.equal(receipts.deleted('two'), 'message');
    assert.equal(because(receipts, 'one', 300), 'deleted');
    assert.equal(because(receipts, 'two', 300), 'deleted');
  });

  it('follows a change of visibility', () => {
    const receipts = new Receipts();
    receipts.received(received('one'), 100);
    receipts.hidden('one', 20);
    assert.equal(because(receipts, 'one', 20), 'expired');
  });

  it('moves to the receipt of a copy, which deletes by the receipt that the backend knows', () => {
    const receipts = new Receipts();
    receipts.received(received('one'), 100);
    assert.equal(receipts.inFlight(0.9), 'message');
    const copy = receipts.again('message', 200)?.ReceiptHandle ?? '';
    assert.notEqual(copy, 'one');
    assert.equal(because(receipts, 'one', 10), 'superseded');
    assert.deepEqual(receipts.worth(copy, 150), { worth: 'deletion', real: 'one' });
  });

  it('is nothing for a message that comes once more after its deletion, and comes only once', () => {
    const receipts = new Receipts();
    receipts.received(received('one'), 100);
    receipts.deleted('one');
    assert.equal(receipts.inFlight(0), undefined);
    assert.equal(receipts.deletedLately(0), 'message');
    const again = receipts.again('message', 200)?.ReceiptHandle ?? '';
    assert.equal(because(receipts, again, 150), 'deleted');
    assert.equal(receipts.deletedLately(0), undefined);
  });

  it('remembers only so many deleted messages', () => {
    const receipts = new Receipts();
    for (let n = 0; n < 60; n += 1) {
      receipts.received(received(`receipt-${n}`, `message-${n}`), 100);
      receipts.deleted(`receipt-${n}`);
    }
    assert.equal(receipts.deletedLately(0), 'message-56');
    assert.equal(receipts.again('message-0', 200), undefined);
    assert.equal(because(receipts, 'receipt-0', 10), 'deleted');
  });
});
