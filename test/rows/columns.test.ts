import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { DEFAULT_COLUMNS, parseColumns, printColumns, projectionOf } from '../../src/rows/columns';

function cellOf(event: object, path: string): string | undefined {
  return projectionOf([{ path }])(event)[0];
}

describe('The columns', () => {
  it('are the fields of recentchange that an analyst asks for, in this order', () => {
    assert.deepEqual(
      parseColumns(DEFAULT_COLUMNS).map(({ name, path }) => (name === path ? name : `${name}=${path}`)),
      [
        'event_id=meta.id',
        'dt=meta.dt',
        'uri=meta.uri',
        'id',
        'type',
        'namespace',
        'title',
        'comment',
        'timestamp',
        'user',
        'bot',
        'minor',
        'patrolled',
        'server_name',
        'wiki',
        'length_old=length.old',
        'length_new=length.new',
        'revision_old=revision.old',
        'revision_new=revision.new',
        'log_type',
        'log_action',
        'topic=meta.topic',
        'partition=meta.partition',
        'offset=meta.offset',
      ],
    );
  });

  it('are pairs of name and path; a name alone is both, and blanks around a pair are nothing', () => {
    assert.deepEqual(parseColumns(' a , b=c.d,e.f '), [
      { name: 'a', path: 'a' },
      { name: 'b', path: 'c.d' },
      { name: 'e.f', path: 'e.f' },
    ]);
  });

  const wrong: Record<string, string> = {
    '': '""',
    'a,,b': '""',
    'a,': '""',
    'a=': '"a="',
    '=a': '"=a"',
    'a=b=c': '"a=b=c"',
    'a==': '"a=="',
    'a=,b': '"a="',
    'a = b': '"a = b"',
    ' a b , c': '" a b "',
    'a=b..c': '"a=b..c"',
    'a=.b': '"a=.b"',
    'a=b.': '"a=b."',
    'a b': '"a b"',
    'a=b c': '"a=b c"',
    'x,a"b': '"a\\"b"',
    "it's": '"it\'s"',
  };
  for (const [text, pair] of Object.entries(wrong)) {
    it(`can't be ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseColumns(text), {
        message: `must be name=path pairs joined by commas, which ${pair} is not`,
      });
    });
  }

  it('come back from the text that they are printed as, where a name is short for itself', () => {
    assert.equal(printColumns(parseColumns(' id=id , b=c.d')), 'id,b=c.d');
    const anyWord = fc.stringMatching(/^[^\s"'=,.]{1,10}$/);
    const anyColumn = fc.record(
      {
        name: fc.stringMatching(/^[^\s"'=,]{1,10}$/),
        path: fc.array(anyWord, { minLength: 1, maxLength: 3 }).map((members) => members.join('.')),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.uniqueArray(anyColumn, { minLength: 1, selector: ({ name }) => name }), (columns) => {
        assert.deepEqual(parseColumns(printColumns(columns)), columns);
      }),
    );
  });

  it('leave a name to the column of keys, in capitals too: some readers take the two for one', () => {
    for (const name of ['_key', '_Key']) {
      assert.throws(() => parseColumns(`a,${name}=b`), {
        message: `must leave the name ${name} to the column that Sluice adds (SLUICE_KEY_COLUMN)`,
      });
    }
    assert.deepEqual(parseColumns('key=_key'), [{ name: 'key', path: '_key' }]);
  });

  it('have each name once, though two may show the same value', () => {
    assert.throws(() => parseColumns('a,b,a=c'), {
      message: 'must name every column once, and names "a" twice',
    });
    assert.equal(parseColumns('a=c,b=c').length, 2);
  });
});

describe('A row', () => {
  it('has an empty field for what is missing, null or empty', () => {
    const event = { null: null, empty: '', object: { null: null } };
    for (const path of [
      'missing',
      'null',
      'empty',
      'object.null',
      'object.missing',
      'null.deeper',
      'empty.x',
    ]) {
      assert.equal(cellOf(event, path), '', path);
    }
  });

  it('has text as it is, numbers and booleans as JavaScript prints them', () => {
    const event = {
      text: ' a "b"\r\n',
      zero: 0,
      negative: -1,
      big: 2 ** 53,
      small: 1e-7,
      no: false,
      yes: true,
    };
    const columns = parseColumns('text,zero,negative,big,small,no,yes');
    assert.deepEqual(projectionOf(columns)(event), [
      ' a "b"\r\n',
      '0',
      '-1',
      '9007199254740992',
      '1e-7',
      'false',
      'true',
    ]);
  });

  it('has objects and arrays as JSON', () => {
    const event = { object: { b: [1, null], a: 'é"' }, list: [], none: {} };
    assert.deepEqual(projectionOf(parseColumns('object,list,none'))(event), [
      '{"b":[1,null],"a":"é\\""}',
      '[]',
      '{}',
    ]);
  });

  it("finds an element of an array by its number, and an object's member with any name", () => {
    assert.equal(cellOf({ list: ['a', { b: 'c' }] }, 'list.1.b'), 'c');
    assert.equal(cellOf(JSON.parse('{"__proto__":{"x":"own"}}') as object, '__proto__.x'), 'own');
  });

  it("has nothing that is not the event's own", () => {
    const paths = [
      'constructor',
      'toString.name',
      '__proto__',
      'text.length',
      'object.hasOwnProperty',
      'number.toFixed',
    ];
    for (const path of paths) assert.equal(cellOf({ text: 'abc', object: {}, number: 1 }, path), '', path);
  });

  it('has as many fields as there are columns, all of them texts, whatever the event', () => {
    const rowOf = projectionOf(parseColumns(DEFAULT_COLUMNS));
    fc.assert(
      fc.property(fc.object({ key: fc.constantFrom('meta', 'id', 'length', 'old', 'title') }), (event) => {
        const row = rowOf(JSON.parse(JSON.stringify(event)) as object);
        assert.equal(row.length, 24);
        assert(row.every((field) => typeof field === 'string'));
      }),
    );
  });
});
