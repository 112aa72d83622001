import { HELP, readOptions } from './options';
import { type RunReport, runOnce } from './run';

/** `npm run model -- --seeds 1-2000`: exit code 0 where every seed kept the promise. */
function main(args: readonly string[]): number {
  const options = readOptions(args);
  if (options === 'help') {
    console.log(HELP);
    return 0;
  }
  const begun = performance.now();
  const reports: RunReport[] = [];
  let bad = 0;
  for (const seed of options.seeds) {
    const report = runOnce({ ...options, seed });
    reports.push(report);
    if (report.problems.length === 0) continue;
    bad += 1;
    console.log(lineOf(report));
    if (options.untilBad) break;
  }
  console.log(summaryOf(reports, bad, (performance.now() - begun) / 1_000));
  return bad === 0 ? 0 : 1;
}

function lineOf({ seed, problems, scenario }: RunReport): string {
  const { order, window, visibility, rows, 'events-per-message': most } = scenario;
  const where = `order ${order}, window ${window}, ${visibility} s, ${rows} rows, ${most} events a message`;
  return `seed ${seed}: ${problems.join('; ')}. ${where}`;
}

/** Of virtual time. */
function timeOf(reports: readonly RunReport[]): string {
  const minutes = reports.reduce((all, { counts }) => all + counts.minutes, 0);
  return minutes < 600 ? `${minutes.toFixed(1)} minutes` : `${(minutes / 60).toFixed(0)} hours`;
}

function summaryOf(reports: readonly RunReport[], bad: number, seconds: number): string {
  const sum = (count: (report: RunReport) => number) =>
    reports
      .reduce((all, report) => all + count(report), 0)
      .toLocaleString('en', { maximumFractionDigits: 0 });
  return [
    `${reports.length} runs, ${bad} bad, in ${seconds.toFixed(1)} s, ${timeOf(reports)} of virtual time:`,
    `${sum(({ counts }) => counts.events)} events in ${sum(({ counts }) => counts.messages)} messages,`,
    `${sum(({ counts }) => counts.redelivered)} redelivered, ${sum(({ counts }) => counts.repeats)} repeats recognised,`,
    `${sum(({ counts }) => counts.lostReceives)} receives lost, ${sum(({ counts }) => counts.refusedReceives)} refused, ${sum(({ counts }) => counts.adopted)} adoptions, ${sum(({ counts }) => counts.runs)} runs of the workflow,`,
    `which hand over ${Math.max(...reports.map(({ counts }) => counts.carriedBytes)).toLocaleString('en')} bytes at most.`,
  ].join(' ');
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
