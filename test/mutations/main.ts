/**
 * `npm run mutations [-- NAME]`: breaks one guarantee after the other in a copy of the code, and shows that a named test notices.
 * With `--model`, whether the model of `test/model/` notices: of those in a lane. Ends with 1 when a mutation survives that must not, or
 * when what must notice is red on the code as it is.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isOfLane, type Mutation, MUTATIONS } from './mutations';

const ROOT = join(__dirname, '../..');
const COPIED = ['src', 'local', 'test', 'package.json', 'tsconfig.json', 'requirements.txt'];
/** Large, and not changed. */
const LINKED = ['node_modules', '.sluice'];

/** What the model is given to notice a mutation. */
const MODEL_SEEDS = '1-400';

/** A model that was not done by then hangs, in milliseconds. */
const MODEL_PATIENCE_MS = 15 * 60_000;

interface Outcome {
  mutation: Mutation;
  /** Whether what must notice is green on the code as it is. */
  isGreen: boolean;
  /** What was noticed; undefined: nothing. */
  noticed: string | undefined;
}

/** What may notice a mutation. It looks at the code in a folder, and says what it noticed. */
interface Witness {
  isFor(mutation: Mutation): boolean;
  /** Where the code is as it is: it must notice nothing. */
  lookBefore(folder: string, mutation: Mutation): string | undefined;
  look(folder: string, mutation: Mutation): string | undefined;
  mayMiss(mutation: Mutation): boolean;
}

const NAMED_TEST: Witness = {
  isFor: () => true,
  lookBefore: failingTest,
  look: failingTest,
  mayMiss: () => false,
};

/** Of the code as it is, which is the same for all mutations. */
let before: { badSeed: string | undefined } | undefined;

const MODEL: Witness = {
  isFor: isOfLane,
  lookBefore: (folder) => (before ??= { badSeed: badSeed(folder) }).badSeed,
  look: badSeed,
  mayMiss: ({ model }) => model === 'survives',
};

function main(witness: Witness, wanted: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-mutations-'));
  try {
    for (const name of COPIED) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
    for (const name of LINKED) symlinkSync(join(ROOT, name), join(folder, name));
    const chosen = MUTATIONS.filter((mutation) => mutation.name.includes(wanted) && witness.isFor(mutation));
    const outcomes = chosen.map((mutation) => {
      const outcome = tryOut(folder, mutation, witness);
      console.log(lineOf(outcome));
      return outcome;
    });
    const caught = outcomes.filter(isCaught);
    console.log(`\n${caught.length} of ${outcomes.length} mutations caught`);
    const isGood = outcomes.every((outcome) => isCaught(outcome) || witness.mayMiss(outcome.mutation));
    process.exitCode = isGood && caught.length > 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function isCaught({ isGreen, noticed }: Outcome): boolean {
  return isGreen && noticed !== undefined;
}

function tryOut(folder: string, mutation: Mutation, witness: Witness): Outcome {
  const path = join(folder, mutation.file);
  const code = readFileSync(path, 'utf8');
  const parts = code.split(mutation.find);
  if (parts.length !== 2)
    throw new Error(`${mutation.name}: what it replaces stands ${parts.length - 1} times`);
  const isGreen = witness.lookBefore(folder, mutation) === undefined;
  try {
    writeFileSync(path, parts.join(mutation.replace));
    return { mutation, isGreen, noticed: witness.look(folder, mutation) };
  } finally {
    writeFileSync(path, code);
  }
}

/** @returns the title of the test, unless exactly one is called so and passes */
function failingTest(folder: string, mutation: Mutation): string | undefined {
  return passes(folder, mutation) ? undefined : mutation.check.title;
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

/** @returns what the model says of the first seed at which the lane does not keep its promise */
function badSeed(folder: string): string | undefined {
  const { status, signal, stdout, stderr } = spawnSync(
    join(ROOT, 'node_modules/.bin/tsx'),
    ['test/model/main.ts', '--seeds', MODEL_SEEDS, '--until-bad'],
    { cwd: folder, encoding: 'utf8', timeout: MODEL_PATIENCE_MS },
  );
  if (signal !== null) return 'it hangs';
  if (!stdout.includes(' bad, in ')) throw new Error(`the model did not run: ${stderr}`);
  return status === 0 ? undefined : stdout.split('\n')[0];
}

function lineOf({ mutation: { name }, isGreen, noticed }: Outcome): string {
  const verdict = !isGreen ? 'RED WITHOUT IT' : noticed === undefined ? 'SURVIVED' : 'caught';
  return `| ${name} | ${verdict} | ${noticed ?? ''} |`;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { model: { type: 'boolean', default: false } },
});
main(values.model ? MODEL : NAMED_TEST, positionals[0] ?? '');
