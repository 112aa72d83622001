import { HOUR_MS } from '../lake/layout';
import { SETTINGS } from '../settings/pipeline';
import { type AuditedStore, auditLake, type AuditSurroundings } from '../verify/audit';
import { describeReport } from '../verify/describe';
import type { Rules } from '../verify/verification';
import { type Context } from './context';
import { UsageError } from './errors';
import { option } from './option';
import { explainingS3 } from './explain';
import { printable } from '../printable';
import { type Screen, withProgress } from './progress';

export interface VerifyOptions {
  /** ISO 8601; the hour that holds it is the first one judged. Default: the first there is. */
  since?: string;
  /** ISO 8601; the hour that ends at it, or holds it, is the last one judged. Default: the last there is. */
  until?: string;
  /** For how long what is missing before a new object may still be on its way: `90s`, `10m`, `1h`. Default: `10m`. */
  grace?: string;
  /** Whether to say the `LakeReport` as JSON. */
  json?: boolean;
}

/** What else it works with. */
export interface Surroundings extends Pick<AuditSurroundings, 'pause'> {
  /** Default: stderr. */
  screen?: Screen;
}

/**
 * `sluice verify`: audits the lake from its objects alone: what is missing, what is there twice, what is not what it
 * should be. Of the settings it takes bucket and prefix, and no more. While the pipeline runs, an object or a row may be on its way: then it looks again, for half a minute at most.
 *
 * @returns whether everything could be checked, and nothing was found
 * @throws UsageError for options that can't be used, CommandError when S3 refuses
 */
export async function verify(
  { store, say }: Pick<Context, 'say'> & { store: AuditedStore },
  { json = false, ...options }: VerifyOptions = {},
  { screen = process.stderr, ...surroundings }: Surroundings = {},
): Promise<boolean> {
  const rules = rulesOf(options);
  const report = await explainingS3(store.lake, () =>
    auditLake(store, rules, {
      ...surroundings,
      progress: (items, of) => withProgress(items, { screen, ...of }),
    }),
  );
  if (json) say(JSON.stringify(report, undefined, 2));
  else for (const line of describeReport(report)) say(printable(line));
  return report.whole && report.unchecked.length === 0;
}

function rulesOf({ since, until, grace = '10m' }: VerifyOptions): Omit<Rules, 'now'> {
  // The rules for times and durations are those of the settings.
  const first = option('--since', since, SETTINGS.source.since.parse);
  const end = option('--until', until, SETTINGS.source.since.parse);
  const graceSeconds = option('--grace', grace, SETTINGS.drainQuietSeconds.parse) ?? 0;
  const hours = {
    since: first === undefined ? -Infinity : Math.floor(first / HOUR_MS),
    until: end === undefined ? Infinity : Math.ceil(end / HOUR_MS),
  };
  if (hours.since >= hours.until) throw new UsageError('--until must be later than --since');
  return { hours, graceMs: graceSeconds * 1_000 };
}
