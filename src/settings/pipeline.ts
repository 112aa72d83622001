import { isKafkaUrl, parseKafkaUrl, parseOffsets } from '../sources/kafka/address';
import { DEFAULT_COLUMNS, parseColumns } from '../rows/columns';
import { AFTER_LOSS, OBJECT_ACLS, type PipelineDefinition, STINTS_PER_WINDOW } from '../pipeline/definition';
import {
  oneOf,
  reader,
  refuse,
  seconds,
  setting,
  text,
  wholeNumber,
  wholeSeconds,
  type Environment,
} from './setting';

const HOMEPAGE = 'https://github.com/sluice-pipeline/sluice';

const sourceUrl = (value: string) => {
  if (isKafkaUrl(value)) {
    parseKafkaUrl(value);
    return value;
  }
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw new Error('must be an http, https or kafka URL');
  if (url.username || url.password) {
    // It would stand in every workflow history.
    throw new Error('must not hold a user name or password');
  }
  return value;
};

/** Date.parse alone takes almost anything that has a number in it. */
const ISO_TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/;

const instant = (value: string) => {
  if (value === '' || value === 'latest') return undefined;
  if (value === 'earliest') return 0;
  const time = /^\d{12,13}$/.test(value) ? Number(value) : ISO_TIME.test(value) ? Date.parse(value) : NaN;
  // An offset can lead out of the years that have four digits, and such a time would not come back from its own text.
  if (Number.isNaN(time) || !ISO_TIME.test(new Date(time).toISOString()))
    throw new Error(
      'must be an ISO 8601 time with its offset or epoch milliseconds, such as 2026-01-31T12:00:00Z, or earliest or latest',
    );
  return time;
};

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
    'a Server-Sent Events stream, or a Kafka topic as `kafka://host:9092,host2:9092/topic`',
    sourceUrl,
  ),
  sourceSince: setting(
    'SLUICE_SOURCE_SINCE',
    '',
    'time of the first event wanted (ISO 8601 or epoch milliseconds), or `earliest`; empty or `latest`: the moment of the first start',
    instant,
  ),
  sourceKey: setting(
    'SLUICE_SOURCE_KEY',
    '',
    'path in the payload of what makes an event itself, such as `id`; empty: what the source says of it, see "Your own SSE stream" and "From a Kafka topic"',
    text(/^$|^[^\s.]+(\.[^\s.]+)*$/, 'must be names of object members joined by dots, such as meta.id'),
  ),
  sourceOffsets: setting(
    'SLUICE_SOURCE_OFFSETS',
    '',
    'Kafka: first offsets wanted, such as `0:1500,1:99`; partitions not named begin as SLUICE_SOURCE_SINCE says',
    (value) => (value === '' ? undefined : parseOffsets(value)),
  ),
  sourceLoss: setting(
    'SLUICE_SOURCE_LOSS',
    'stop',
    'Kafka: `stop` parks where records were deleted before they were read, `continue` reports how many and goes on',
    oneOf(AFTER_LOSS),
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
    text(
      // S3 allows 1,024 bytes for a key; what follows the prefix takes up to 90.
      /^(?!.{901})(?:[\w.=-]+(\/[\w.=-]+)*)?$/,
      'must be folder names joined by /, without a / at either end, 900 characters at most',
    ),
  ),
  columns: setting(
    'SLUICE_COLUMNS',
    DEFAULT_COLUMNS,
    'columns of the CSV: `name=path` pairs joined by commas; `name` alone is short for `name=name`; the path `sluice.key` is what makes the row itself',
    parseColumns,
  ),
  objectAcl: setting(
    'SLUICE_OBJECT_ACL',
    '',
    'canned ACL of every object; empty: none is sent, as buckets with ACLs disabled want it',
    (value) => (value === '' ? undefined : oneOf(OBJECT_ACLS)(value)),
  ),
  escapeFormulas: setting(
    'SLUICE_ESCAPE_FORMULAS',
    'false',
    "`true` puts a `'` before texts that a spreadsheet would run as a formula; numbers stay as they are",
    (value) => oneOf(['true', 'false'])(value) === 'true',
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
  heartbeatTimeout: setting(
    'SLUICE_HEARTBEAT_TIMEOUT',
    '15s',
    "how long after its worker's death a stint goes on elsewhere; without an answer of Temporal it sends for two thirds of it",
    wholeSeconds(3, 300),
  ),
} as const;

/** A row that waits longer than the visibility timeout is received again each time; more often than this is waste. */
const MOST_RECEIVES_OF_A_ROW = 30;

/**
 * Reads and validates every setting of a pipeline once.
 *
 * @param environment usually `process.env`; an empty text counts as not set
 * @throws {@link SettingsError} naming each setting that is wrong, its rule and the value it has
 */
export function loadPipeline(environment: Environment): PipelineDefinition {
  const { read, problems } = reader(environment);
  const since = read(SETTINGS.sourceSince);
  const acl = read(SETTINGS.objectAcl);
  const key = read(SETTINGS.sourceKey);
  const offsets = read(SETTINGS.sourceOffsets);
  const afterLoss = read(SETTINGS.sourceLoss);
  const definition: PipelineDefinition = {
    name: read(SETTINGS.pipeline),
    source: {
      url: read(SETTINGS.sourceUrl),
      ...(since === undefined ? {} : { since }),
      contact: read(SETTINGS.contact),
      ...(key === '' ? {} : { key }),
      ...(offsets === undefined ? {} : { offsets }),
      ...(afterLoss === 'stop' ? {} : { afterLoss }),
    },
    queue: { name: read(SETTINGS.queue), visibilityTimeoutSeconds: read(SETTINGS.visibilityTimeout) },
    lake: {
      bucket: read(SETTINGS.bucket),
      prefix: read(SETTINGS.prefix),
      columns: read(SETTINGS.columns),
      ...(acl === undefined ? {} : { acl }),
      escapeFormulas: read(SETTINGS.escapeFormulas),
    },
    batch: { rows: read(SETTINGS.batchRows), flushAfterSeconds: read(SETTINGS.flushAfter) },
    windowKeys: read(SETTINGS.window),
    drainQuietSeconds: read(SETTINGS.drainQuiet),
    heartbeatTimeoutSeconds: read(SETTINGS.heartbeatTimeout),
  };
  refuse(problems.length === 0 ? pairProblems(definition) : problems);
  return definition;
}

/** Settings that are right by themselves and can't be together. */
function pairProblems({ batch, windowKeys, queue, source }: PipelineDefinition): string[] {
  const problems: string[] = [];
  if (!isKafkaUrl(source.url)) {
    const { sourceOffsets, sourceLoss } = SETTINGS;
    const given = [
      source.offsets === undefined ? [] : sourceOffsets.name,
      source.afterLoss === undefined ? [] : sourceLoss.name,
    ].flat();
    if (given.length > 0) {
      problems.push(
        `${given.join(', ')} is for Kafka topics only, and ${SETTINGS.sourceUrl.name} is ${source.url}`,
      );
    }
  }
  if (windowKeys < STINTS_PER_WINDOW * batch.rows) {
    problems.push(
      `${SETTINGS.window.name} must be at least ${STINTS_PER_WINDOW} times ${SETTINGS.batchRows.name}, since a stint is a ` +
        `third of the window and fills a batch at least; they are ${windowKeys} and ${batch.rows}`,
    );
  }
  if (batch.flushAfterSeconds > MOST_RECEIVES_OF_A_ROW * queue.visibilityTimeoutSeconds) {
    problems.push(
      `${SETTINGS.flushAfter.name} must be at most ${MOST_RECEIVES_OF_A_ROW} times ${SETTINGS.visibilityTimeout.name}, since ` +
        `SQS hands a waiting row out again after each; they are ${batch.flushAfterSeconds}s and ${queue.visibilityTimeoutSeconds}s`,
    );
  }
  return problems;
}
