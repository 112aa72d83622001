#!/usr/bin/env node
// Committed, with its run bit: a file that tsc writes loses it at every build.
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const main = join(__dirname, '../dist/src/cli/main.js');
if (existsSync(main)) require(main);
else {
  console.error('Sluice is not built yet: run `npm run build` in its folder.');
  process.exitCode = 1;
}
