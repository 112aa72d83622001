import assert from 'node:assert/strict';
import { batchRefusal, messageBytes, messageRefusal } from './sqs-rules';

const MIB = 1024 * 1024;

describe('What SQS refuses', () => {
  const entries = (count: number, MessageBody = 'x') =>
    Array.from({ length: count }, (_, index) => ({ Id: String(index), MessageBody }));
  const refusalOf = (body: string) => messageRefusal({ MessageBody: body }, MIB)?.code;

  it('counts bytes of UTF-8, those of attributes included', () => {
    const MessageAttributes = {
      key: { DataType: 'String', StringValue: 'é' },
      raw: { DataType: 'Binary', BinaryValue: 'AAAA' },
    };
    assert.equal(messageBytes({ MessageBody: '€', MessageAttributes }), 3 + (3 + 6 + 2) + (3 + 6 + 3));
  });

  it('is a message over the limit of its queue', () => {
    assert.equal(messageRefusal({ MessageBody: '€'.repeat(341) }, 1024), undefined);
    assert.equal(messageRefusal({ MessageBody: '€'.repeat(342) }, 1024)?.code, 'InvalidParameterValue');
  });

  it('is a batch of more than 1 MiB in all', () => {
    assert.equal(batchRefusal(entries(10, 'x'.repeat(MIB / 10))), undefined);
    assert.equal(batchRefusal(entries(10, 'é'.repeat(MIB / 10)))?.code, 'BatchRequestTooLong');
  });

  it('is a batch without entries, with too many, or with ids that are not distinct or not allowed', () => {
    assert.equal(batchRefusal(entries(10)), undefined);
    assert.equal(batchRefusal([])?.code, 'EmptyBatchRequest');
    assert.equal(batchRefusal(entries(11))?.code, 'TooManyEntriesInBatchRequest');
    assert.equal(batchRefusal([...entries(1), ...entries(1)])?.code, 'BatchEntryIdsNotDistinct');
    assert.equal(batchRefusal([{ Id: 'a:b' }])?.code, 'InvalidBatchEntryId');
  });

  it('is every character outside XML 1.0, and no other', () => {
    assert.equal(refusalOf('tab\t lf\n cr\r é € \u{1F600} \uFFFD'), undefined);
    for (const refused of ['\u0000', '\u000B', '\u001F', '\uD800', '\uFFFE', '\uFFFF']) {
      assert.equal(refusalOf(`a${refused}`), 'InvalidMessageContents');
    }
  });

  it('is such a character in an attribute too', () => {
    const MessageAttributes = { key: { DataType: 'String', StringValue: '\u0001' } };
    assert.equal(
      messageRefusal({ MessageBody: 'x', MessageAttributes }, MIB)?.code,
      'InvalidMessageContents',
    );
  });
});
