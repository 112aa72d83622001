import type { RunReport } from '../chaos-run';

/** `seed 7: 4210 events, 0 lost, …: passed`, and how often what happened. */
export function reportLines(report: RunReport): string[] {
  const { actions, faults, recognised, surprises, folder } = report;
  return [
    `actions: ${counts(actions)}`,
    `faults: ${counts(faults)}`,
    `recognised: ${counts(recognised)}`,
    ...surprises.map((surprise) => `surprise: ${surprise}`),
    ...(folder === undefined ? [] : [`logs and histories: ${folder}`]),
    verdict(report),
  ];
}

export function verdict(report: RunReport): string {
  const { seed, seconds, events, rows, objects, rejected, lost, repeated, changed, unknown } = report;
  const found = `${lost} lost, ${repeated} repeated, ${changed} changed, ${unknown} unknown`;
  const lake = `${rows} rows in ${objects} objects, ${rejected} rejected`;
  const outcome = report.passed ? 'passed' : `FAILED: ${report.problems.join('\n  ')}`;
  return `seed ${seed}: ${events} events, ${found}; ${lake}; ${seconds} s: ${outcome}`;
}

/** A Markdown table, for docs/reliability.md. */
export function table(reports: readonly RunReport[]): string[] {
  const heads = [
    'seed',
    'minutes',
    'source',
    'SQS',
    'events',
    'lost',
    'repeated',
    'changed',
    'kills',
    'other actions',
    'faults of SQS and S3',
    'repeats recognised',
    'redeliveries',
    'verdict',
  ];
  return [row(heads), row(heads.map(() => '---')), ...reports.map((report) => row(cells(report)))];
}

function cells(report: RunReport): (string | number)[] {
  const { seed, minutes, source, sqs, events, lost, repeated, changed, actions, faults, recognised, passed } =
    report;
  const kills = sum(actions, (name) => name.startsWith('kill'));
  const others = sum(actions, (name) => !name.startsWith('kill'));
  const judged = [seed, minutes, source, sqs, events, lost, repeated, changed];
  const whole = [...judged, kills, others, sum(faults, () => true)];
  return [...whole, recognised.repeats, recognised.redelivered, passed ? 'passed' : 'FAILED'];
}

function row(values: readonly (string | number)[]): string {
  return `| ${values.join(' | ')} |`;
}

function sum(counts: Readonly<Record<string, number>>, counted: (name: string) => boolean): number {
  return Object.entries(counts).reduce((sum, [name, count]) => (counted(name) ? sum + count : sum), 0);
}

function counts(of: Readonly<Record<string, number>>): string {
  const some = Object.entries(of).filter(([, count]) => count > 0);
  return some.length === 0 ? 'none' : some.map(([name, count]) => `${count} ${name}`).join(', ');
}
