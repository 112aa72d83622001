import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MUTATIONS } from './mutations';

const ROOT = join(__dirname, '../..');

describe('The mutations', () => {
  it('fit the code as it is, and each has its row in the documentation', () => {
    const misfits = MUTATIONS.filter(({ file, find }) => {
      return readFileSync(join(ROOT, file), 'utf8').split(find).length !== 2;
    });
    assert.deepEqual(
      misfits.map(({ name }) => name),
      [],
    );
    const page = readFileSync(join(ROOT, 'docs/reliability.md'), 'utf8');
    for (const { name } of MUTATIONS)
      assert(page.includes(`| ${name} `), `docs/reliability.md has no row: ${name}`);
  });
});
