import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { KEY_ATTRIBUTE } from '../../src/pipeline/names';
import { attributeValues, decodeMessage, encodeMessage } from '../../src/queue/message';

/** Text full of what breaks: noncharacters, backslashes before them, quotes, other scripts. */
const awkward = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\ufffe', '\uffff', '\\', '"', '\n', '\u0000', '\u2028', '👩‍👩‍👧‍👦', '\ud83d', '\udc69'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
});

describe('A message', () => {
  it("has a body without the characters that SQS refuses, and of the event's JSON value", () => {
    fc.assert(
      fc.property(awkward, awkward, (name, value) => {
        const event = { [name]: value, list: [value, { deep: value }] };
        const { body } = encodeMessage({ key: 'k', text: JSON.stringify(event) });
        assert.doesNotMatch(body, /[\ufffe\uffff]/);
        assert.deepEqual(JSON.parse(body), JSON.parse(JSON.stringify(event)));
      }),
    );
  });

  it('is the text as published where that holds nothing to escape', () => {
    const text = '{ "a" : 1.0, "b":"\\u00e9 é", "n": 12345678901234567890 }';
    const { body, events } = encodeMessage({ key: 'the-key', text });
    assert.deepEqual([body, events], [text, 1]);
  });

  it('escapes each noncharacter, also behind a backslash', () => {
    assert.equal(encodeMessage({ key: 'k', text: '"\\\\\ufffe\uffff"' }).body, '"\\\\\\ufffe\\uffff"');
  });

  it('counts the UTF-8 bytes of its body and of its attribute, as SQS does', () => {
    fc.assert(
      fc.property(awkward, fc.stringMatching(/^[\x21-\x7e]{1,128}$/), (text, key) => {
        const message = encodeMessage({ key, text });
        const attributes = Object.entries(attributeValues(message)).flatMap(([name, attribute]) => [
          name,
          attribute.DataType ?? '',
          attribute.StringValue ?? '',
        ]);
        const bytes = [message.body, ...attributes].reduce((sum, each) => sum + Buffer.from(each).length, 0);
        assert.equal(message.bytes, bytes);
      }),
    );
  });

  it('carries its key as a text attribute', () => {
    assert.deepEqual(attributeValues(encodeMessage({ key: 'k', text: '{}' })), {
      [KEY_ATTRIBUTE]: { DataType: 'String', StringValue: 'k' },
    });
  });

  it("brings its event with the key beside it, and another program's with the id of the message", () => {
    const message = { id: 'message', receipt: 'receipt', body: '{}' };
    assert.deepEqual(decodeMessage({ ...message, key: 'k' }), {
      ok: true,
      events: [{ key: 'k', text: '{}' }],
    });
    assert.deepEqual(decodeMessage(message), { ok: true, events: [{ key: 'message:message', text: '{}' }] });
  });
});
