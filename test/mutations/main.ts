/**
 * `npm run mutations`: breaks one guarantee after the other in a copy of the code, and shows that a named test notices.
 * Ends with 1 when a mutation survives, or when a test is red on the code as it is.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mutation, MUTATIONS } from './mutations';

const ROOT = join(__dirname, '../..');
const COPIED = ['src', 'local', 'test', 'package.json', 'tsconfig.json', 'requirements.txt'];
/** Large, and not changed. */
const LINKED = ['node_modules', '.sluice'];

interface Outcome {
  mutation: Mutation;
  /** Whether the test is green on the code as it is. */
  isGreen: boolean;
  isCaught: boolean;
}

function main(wanted: string | undefined): void {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-mutations-'));
  try {
    for (const name of COPIED) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
    for (const name of LINKED) symlinkSync(join(ROOT, name), join(folder, name));
    const outcomes = MUTATIONS.filter(({ name }) => name.includes(wanted ?? '')).map((mutation) => {
      const outcome = tryOut(folder, mutation);
      console.log(lineOf(outcome));
      return outcome;
    });
    const caught = outcomes.filter(({ isGreen, isCaught }) => isGreen && isCaught).length;
    console.log(`\n${caught} of ${outcomes.length} mutations caught`);
    process.exitCode = caught === outcomes.length && caught > 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function tryOut(folder: string, mutation: Mutation): Outcome {
  const path = join(folder, mutation.file);
  const code = readFileSync(path, 'utf8');
  const parts = code.split(mutation.find);
  if (parts.length !== 2)
    throw new Error(`${mutation.name}: what it replaces stands ${parts.length - 1} times`);
  const isGreen = passes(folder, mutation);
  try {
    writeFileSync(path, parts.join(mutation.replace));
    return { mutation, isGreen, isCaught: !passes(folder, mutation) };
  } finally {
    writeFileSync(path, code);
  }
}

/** Whether exactly one test has this title, and passes. */
function passes(folder: string, { check }: Mutation): boolean {
  const title = `^${check.title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`;
  const { stdout } = spawnSync(
    join(ROOT, 'node_modules/.bin/mocha'),
    [
      '--no-config',
      '--require=tsx',
      `--require=${join(folder, 'test/mutations/fixed-seed.ts')}`,
      '--timeout=60000',
      '--reporter=json',
      `--grep=${title}`,
      check.file,
    ],
    { cwd: folder, encoding: 'utf8', timeout: 180_000 },
  );
  const json = /^\{\n[\s\S]*^\}/m.exec(stdout)?.[0] ?? '{}';
  const { stats } = JSON.parse(json) as { stats?: { tests: number; passes: number; failures: number } };
  // A test that a mutation hangs or crashes has noticed it, too.
  if (!stats) return false;
  if (stats.tests !== 1) throw new Error(`${stats.tests} tests are called ${check.title}`);
  return stats.passes === 1;
}

function lineOf({ mutation: { name, check }, isGreen, isCaught }: Outcome): string {
  const verdict = !isGreen ? 'RED WITHOUT IT' : isCaught ? 'caught' : 'SURVIVED';
  return `| ${name} | ${verdict} | ${check.title} |`;
}

main(process.argv[2]);
