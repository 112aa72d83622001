#!/usr/bin/env node
// Beside the product's own command, for docker-compose.simulated.yml: a name that stays, wherever the build puts the file.
require('../dist/local/stream-command.js');
