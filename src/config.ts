import { type Column, DEFAULT_COLUMNS, parseColumns } from './lake/columns';

/**
 * A named pipeline: the input of its workflows, written by `sluice start` and readable in the web UI.
 * Workers know nothing of it but what workflows hand them.
 */
export interface PipelineDefinition {
  name: string;
  source: {
    url: string;
    /** Epoch milliseconds of the first event wanted. Without it: the moment the ingest workflow starts. */
    since?: number;
    /** Stands in the User-Agent: Wikimedia answers 403 to clients that name nobody. */
    contact: string;
  };
  queue: { name: string; visibilityTimeoutSeconds: number };
  lake: { bucket: string; prefix: string; columns: Column[] };
  batch: { rows: number; flushAfterSeconds: number };
  /** How many settled keys are recognised as repeats. */
  windowKeys: number;
  /** How long the queue must have looked empty before a stopping lane is drained. */
  drainQuietSeconds: number;
}

/** One environment variable: everything that is known about it stands here. */
interface Setting<T> {
  readonly name: string;
  /** As one would write it in `.env`. */
  readonly fallback: string;
  readonly meaning: string;
  /** @throws Error whose message is the rule that `text` breaks and what to write instead */
  readonly parse: (text: string) => T;
}

const HOMEPAGE = 'https://github.com/sluice-pipeline/sluice';

const text = (rule: RegExp, says: string) => (value: string) => {
  if (!rule.test(value)) throw new Error(says);
  return value;
};

const wholeNumber = (least: number, most: number) => (value: string) => {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < least || number > most) {
    throw new Error(`must be a whole number from ${least} to ${most}`);
  }
  return number;
};

const SECONDS_IN = new Map([
  ['ms', 0.001],
  ['s', 1],
  ['m', 60],
  ['h', 3_600],
]);

/** `500ms`, `90s`, `2m`, `1h`, as seconds. A bare number would be seconds to some and milliseconds to others. */
const seconds = (least: number, most: number) => (value: string) => {
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(value) ?? [];
  const duration = Number(amount) * (SECONDS_IN.get(unit) ?? NaN);
  if (!(duration >= least && duration <= most)) {
    throw new Error(
      `must be a number with its unit (ms, s, m or h), such as 90s or 2m, from ${least}s to ${most}s`,
    );
  }
  return duration;
};

/** SQS takes visibility timeouts in whole seconds. */
const wholeSeconds = (least: number, most: number) => (value: string) => {
  const duration = seconds(least, most)(value);
  if (!Number.isInteger(duration)) throw new Error('must be whole seconds, such as 90s or 2m');
  return duration;
};

const httpUrl = (value: string) => {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw new Error('must be an http or https URL');
  if (url.username || url.password) {
    // It would stand in every workflow history.
    throw new Error('must not hold a user name or password');
  }
  return value;
};

/** Date.parse alone takes almost anything that has a number in it. */
const ISO_TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/;

const instant = (value: string) => {
  if (value === '') return undefined;
  const time = /^\d{12,13}$/.test(value) ? Number(value) : ISO_TIME.test(value) ? Date.parse(value) : NaN;
  if (Number.isNaN(time))
    throw new Error(
      'must be an ISO 8601 time with its offset or epoch milliseconds, such as 2026-01-31T12:00:00Z',
    );
  return time;
};

function setting<T>(
  name: string,
  fallback: string,
  meaning: string,
  parse: (value: string) => T,
): Setting<T> {
  return { name, fallback, meaning, parse };
}

/** Every setting of a pipeline. The README's table is this list. */
export const SETTINGS = {
  pipeline: setting(
    'SLUICE_PIPELINE',
    'recentchange',
    'name of the pipeline',
    text(/^[\w.-]{1,100}$/, 'must be 1 to 100 letters, digits, dots, dashes or underscores'),
  ),
  sourceUrl: setting(
    'SLUICE_SOURCE_URL',
    'https://stream.wikimedia.org/v2/stream/recentchange',
    'the Server-Sent Events stream',
    httpUrl,
  ),
  sourceSince: setting(
    'SLUICE_SOURCE_SINCE',
    '',
    'time of the first event wanted (ISO 8601 or epoch milliseconds); empty: the moment of the first start',
    instant,
  ),
  contact: setting(
    'SLUICE_CONTACT',
    HOMEPAGE,
    'a page or an e-mail address, sent to the source in the User-Agent',
    text(/^[\x21-\x7e][\x20-\x7e]{0,199}$/, 'must be 1 to 200 printable ASCII characters'),
  ),
  queue: setting(
    'SLUICE_QUEUE',
    'sse_queue',
    'name of the SQS standard queue',
    text(
      /^[\w-]{1,80}$/,
      'must be 1 to 80 letters, digits, dashes or underscores (a standard queue, not .fifo)',
    ),
  ),
  bucket: setting(
    'SLUICE_BUCKET',
    'sse-bucket',
    'name of the S3 bucket',
    text(
      /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
      'must be an S3 bucket name: 3 to 63 of a-z, 0-9, dots and dashes',
    ),
  ),
  prefix: setting(
    'SLUICE_PREFIX',
    '',
    'folder in the bucket under which everything is written; empty: the bucket itself',
    text(/^$|^[\w.=-]+(\/[\w.=-]+)*$/, 'must be folder names joined by /, without a / at either end'),
  ),
  columns: setting(
    'SLUICE_COLUMNS',
    DEFAULT_COLUMNS,
    'columns of the CSV: `name=path` pairs joined by commas; `name` alone is short for `name=name`',
    parseColumns,
  ),
  batchRows: setting('SLUICE_BATCH_ROWS', '100', 'rows of one CSV object', wholeNumber(1, 1_000)),
  flushAfter: setting(
    'SLUICE_FLUSH_AFTER',
    '60s',
    'how long a row may wait before an object is written with fewer rows',
    seconds(0.1, 86_400),
  ),
  visibilityTimeout: setting(
    'SLUICE_VISIBILITY_TIMEOUT',
    '2m',
    'how long SQS hides a received message (SQS allows 12h at most)',
    wholeSeconds(1, 43_200),
  ),
  window: setting(
    'SLUICE_WINDOW',
    '30000',
    'how many keys already in the lake are remembered, to recognise repeats; a stint is a third of it',
    wholeNumber(100, 60_000),
  ),
  drainQuiet: setting(
    'SLUICE_DRAIN_QUIET',
    '60s',
    'how long the queue must look empty before `stop` is done (counts of real SQS lag by a minute)',
    seconds(0, 3_600),
  ),
} as const;

/** Raised for settings that can't be used; `message` lists every one of them. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/**
 * Reads and validates every setting once.
 *
 * @param environment usually `process.env`; an empty text counts as not set
 * @throws {@link SettingsError} naming each setting that is wrong, its rule and the value it has
 */
export function loadPipeline(environment: Readonly<Record<string, string | undefined>>): PipelineDefinition {
  const problems: string[] = [];
  const read = <T>({ name, fallback, parse }: Setting<T>): T => {
    const value = environment[name]?.trim() || fallback;
    try {
      return parse(value);
    } catch (error) {
      problems.push(
        `${name} ${error instanceof Error ? error.message : String(error)}; it is ${JSON.stringify(withoutPassword(value))}`,
      );
      // Never used: the list of problems is thrown below. The default keeps the type honest.
      return parse(fallback);
    }
  };
  const since = read(SETTINGS.sourceSince);
  const definition: PipelineDefinition = {
    name: read(SETTINGS.pipeline),
    source: {
      url: read(SETTINGS.sourceUrl),
      ...(since === undefined ? {} : { since }),
      contact: read(SETTINGS.contact),
    },
    queue: { name: read(SETTINGS.queue), visibilityTimeoutSeconds: read(SETTINGS.visibilityTimeout) },
    lake: { bucket: read(SETTINGS.bucket), prefix: read(SETTINGS.prefix), columns: read(SETTINGS.columns) },
    batch: { rows: read(SETTINGS.batchRows), flushAfterSeconds: read(SETTINGS.flushAfter) },
    windowKeys: read(SETTINGS.window),
    drainQuietSeconds: read(SETTINGS.drainQuiet),
  };
  if (problems.length > 0) throw new SettingsError(problems.join('\n'));
  return definition;
}

/** A URL's user name and password, where one has them, must not reach a log. */
function withoutPassword(value: string): string {
  return value.replace(/\/\/[^/]*@/, '//***@');
}
