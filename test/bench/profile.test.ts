import assert from 'node:assert/strict';
import { partsOf } from '../../bench/profile';

const frame = (functionName: string, url = '') => ({ functionName, url });

describe('Where a profile says that time went', () => {
  it('is a part for each sample: its own, its caller’s where it has none, and nothing for starting and idling', () => {
    const nodes = [
      { id: 1, callFrame: frame('(root)'), children: [2, 3, 5, 8, 9] },
      { id: 2, callFrame: frame('(idle)') },
      { id: 3, callFrame: frame('send', '/x/node_modules/@smithy/core/index.js'), children: [4] },
      { id: 4, callFrame: frame('writev') },
      { id: 5, callFrame: frame('load', 'node:internal/modules/cjs/loader'), children: [6] },
      { id: 6, callFrame: frame('', 'file:///x/dist/config.js'), children: [7] },
      { id: 7, callFrame: frame('(garbage collector)') },
      { id: 8, callFrame: frame('receive', 'file:///x/dist/activities/receive-messages.js') },
      { id: 9, callFrame: frame('(garbage collector)') },
    ];
    const samples = [2, 3, 4, 4, 6, 7, 8, 9, 1];
    const timeDeltas = samples.map((_, index) => 2 ** index * 1e6);
    assert.deepEqual(Object.fromEntries(partsOf({ nodes, samples, timeDeltas })), {
      "AWS's clients": 2 + 4 + 8,
      Sluice: 64,
      'garbage collection': 128,
      'Node, and what has no name': 256,
    });
  });
});
