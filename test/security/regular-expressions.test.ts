import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';
import { analyse } from 'scslre';
import { packageRoot } from '../../src/package-root';

/** Whose expressions meet what others wrote: events, ids, answers of servers, objects, settings. */
const FOLDERS = ['src', 'local'];

interface Expression {
  /** File and offset. */
  at: string;
  source: string;
  flags: string;
}

/** All that a file has as literals. */
function expressionsIn(code: string, name: string): Expression[] {
  const found: Expression[] = [];
  new Visitor({
    Literal(literal) {
      if (!('regex' in literal)) return;
      found.push({
        at: `${name}:${literal.start}`,
        source: literal.regex.pattern,
        flags: literal.regex.flags,
      });
    },
    NewExpression({ callee, start }) {
      if (callee.type === 'Identifier' && callee.name === 'RegExp')
        throw new Error(`${name}:${start} makes an expression of a text: it can't be judged`);
    },
  }).visit(parseSync(name, code).program);
  return found;
}

/** In words; none where the time that it takes grows with the text alone. */
function slownessOf({ source, flags }: Pick<Expression, 'source' | 'flags'>): string[] {
  const { reports } = analyse({ source, flags });
  return reports.map(({ type, exponential }) => `${type}, ${exponential ? 'exponential' : 'polynomial'}`);
}

describe('A regular expression', () => {
  const all = FOLDERS.flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(packageRoot, folder, name)),
  ).flatMap((file) => expressionsIn(readFileSync(file, 'utf8'), relative(packageRoot, file)));

  it('takes a time that grows with the text, and no faster', () => {
    assert.ok(all.length > 40, `${all.length} are found`);
    const slow = all.flatMap(({ at, source, flags }) =>
      slownessOf({ source, flags }).map((why) => `${at} /${source}/${flags}: ${why}`),
    );
    assert.deepEqual(slow, []);
  });

  it('that does not is noticed', () => {
    const [number, ends, nested] = [String.raw`^\d+\.?\d*$`, String.raw`\([^)]+\)`, '^(a+)+$'];
    for (const source of [number, ends, nested])
      assert.notDeepEqual(slownessOf({ source, flags: '' }), [], source);
    const code = 'const isNumber = (text: string) => /^\\d+\\.?\\d*$/u.test(text);';
    assert.deepEqual(expressionsIn(code, 'one.ts'), [{ at: 'one.ts:35', source: number, flags: 'u' }]);
    assert.throws(
      () => expressionsIn('new RegExp(text)', 'one.ts'),
      /one\.ts:0 makes an expression of a text/,
    );
  });
});
