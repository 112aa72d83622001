import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EVERY_SETTING, SETTINGS } from '../src/settings/pipeline';
import type { Setting } from '../src/settings/setting';
import type { Entry } from '../src/settings/table';
import { WORKER_SETTINGS } from '../src/settings/worker';
import { METRICS, type Metric, PROCESS_METRICS } from '../src/metrics';

/** By page, and there by the name in the comments that stand before and after a table. */
const TABLES = {
  'README.md': {
    settings: pipelineTable(EVERY_SETTING),
    'worker settings': workerTable(Object.values(WORKER_SETTINGS)),
  },
  'docs/metrics.md': { metrics: metricsTable(Object.values({ ...METRICS, ...PROCESS_METRICS })) },
};

type Page = keyof typeof TABLES;

/**
 * A page with its tables as the source declares them. `npm run docs` writes all of them.
 *
 * @throws Error when the page has no place for a table
 */
export function generated(page: Page): { found: string; wanted: string } {
  const found = readFileSync(pathOf(page), 'utf8');
  const wanted = Object.entries(TABLES[page]).reduce(
    (text, [name, table]) => withTable(text, name, table),
    found,
  );
  return { found, wanted };
}

/** As a scrape names it: the endpoint adds a suffix to counters. */
export function scrapedName({ name, kind }: Metric): string {
  return kind === 'counter' ? `${name}_total` : name;
}

export function withTable(text: string, name: string, table: string): string {
  const [start, end] = [`<!-- ${name} -->\n`, `\n<!-- /${name} -->`];
  const [before, after] = [text.indexOf(start), text.indexOf(end)];
  if (before < 0 || after < 0) throw new Error(`There is no ${start.trim()} with its end: write both again`);
  return `${text.slice(0, before)}${start}\n${table}\n${text.slice(after)}`;
}

function pipelineTable(entries: readonly Entry[]): string {
  const rows = entries.map(({ setting, may }) => [...cellsOf(setting), may]);
  return markdownTable(['setting', 'default', 'meaning', 'may change'], rows);
}

function workerTable(settings: readonly Setting<unknown>[]): string {
  return markdownTable(['setting', 'default', 'meaning'], settings.map(cellsOf));
}

function cellsOf({ name, fallback, meaning }: Setting<unknown>): string[] {
  const shown =
    name === SETTINGS.lake.columns.name ? 'see `src/rows/columns.ts`' : fallback && `\`${fallback}\``;
  return [`\`${name}\``, shown, meaning];
}

function metricsTable(metrics: Metric[]): string {
  const rows = metrics.map((metric) => [
    `\`${scrapedName(metric)}\``,
    metric.kind,
    metric.labels.map((label) => `\`${label}\``).join(', '),
    metric.meaning,
  ]);
  return markdownTable(['metric', 'type', 'labels', 'meaning'], rows);
}

export function markdownTable(header: string[], rows: string[][]): string {
  const lines = [header, header.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function pathOf(page: Page): string {
  return join(__dirname, '..', page);
}

if (require.main === module) {
  const pages = Object.keys(TABLES) as Page[];
  for (const page of pages) writeFileSync(pathOf(page), generated(page).wanted);
}
