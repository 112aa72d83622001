import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { KEY_ATTRIBUTE } from '../../src/pipeline/names';
import { encodeMessage, keyAttribute, messageBytes } from '../../src/queue/message';

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
        const { body } = encodeMessage(JSON.stringify(event), 'k');
        assert.doesNotMatch(body, /[\ufffe\uffff]/);
        assert.deepEqual(JSON.parse(body), JSON.parse(JSON.stringify(event)));
      }),
    );
  });

  it('is the text as published where that holds nothing to escape', () => {
    const text = '{ "a" : 1.0, "b":"\\u00e9 é", "n": 12345678901234567890 }';
    assert.deepEqual(encodeMessage(text, 'the-key'), { body: text, key: 'the-key' });
  });

  it('escapes each noncharacter, also behind a backslash', () => {
    assert.equal(encodeMessage('"\\\\\ufffe\uffff"', 'k').body, '"\\\\\\ufffe\\uffff"');
  });

  it('counts the UTF-8 bytes of its body and of its attribute, as SQS does', () => {
    fc.assert(
      fc.property(awkward, fc.stringMatching(/^[\x21-\x7e]{1,128}$/), (body, key) => {
        const message = { body, key };
        const attributes = Object.entries(keyAttribute(message)).flatMap(([name, attribute]) => [
          name,
          attribute.DataType ?? '',
          attribute.StringValue ?? '',
        ]);
        const bytes = [body, ...attributes].reduce((sum, text) => sum + Buffer.from(text).length, 0);
        assert.equal(messageBytes(message), bytes);
      }),
    );
  });

  it('carries its key as a text attribute', () => {
    assert.deepEqual(keyAttribute({ body: '{}', key: 'k' }), {
      [KEY_ATTRIBUTE]: { DataType: 'String', StringValue: 'k' },
    });
  });
});
