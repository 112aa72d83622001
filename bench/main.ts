import { parseArgs } from 'node:util';
import { INTERRUPTED, runInForeground } from '../local/foreground';
import { StackError } from '../local/stack-error';
import { bench } from './bench';
import { PEERS } from './peers/peer';
import { CASES, planOf } from './plan';
import { profileTable } from './profile';
import { readResults } from './results';
import { tableOf, writeReport } from './report';
import { SERVERS } from './servers/servers';

/** Where `--report` takes its figures from. */
const MEASURED = 'bench/results.jsonl';

/** `npm run bench`: measures, and prints one table. Exit code 1 when something could not be measured. */
void runInForeground(async ({ endings, interrupted }) => {
  const { report, ...options } = readOptions();
  if (report) {
    writeReport(await readResults(options.json ?? MEASURED));
    return 0;
  }
  const stopping = new AbortController();
  const plan = planOf(options);
  const say = (line: string) => console.error(line);
  const { rounds, json, profile } = options;
  const work = bench({ plan, rounds, file: json, profile, signal: stopping.signal, say });
  endings.push(() => work.catch(() => {}));
  const outcome = await Promise.race([work, interrupted]);
  stopping.abort();
  if (outcome === 'interrupted') {
    console.error('Ending after the measurement that runs; a second Ctrl-C ends at once.');
    return INTERRUPTED;
  }
  for (const line of tableOf(outcome)) console.log(line);
  if (profile !== undefined) console.log(`\n${await profileTable(profile)}`);
  return outcome.length === plan.length * rounds ? 0 : 1;
});

function readOptions() {
  const { values } = parseArgs({
    options: {
      case: { type: 'string', default: 'ingest,process,end-to-end,requests' },
      peers: { type: 'string', default: PEERS.join() },
      servers: { type: 'string', default: SERVERS.join() },
      rounds: { type: 'string', default: '1' },
      json: { type: 'string' },
      profile: { type: 'string' },
      report: { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds);
  if (!(Number.isInteger(rounds) && rounds >= 1)) {
    throw new StackError(`--rounds must be a whole number from 1; it is ${values.rounds}`);
  }
  return {
    cases: chosen('--case', values.case, Object.keys(CASES) as (keyof typeof CASES)[]),
    peers: chosen('--peers', values.peers, PEERS),
    servers: chosen('--servers', values.servers, SERVERS),
    rounds,
    json: values.json,
    profile: values.profile,
    report: values.report,
  };
}

/** Words of a list that are among `all`, or `all` itself. */
function chosen<T extends string>(option: string, text: string, all: readonly T[]): T[] {
  if (text === 'all') return [...all];
  return text.split(',').map((word) => {
    const found = all.find((one) => one === word);
    if (found === undefined) {
      throw new StackError(`${option} takes ${all.join(', ')} or all; it is ${JSON.stringify(text)}`);
    }
    return found;
  });
}
