import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isOfLane, MUTATIONS } from './mutations';

const ROOT = join(__dirname, '../..');

describe('The mutations', () => {
  it('fit the code as it is', () => {
    const misfits = MUTATIONS.filter(({ file, find }) => {
      return readFileSync(join(ROOT, file), 'utf8').split(find).length !== 2;
    });
    assert.deepEqual(
      misfits.map(({ name }) => name),
      [],
    );
  });

  it('have each a row in the documentation, which says whether the model notices', () => {
    const rows = readFileSync(join(ROOT, 'docs/reliability.md'), 'utf8').split('\n');
    for (const mutation of MUTATIONS) {
      const { name, model = '–' } = mutation;
      const row = rows.find((line) => line.startsWith(`| ${name} `)) ?? '';
      assert.equal(row.split('|').at(-2)?.trim(), model, `docs/reliability.md, the row of: ${name}`);
      assert.equal(model !== '–', isOfLane(mutation), `${name}: only of a lane can the model notice it`);
    }
  });
});
