import { type Column, DEFAULT_COLUMNS, parseColumns } from './lake/columns';
import { isKafkaUrl, parseKafkaUrl, parseOffsets } from './sources/kafka/address';

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
    /** Path in the payload of what makes an event itself. Without it the source decides. */
    key?: string;
    /** First offsets wanted, by partition. */
    offsets?: Record<string, number>;
    /** What happens when the source no longer has what the cursor points at. Without it: `stop`. */
    afterLoss?: AfterLoss;
  };
  queue: { name: string; visibilityTimeoutSeconds: number };
  lake: {
    bucket: string;
    prefix: string;
    columns: Column[];
    /** Of every object written. Without it none is sent: new buckets refuse them. */
    acl?: ObjectAcl;
    /** Whether texts that a spreadsheet takes for formulas are marked as text. */
    escapeFormulas: boolean;
  };
  batch: { rows: number; flushAfterSeconds: number };
  /** How many settled keys are recognised as repeats. */
  windowKeys: number;
  /** How long the queue must have looked empty before a stopping lane is drained. */
  drainQuietSeconds: number;
  /** After how long without a heartbeat Temporal takes a stint's worker for dead. */
  heartbeatTimeoutSeconds: number;
}

/** Canned ACLs that an object may have (S3 user guide, "Canned ACL"). */
const OBJECT_ACLS = [
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
] as const;

export type ObjectAcl = (typeof OBJECT_ACLS)[number];

const AFTER_LOSS = ['stop', 'continue'] as const;
export type AfterLoss = (typeof AFTER_LOSS)[number];

/** What a worker process needs to know beside how to reach Temporal and AWS. */
export interface WorkerSettings {
  /** Host and port of the Prometheus endpoint; undefined: none. */
  metricsAddress: string | undefined;
  /** What Temporal knows this process's code by; undefined: no worker versioning. */
  deployment: { name: string; buildId: string } | undefined;
  /** Host and port of the health endpoint; undefined: none. */
  healthAddress: string | undefined;
  logFormat: (typeof LOG_FORMATS)[number];
  logLevel: (typeof LOG_LEVELS)[number];
  kafka: KafkaAccess;
}

/** How a worker reaches Kafka, in the words of Kafka's own clients. Nothing of it is known to workflows. */
export interface KafkaAccess {
  securityProtocol: (typeof SECURITY_PROTOCOLS)[number];
  /** Undefined unless the protocol is one of SASL. */
  sasl:
    | { mechanism: (typeof SASL_MECHANISMS)[number]; username: string; password: string; tokenFile: string }
    | undefined;
  /** PEM files; empty: the authorities that Node trusts, and no certificate of our own. */
  caLocation: string;
  certificateLocation: string;
  keyLocation: string;
  keyPassword: string;
  /** Consumer group under which offsets are committed for others to see; empty: none. */
  groupId: string;
}

const SECURITY_PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'] as const;
const SASL_MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const;

const LOG_FORMATS = ['auto', 'text', 'json'] as const;
const LOG_LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'] as const;

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

const oneOf =
  <const T extends string>(words: readonly T[]) =>
  (value: string): T => {
    const word = words.find((other) => other === value);
    if (word === undefined) throw new Error(`must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`);
    return word;
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
  // Nothing here is finer than a millisecond.
  return Math.round(duration * 1_000) / 1_000;
};

/** SQS takes visibility timeouts in whole seconds. */
const wholeSeconds = (least: number, most: number) => (value: string) => {
  const duration = seconds(least, most)(value);
  if (!Number.isInteger(duration)) throw new Error('must be whole seconds, such as 90s or 2m');
  return duration;
};

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

const hostAndPort = (value: string) => {
  if (value === '') return undefined;
  const port = Number(/^(?:[\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/.exec(value)?.[1]);
  if (!(port >= 1 && port <= 65_535)) {
    throw new Error('must be an address to listen at, as host:port, such as 127.0.0.1:9464');
  }
  return value;
};

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

/** One setting for both, since neither is of use without the other. */
const deploymentVersion = (value: string) => {
  if (value === '') return undefined;
  const [, name, buildId] = /^([\w-]{1,100}):([\w.+-]{1,100})$/.exec(value) ?? [];
  if (name === undefined || buildId === undefined) {
    throw new Error(
      'must be name:build, such as sluice:1f3c9a2, of letters, digits, - and _ (the build also . and +)',
    );
  }
  return { name, buildId };
};

/** Every setting of a worker process, the SDKs' own aside. */
export const WORKER_SETTINGS = {
  metricsAddress: setting(
    'SLUICE_METRICS_ADDRESS',
    '',
    'address of the Prometheus endpoint, such as `127.0.0.1:9464`; empty: none',
    hostAndPort,
  ),
  deployment: setting(
    'SLUICE_WORKER_DEPLOYMENT',
    '',
    "worker versioning: this process's deployment and build, such as `sluice:1f3c9a2`; empty: off",
    deploymentVersion,
  ),
  healthAddress: setting(
    'SLUICE_HEALTH_ADDRESS',
    '',
    'address at which `/health` tells whether the Workers poll, such as `127.0.0.1:9465`; empty: none',
    hostAndPort,
  ),
  logFormat: setting(
    'SLUICE_LOG_FORMAT',
    'auto',
    '`text`, `json`, or `auto`: text on a terminal, JSON elsewhere',
    oneOf(LOG_FORMATS),
  ),
  logLevel: setting(
    'SLUICE_LOG_LEVEL',
    'INFO',
    'the least that is logged: `TRACE`, `DEBUG`, `INFO`, `WARN` or `ERROR`',
    oneOf(LOG_LEVELS),
  ),
  kafkaSecurityProtocol: setting(
    'SLUICE_KAFKA_SECURITY_PROTOCOL',
    'PLAINTEXT',
    'how to talk to Kafka: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`',
    oneOf(SECURITY_PROTOCOLS),
  ),
  kafkaSaslMechanism: setting(
    'SLUICE_KAFKA_SASL_MECHANISM',
    'PLAIN',
    '`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`',
    oneOf(SASL_MECHANISMS),
  ),
  kafkaSaslUsername: setting('SLUICE_KAFKA_SASL_USERNAME', '', 'name of the login', String),
  kafkaSaslPassword: setting('SLUICE_KAFKA_SASL_PASSWORD', '', 'password of the login', String),
  kafkaSaslTokenFile: setting(
    'SLUICE_KAFKA_SASL_OAUTHBEARER_TOKEN_LOCATION',
    '',
    'file with the token of OAUTHBEARER; read at each login, so that it may be renewed',
    String,
  ),
  kafkaCaLocation: setting(
    'SLUICE_KAFKA_SSL_CA_LOCATION',
    '',
    'PEM file of the authorities that sign brokers; empty: those that Node trusts',
    String,
  ),
  kafkaCertificateLocation: setting(
    'SLUICE_KAFKA_SSL_CERTIFICATE_LOCATION',
    '',
    'PEM file of the certificate with which the worker says who it is',
    String,
  ),
  kafkaKeyLocation: setting('SLUICE_KAFKA_SSL_KEY_LOCATION', '', 'PEM file of its key', String),
  kafkaKeyPassword: setting('SLUICE_KAFKA_SSL_KEY_PASSWORD', '', 'password of the key', String),
  kafkaGroupId: setting(
    'SLUICE_KAFKA_GROUP_ID',
    '',
    "consumer group under which offsets are committed, so that Kafka's tools show the lag; never read back; empty: none",
    String,
  ),
} as const;

/** Raised for settings that can't be used; `message` lists every one of them. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Events that a lane's window and a stint share: two stints and what a resumed stream sends again must fit. */
export const STINTS_PER_WINDOW = 3;

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

/**
 * Reads and validates every setting of a worker once.
 *
 * @throws {@link SettingsError} naming each setting that is wrong, its rule and the value it has
 */
export function loadWorkerSettings(environment: Environment): WorkerSettings {
  const { read, problems } = reader(environment);
  const settings = {
    metricsAddress: read(WORKER_SETTINGS.metricsAddress),
    deployment: read(WORKER_SETTINGS.deployment),
    healthAddress: read(WORKER_SETTINGS.healthAddress),
    logFormat: read(WORKER_SETTINGS.logFormat),
    logLevel: read(WORKER_SETTINGS.logLevel),
    kafka: readKafkaAccess(read),
  };
  refuse(problems.length === 0 ? kafkaProblems(settings.kafka) : problems);
  return settings;
}

function readKafkaAccess(read: <T>(setting: Setting<T>) => T): KafkaAccess {
  const securityProtocol = read(WORKER_SETTINGS.kafkaSecurityProtocol);
  const sasl = {
    mechanism: read(WORKER_SETTINGS.kafkaSaslMechanism),
    username: read(WORKER_SETTINGS.kafkaSaslUsername),
    password: read(WORKER_SETTINGS.kafkaSaslPassword),
    tokenFile: read(WORKER_SETTINGS.kafkaSaslTokenFile),
  };
  return {
    securityProtocol,
    sasl: securityProtocol.startsWith('SASL_') ? sasl : undefined,
    caLocation: read(WORKER_SETTINGS.kafkaCaLocation),
    certificateLocation: read(WORKER_SETTINGS.kafkaCertificateLocation),
    keyLocation: read(WORKER_SETTINGS.kafkaKeyLocation),
    keyPassword: read(WORKER_SETTINGS.kafkaKeyPassword),
    groupId: read(WORKER_SETTINGS.kafkaGroupId),
  };
}

function kafkaProblems({ sasl, certificateLocation, keyLocation }: KafkaAccess): string[] {
  const { kafkaSaslUsername, kafkaSaslPassword, kafkaSaslTokenFile, ...names } = WORKER_SETTINGS;
  const problems: string[] = [];
  if (sasl?.mechanism === 'OAUTHBEARER' && sasl.tokenFile === '') {
    problems.push(`${kafkaSaslTokenFile.name} must be set for OAUTHBEARER`);
  }
  if (sasl && sasl.mechanism !== 'OAUTHBEARER' && (sasl.username === '' || sasl.password === '')) {
    problems.push(
      `${kafkaSaslUsername.name} and ${kafkaSaslPassword.name} must be set for ${sasl.mechanism}`,
    );
  }
  if ((certificateLocation === '') !== (keyLocation === '')) {
    problems.push(
      `${names.kafkaCertificateLocation.name} and ${names.kafkaKeyLocation.name} must both be set, or neither`,
    );
  }
  return problems;
}

/** Reads settings one by one, and collects what is wrong with them. */
function reader(environment: Environment) {
  const problems: string[] = [];
  const read = <T>({ name, fallback, parse }: Setting<T>): T => {
    const value = environment[name]?.trim() || fallback;
    try {
      return parse(value);
    } catch (error) {
      problems.push(
        `${name} ${error instanceof Error ? error.message : String(error)}; it is ${JSON.stringify(withoutPassword(value))}`,
      );
      // Never used: the list of problems is thrown at the end. The default keeps the type honest.
      return parse(fallback);
    }
  };
  return { read, problems };
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new SettingsError(problems.join('\n'));
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

/** A URL's user name and password, where one has them in whatever way, must not reach a log. */
function withoutPassword(value: string): string {
  return value.replace(/^([a-z][\w+.-]*:[\\/]*).*@/is, '$1***@');
}
