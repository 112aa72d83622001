#!/usr/bin/env node
// Beside the product's own command, for docker-compose.kafka.yml: a name that stays, wherever the build puts the file.
require('../dist/local/topic-command.js');
