import { printColumns, DEFAULT_COLUMNS, parseColumns } from '../rows/columns';
import {
  isKafkaUrl,
  isSameStream,
  parseKafkaUrl,
  parseOffsets,
  printOffsets,
} from '../sources/kafka/address';
import { AFTER_LOSS, OBJECT_ACLS, type PipelineDefinition, BOUNDS_PER_WINDOW } from '../pipeline/definition';
import {
  type Environment,
  type Notation,
  oneOf,
  onOrOff,
  optional,
  reader,
  refuse,
  seconds,
  text,
  trueOrFalse,
  wholeNumber,
  wholeSeconds,
} from './setting';
import { type Changes, definitionBy, entriesOf, type SettingsTable } from './table';

const HOMEPAGE = 'https://github.com/sluice-pipeline/sluice';

const SOURCE_URL: Notation<string> = {
  parse: (value) => {
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
  },
  print: (url) => url,
};

/** Date.parse alone takes almost anything that has a number in it. */
const ISO_TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** Date.parse takes the 30th of February for the second of March. @param time one that Date.parse takes */
function isOfRealDay(time: string): boolean {
  const [day] = /^\d{4}-\d{2}-\d{2}/.exec(time) ?? [];
  return day === undefined || new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}

/** Epoch milliseconds; undefined is the moment of the first start. */
const BEGINNING: Notation<number | undefined> = {
  parse: (value) => {
    if (value === '' || value === 'latest') return undefined;
    if (value === 'earliest') return 0;
    const time = /^\d{12,13}$/.test(value) ? Number(value) : ISO_TIME.test(value) ? Date.parse(value) : NaN;
    // An offset can lead out of the years that have four digits, and such a time would not come back from its own text.
    if (Number.isNaN(time) || !ISO_TIME.test(new Date(time).toISOString()) || !isOfRealDay(value))
      throw new Error(
        'must be an ISO 8601 time of a day that there is, with its offset, or epoch milliseconds, such as 2026-01-31T12:00:00Z, or earliest or latest',
      );
    return time;
  },
  print: (time) => (time === undefined ? '' : new Date(time).toISOString()),
};

const ALWAYS = { may: 'always' } as const;

const untilRead = (what: string): Changes<unknown> => ({
  may: 'until read',
  why: () => `it has begun to read; for ${what} start a pipeline of another name`,
});

/**
 * Every setting of a pipeline, each where its value stands in the definition. Loading, printing, differences, what an
 * update may change and the README's table come from here.
 */
export const SETTINGS: SettingsTable = {
  name: {
    name: 'SLUICE_PIPELINE',
    fallback: 'recentchange',
    meaning: 'name of the pipeline',
    ...text(/^[\w.-]{1,100}$/, 'must be 1 to 100 letters, digits, dots, dashes or underscores'),
    changes: {
      may: 'never',
      why: (wanted, running) => `this is the pipeline ${running}, not ${wanted}`,
    },
  },
  source: {
    url: {
      name: 'SLUICE_SOURCE_URL',
      fallback: 'https://stream.wikimedia.org/v2/stream/recentchange',
      meaning: 'a Server-Sent Events stream, or a Kafka topic as `kafka://host:9092,host2:9092/topic`',
      ...SOURCE_URL,
      changes: {
        may: 'until read',
        why: (wanted, running) =>
          isSameStream(wanted, running)
            ? undefined
            : `it has read ${running}, and its cursor means nothing in another stream; for ${wanted} ` +
              'start a pipeline of another name',
      },
    },
    since: {
      name: 'SLUICE_SOURCE_SINCE',
      fallback: '',
      meaning:
        'time of the first event wanted (ISO 8601 or epoch milliseconds), or `earliest`; empty or `latest`: the moment of the first start',
      ...BEGINNING,
      changes: untilRead('another SLUICE_SOURCE_SINCE'),
    },
    contact: {
      name: 'SLUICE_CONTACT',
      fallback: HOMEPAGE,
      meaning: 'a page or an e-mail address, sent to the source in the User-Agent',
      ...text(/^[\x21-\x7e][\x20-\x7e]{0,199}$/, 'must be 1 to 200 printable ASCII characters'),
      changes: ALWAYS,
    },
    key: {
      name: 'SLUICE_SOURCE_KEY',
      fallback: '',
      meaning:
        'path in the payload of what makes an event itself, such as `id`; empty: what the source says of it, see "Your own SSE stream" and "From a Kafka topic"; who chooses it can make another event a repeat by stating its key first',
      ...optional(
        text(/^[^\s.]+(\.[^\s.]+)*$/, 'must be names of object members joined by dots, such as meta.id'),
      ),
      // With another key, what is sent again would be a second row.
      changes: untilRead('another SLUICE_SOURCE_KEY'),
    },
    offsets: {
      name: 'SLUICE_SOURCE_OFFSETS',
      fallback: '',
      meaning:
        'Kafka: first offsets wanted, such as `0:1500,1:99`; partitions not named begin as SLUICE_SOURCE_SINCE says',
      ...optional({ parse: parseOffsets, print: printOffsets }),
      changes: untilRead('other SLUICE_SOURCE_OFFSETS'),
    },
    afterLoss: {
      name: 'SLUICE_SOURCE_LOSS',
      fallback: 'stop',
      meaning:
        'Kafka: `stop` parks where records were deleted before they were read, or replaced after it, `continue` reports how many and goes on with what is there',
      ...optional(oneOf(AFTER_LOSS), 'stop'),
      changes: ALWAYS,
    },
  },
  queue: {
    name: {
      name: 'SLUICE_QUEUE',
      fallback: 'sse_queue',
      meaning: 'name of the SQS standard queue',
      ...text(
        /^[\w-]{1,80}$/,
        'must be 1 to 80 letters, digits, dashes or underscores (a standard queue, not .fifo)',
      ),
      changes: {
        may: 'never',
        why: (wanted, running) =>
          `its lane reads the queue ${running}; for ${wanted} start a pipeline of another name`,
      },
    },
    visibilityTimeoutSeconds: {
      name: 'SLUICE_VISIBILITY_TIMEOUT',
      fallback: '2m',
      meaning: 'how long SQS hides a received message (SQS allows 12h at most)',
      ...wholeSeconds(1, 43_200),
      changes: ALWAYS,
    },
  },
  lake: {
    bucket: {
      name: 'SLUICE_BUCKET',
      fallback: 'sse-bucket',
      meaning: 'name of the S3 bucket',
      ...text(
        /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
        'must be an S3 bucket name: 3 to 63 of a-z, 0-9, dots and dashes',
      ),
      changes: ALWAYS,
    },
    prefix: {
      name: 'SLUICE_PREFIX',
      fallback: '',
      meaning: 'folder in the bucket under which everything is written; empty: the bucket itself',
      ...text(
        // S3 allows 1,024 bytes for a key; what follows the prefix takes up to 90.
        /^(?!.{901})(?:[\w.=-]+(\/[\w.=-]+)*)?$/,
        'must be folder names joined by /, without a / at either end, 900 characters at most',
      ),
      changes: ALWAYS,
    },
    columns: {
      name: 'SLUICE_COLUMNS',
      fallback: DEFAULT_COLUMNS,
      meaning:
        'columns of the CSV: `name=path` pairs joined by commas; `name` alone is short for `name=name`; the path `sluice.key` is what makes the row itself, whole',
      parse: parseColumns,
      print: printColumns,
      changes: ALWAYS,
    },
    keyColumn: {
      name: 'SLUICE_KEY_COLUMN',
      fallback: 'on',
      meaning:
        "`on` adds a last column `_key`, sixteen hexadecimal digits of what makes the row itself; `off` leaves it out: then `sluice verify` can't look for repeats",
      ...onOrOff,
      changes: ALWAYS,
    },
    acl: {
      name: 'SLUICE_OBJECT_ACL',
      fallback: '',
      meaning: 'canned ACL of every object; empty: none is sent, as buckets with ACLs disabled want it',
      ...optional(oneOf(OBJECT_ACLS)),
      changes: ALWAYS,
    },
    escapeFormulas: {
      name: 'SLUICE_ESCAPE_FORMULAS',
      fallback: 'false',
      meaning:
        "`true` puts a `'` before texts that a spreadsheet would run as a formula; numbers stay as they are",
      ...trueOrFalse,
      changes: ALWAYS,
    },
  },
  packEvents: {
    name: 'SLUICE_PACK',
    fallback: '100',
    meaning:
      'events in one message at most, sent half a second after the first at the latest; `1` sends each by itself as plain JSON, for other programs that read the queue',
    ...wholeNumber(1, 100),
    changes: ALWAYS,
  },
  batch: {
    rows: {
      name: 'SLUICE_BATCH_ROWS',
      fallback: '100',
      meaning: 'rows of one CSV object',
      ...wholeNumber(1, 1_000),
      changes: ALWAYS,
    },
    flushAfterSeconds: {
      name: 'SLUICE_FLUSH_AFTER',
      fallback: '60s',
      meaning: 'how long a row may wait before an object is written with fewer rows',
      ...seconds(0.1, 86_400),
      changes: ALWAYS,
    },
  },
  windowKeys: {
    name: 'SLUICE_WINDOW',
    fallback: '30000',
    meaning:
      'how many keys already in the lake are remembered, to recognise repeats; ingest is a third of it at most ahead of what it told Temporal',
    ...wholeNumber(100, 60_000),
    changes: ALWAYS,
  },
  drainQuietSeconds: {
    name: 'SLUICE_DRAIN_QUIET',
    fallback: '60s',
    meaning: 'how long the queue must look empty before `stop` is done (counts of real SQS lag by a minute)',
    ...seconds(0, 3_600),
    changes: ALWAYS,
  },
  heartbeatTimeoutSeconds: {
    name: 'SLUICE_HEARTBEAT_TIMEOUT',
    fallback: '15s',
    meaning:
      "how long after its worker's death a stint goes on elsewhere; without an answer of Temporal it sends for two thirds of it",
    ...wholeSeconds(3, 300),
    changes: ALWAYS,
  },
};

/** The same settings one by one, in the order of the table. */
export const EVERY_SETTING = entriesOf(SETTINGS);

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
  const definition = definitionBy(SETTINGS, read);
  refuse(problems.length === 0 ? pairProblems(definition) : problems);
  return definition;
}

/** Settings that are right by themselves and can't be together. */
function pairProblems({ batch, windowKeys, queue, source }: PipelineDefinition): string[] {
  const problems: string[] = [];
  if (!isKafkaUrl(source.url)) {
    const { offsets, afterLoss } = SETTINGS.source;
    const given = [
      source.offsets === undefined ? [] : offsets.name,
      source.afterLoss === undefined ? [] : afterLoss.name,
    ].flat();
    if (given.length > 0) {
      problems.push(
        `${given.join(', ')} is for Kafka topics only, and ${SETTINGS.source.url.name} is ${source.url}`,
      );
    }
  }
  if (windowKeys < BOUNDS_PER_WINDOW * batch.rows) {
    problems.push(
      `${SETTINGS.windowKeys.name} must be at least ${BOUNDS_PER_WINDOW} times ${SETTINGS.batch.rows.name}, since a third ` +
        `of the window may be on its way and fills a batch at least; they are ${windowKeys} and ${batch.rows}`,
    );
  }
  if (batch.flushAfterSeconds > MOST_RECEIVES_OF_A_ROW * queue.visibilityTimeoutSeconds) {
    problems.push(
      `${SETTINGS.batch.flushAfterSeconds.name} must be at most ${MOST_RECEIVES_OF_A_ROW} times ${SETTINGS.queue.visibilityTimeoutSeconds.name}, since ` +
        `SQS hands a waiting row out again after each; they are ${batch.flushAfterSeconds}s and ${queue.visibilityTimeoutSeconds}s`,
    );
  }
  return problems;
}
