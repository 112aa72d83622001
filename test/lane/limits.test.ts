import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '../../src/lane/limits';
import { packageRoot } from '../../src/package-root';

describe('The limits of a lane', () => {
  it('stand in docs/protocol.md as they are', () => {
    const page = readFileSync(join(packageRoot, 'docs/protocol.md'), 'utf8');
    const [, section = ''] = page.split('(`src/lane/limits.ts`)');
    const rows = [...section.matchAll(/^\| `(\w+)` +\| ([\d,]+) +\|/gm)];
    const told = rows.map(([, name, value = '']) => [name, Number(value.replaceAll(',', ''))]);
    assert.deepEqual(Object.fromEntries(told), LIMITS);
  });
});
