import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  parsePlaceColumns,
  PLACE_PATHS,
  placeColumnsOf,
  placeIn,
  printPlaceColumns,
} from '../../src/lake/place-columns';
import { DEFAULT_COLUMNS, parseColumns } from '../../src/rows/columns';
import { definitionOf } from '../support/definition';

const of = (url: string, columns: string, key?: string) => {
  const { lake } = definitionOf();
  const source = { url, contact: '', ...(key === undefined ? {} : { key }) };
  return placeColumnsOf({ source, lake: { ...lake, columns: parseColumns(columns) } });
};

describe('The columns that hold the places of rows', () => {
  it('are those that payloads of Wikimedia’s service state, whatever they are called', () => {
    const url = 'https://stream.wikimedia.org/v2/stream/recentchange';
    assert.deepEqual(of(url, DEFAULT_COLUMNS), { kind: 'meta', at: [21, 22, 23] });
    assert.deepEqual(of(url, 'o=meta.offset,t=meta.topic,title,p=meta.partition').at, [1, 3, 0]);
    assert.deepEqual(of('http://127.0.0.1:8080/v2/stream/x', 'title'), { kind: 'meta', at: [] });
  });

  it('are those of any other stream, too, which need not have them', () => {
    const columns = 't=meta.topic,p=meta.partition,o=meta.offset';
    assert.deepEqual(of('https://example.org/readings', columns), { kind: 'maybe-meta', at: [0, 1, 2] });
  });

  it('are of a Kafka topic what the source knows, with where there was nothing', () => {
    const url = 'kafka://localhost:9092/t';
    assert.deepEqual(of(url, 'kafka.topic,kafka.partition,kafka.offset,kafka.from').at, [0, 1, 2, 3]);
    assert.deepEqual(of(url, 'kafka.topic,kafka.partition,kafka.offset'), { kind: 'kafka', at: [] });
  });

  it('are none where the key stands in the payload: what is missing there is a repeat', () => {
    const columns = 't=meta.topic,p=meta.partition,o=meta.offset';
    assert.deepEqual(of('kafka://localhost:9092/t', columns, 'id'), { kind: 'none', at: [] });
  });

  it('come back from the text that they are printed as', () => {
    const any = fc.constantFrom('kafka', 'meta', 'maybe-meta', 'none').chain((kind) => {
      const { length } = PLACE_PATHS[kind];
      const at = fc.array(fc.nat({ max: 999 }), { minLength: length, maxLength: length });
      return fc.record(
        { kind: fc.constant(kind), at: fc.oneof(at, fc.constant([])) },
        { noNullPrototype: true },
      );
    });
    fc.assert(
      fc.property(any, (place) => assert.deepEqual(parsePlaceColumns(printPlaceColumns(place)), place)),
    );
    assert.equal(printPlaceColumns({ kind: 'meta', at: [21, 22, 23] }), 'meta 22,23,24');
  });

  for (const text of [
    '',
    'here',
    'meta 1,2',
    'meta 1,2,3,4',
    'none 1',
    'kafka  1,2,3,4',
    'toString',
    'meta 1,2,x',
  ]) {
    it(`can't be read from ${JSON.stringify(text)}`, () => {
      assert.equal(parsePlaceColumns(text), undefined);
    });
  }
});

describe('The place of a row', () => {
  const place = { kind: 'kafka', at: [1, 2, 3, 4] } as const;

  it('is its topic partition and offset, and from where on there was nothing', () => {
    assert.deepEqual(placeIn(['x', 't', '0', '7', '5'], place), { partition: 't/0', offset: 7, from: 5 });
    assert.deepEqual(placeIn(['x', 't', '0', '7', ''], place), { partition: 't/0', offset: 7 });
  });

  it('is none where topic, partition or offset is none', () => {
    for (const cells of [['x', '', '0', '7'], ['x', 't', '', '7'], ['x', 't', '0', '1e3'], ['x']]) {
      assert.equal(placeIn(cells, place), undefined);
    }
    assert.equal(placeIn(['t', '0', '7'], { kind: 'meta', at: [] }), undefined);
  });
});
