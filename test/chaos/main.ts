import { appendFile, readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { INTERRUPTED, runInForeground } from '../../local/foreground';
import { StackError } from '../../local/stack-error';
import { chaosRun, type RunOptions, type RunReport, SQS_SERVERS, type SqsServerName } from './chaos-run';
import { reportLines, table } from './judge/report';
import { type SourceName, SOURCES } from './nemesis/schedule';

interface Options {
  seeds: number[];
  minutes: number;
  sqs: SqsServerName;
  source: SourceName;
  adopts: boolean;
  /** One report a line. */
  json: string | undefined;
}

/** `npm run chaos -- --seed 7 --minutes 3 [--source kafka] [--adopt]`: exit code 0 when every seed passed. */
void runInForeground(async ({ endings, interrupted }) => {
  const options = readOptions();
  const ended = new AbortController();
  const work = runSeeds(options, ended.signal);
  endings.push(() => work.catch(() => {}));
  const outcome = await Promise.race([work, interrupted]);
  ended.abort();
  if (outcome === 'interrupted') return INTERRUPTED;
  return outcome.every(({ passed }) => passed) ? 0 : 1;
});

async function runSeeds({ seeds, json, ...options }: Options, signal: AbortSignal): Promise<RunReport[]> {
  const reports: RunReport[] = [];
  const known = await reportsIn(json);
  for (const seed of seeds) {
    const report =
      known.find((other) => isOf(other, { seed, ...options })) ??
      (await chaosRun({ seed, ...options, signal, say: console.log }));
    for (const line of reportLines(report)) console.log(line);
    if (json !== undefined && !known.includes(report)) await appendFile(json, `${JSON.stringify(report)}\n`);
    reports.push(report);
  }
  if (reports.length > 1) for (const line of table(reports)) console.log(line);
  return reports;
}

function isOf(
  report: RunReport,
  { seed, minutes, sqs, source, adopts }: Omit<RunOptions, 'say' | 'signal'>,
): boolean {
  const isSame = report.sqs === sqs && report.source === source && report.adopts === adopts;
  return isSame && report.seed === seed && report.minutes === minutes;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '7' },
      seeds: { type: 'string' },
      minutes: { type: 'string', default: '3' },
      sqs: { type: 'string', default: 'moto' },
      source: { type: 'string', default: 'sse' },
      adopt: { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  });
  const minutes = Number(values.minutes);
  if (!(minutes >= 0.5)) throw new StackError(`--minutes must be 0.5 or more; it is ${values.minutes}`);
  const sqs = SQS_SERVERS.find((name) => name === values.sqs);
  if (!sqs) throw new StackError(`--sqs must be one of ${SQS_SERVERS.join(', ')}; it is ${values.sqs}`);
  const source = SOURCES.find((name) => name === values.source);
  if (!source) throw new StackError(`--source must be one of ${SOURCES.join(', ')}; it is ${values.source}`);
  const { adopt: adopts, json } = values;
  return { seeds: seedsOf(values.seeds ?? values.seed), minutes, sqs, source, adopts, json };
}

/** `7`, or `1-20`. */
function seedsOf(text: string): number[] {
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const count = Number(last) - Number(first) + 1;
  if (!(count >= 1))
    throw new StackError(`A seed is a whole number, seeds are two with a dash; it is ${text}`);
  return Array.from({ length: count }, (_, index) => Number(first) + index);
}

/** Of an earlier call with the same file: those seeds are not run again. */
async function reportsIn(json: string | undefined): Promise<RunReport[]> {
  if (json === undefined) return [];
  const text = await readFile(json, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as RunReport);
}
