import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { EventNames } from '../../../src/sources/sse/event-names';

interface Given {
  id: string;
  text: string;
}

/** Few payloads and many equal ids, so that events are alike. An empty id is none. */
const stream = fc
  .record({
    steps: fc.array(fc.record({ isNew: fc.boolean(), text: fc.constantFrom('a', 'b') }), {
      minLength: 1,
      maxLength: 40,
    }),
    // Either each event has its id, which several may have, or an id sticks until the next one.
    sticks: fc.boolean(),
  })
  .map(({ steps, sticks }) => {
    let id = 0;
    return steps.map(({ isNew, text }, index): Given => {
      if (isNew || index === 0) id += 1;
      return { id: sticks && !isNew && index > 0 ? '' : String(id), text };
    });
  });

const keysOf = (names: EventNames, events: readonly Given[]) => events.map((event) => names.keyOf(event));

describe('The names of events of a stream with ids of its own', () => {
  it('tell every event from every other, however alike they are', () => {
    fc.assert(
      fc.property(stream, (events) => {
        const keys = keysOf(new EventNames(), events);
        assert.equal(new Set(keys).size, events.length);
      }),
    );
  });

  it('are the same again where a server resumes behind an id', () => {
    fc.assert(
      fc.property(stream, fc.nat(39), (events, nth) => {
        const keys = keysOf(new EventNames(), events);
        const from = events[nth % events.length]?.id ?? '';
        if (from === '') return;
        const behind = events.findLastIndex(({ id }) => id === from) + 1;
        const names = new EventNames();
        names.connected(from);
        assert.deepEqual(keysOf(names, events.slice(behind)), keys.slice(behind));
      }),
    );
  });

  it('are the same again where a server sends the events of the id itself once more', () => {
    fc.assert(
      fc.property(stream, fc.nat(39), (events, nth) => {
        const keys = keysOf(new EventNames(), events);
        const from = events[nth % events.length]?.id ?? '';
        if (from === '') return;
        const at = events.findIndex(({ id }) => id === from);
        const names = new EventNames();
        names.connected(from);
        assert.deepEqual(keysOf(names, events.slice(at)), keys.slice(at));
      }),
    );
  });

  it('are new each time before the first id: nothing sends those events again', () => {
    const [one, other] = [
      { id: '', text: 'a' },
      { id: '', text: 'a' },
    ];
    const names = new EventNames();
    assert.notEqual(names.keyOf(one), names.keyOf(other));
  });

  it('fit a message attribute', () => {
    const names = new EventNames();
    for (const id of ['', 'é 👩‍👩‍👧‍👦', 'x'.repeat(10_000)])
      assert.match(names.keyOf({ id, text: '{}' }), /^[\x21-\x7e]{1,128}$/);
  });
});
