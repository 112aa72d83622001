#!/usr/bin/env node
// Committed, with its run bit: a file that tsc writes loses it at every build.
require('../dist/src/cli/main.js');
