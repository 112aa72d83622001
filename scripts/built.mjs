// Builds where the build is missing or older than what it is made of. `npm ci` runs no scripts (.npmrc), so that none of a dependency runs either.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** What the build writes last. */
const RESULT = join(root, 'dist/src/workflow-bundle.js');
const SOURCES = ['src', 'local', 'tsconfig.json', 'tsconfig.build.json', 'package.json', 'package-lock.json'];

function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

const built = statSync(RESULT, { throwIfNoEntry: false })?.mtimeMs ?? 0;
if (SOURCES.some((name) => newest(join(root, name)) > built)) {
  console.error('Building Sluice …');
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], {
    cwd: root,
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
}
