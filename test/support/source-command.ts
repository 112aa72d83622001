import { pathToFileURL } from 'node:url';

/** Arguments of Node for `sluice …` from source, without a build. */
export function sourceCommand(...args: readonly string[]): string[] {
  const main = require.resolve('../../src/cli/main.ts');
  return ['--import', pathToFileURL(require.resolve('tsx')).href, main, ...args];
}
