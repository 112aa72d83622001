import assert from 'node:assert/strict';
import { park, type Parked, parkedMs } from '../../src/workflows/park';

describe('Parking', () => {
  it('waits twice as long each time that the same thing fails again, and ten minutes at most', () => {
    let parked: Parked | undefined;
    const waits = Array.from({ length: 7 }, () => {
      parked = park('upload', 'problem', parked);
      return parkedMs(parked) / 1_000;
    });
    assert.deepEqual(waits, [30, 60, 120, 240, 480, 600, 600]);
  });

  it('begins anew when another thing fails', () => {
    const upload = park('upload', 'problem', park('upload', 'problem', undefined));
    assert.deepEqual(park('claim', 'another', upload), { doing: 'claim', problem: 'another', tries: 1 });
  });
});
