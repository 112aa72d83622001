import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { messagesOf, type ReceivedMessage, takenApart } from '../../src/lane/received';
import { digestOf, messageOf } from '../support/driven-lane';

const anyKey = fc.nat().map(digestOf);

const anyEvent = fc.oneof(
  fc.tuple(anyKey, fc.array(fc.string()), fc.nat()).map(([key, cells, bytes]) => ({ key, cells, bytes })),
  anyKey.map((key) => ({ key, reason: 'row-too-large' as const })),
);

const anyMessage: fc.Arbitrary<ReceivedMessage> = fc
  .tuple(fc.uuid(), fc.string(), fc.array(anyEvent, { maxLength: 8 }))
  .map(([id, receipt, events]) => ({ id, receipt, events }));

describe('What a receive brings', () => {
  it('says of each message how many of the events are its own', () => {
    const { messages, events } = takenApart([messageOf('a', 1, 2), messageOf('b', 3)]);
    assert.deepEqual(messages, [
      { id: 'a', receipt: 'receipt of a', events: 2 },
      { id: 'b', receipt: 'receipt of b', events: 1 },
    ]);
    assert.deepEqual(
      events.map(({ key }) => key),
      [digestOf(1), digestOf(2), digestOf(3)],
    );
  });

  it('is put together again as it was, whatever the messages carry', () => {
    fc.assert(
      fc.property(fc.array(anyMessage), (messages) => {
        assert.deepEqual(messagesOf(takenApart(messages)), messages);
      }),
    );
  });
});
