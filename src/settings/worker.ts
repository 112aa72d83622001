import { type KafkaAccess, SASL_MECHANISMS, SECURITY_PROTOCOLS } from '../sources/kafka/security';
import { parseBrokers } from '../sources/kafka/address';
import { oneOf, reader, refuse, setting, type Setting, type Environment } from './setting';

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

const LOG_FORMATS = ['auto', 'text', 'json'] as const;
const LOG_LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'] as const;

const hostAndPort = (value: string) => {
  if (value === '') return undefined;
  const port = Number(/^(?:[\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/.exec(value)?.[1]);
  if (!(port >= 1 && port <= 65_535)) {
    throw new Error('must be an address to listen at, as host:port, such as 127.0.0.1:9464');
  }
  return value;
};

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
    oneOf(LOG_FORMATS).parse,
  ),
  logLevel: setting(
    'SLUICE_LOG_LEVEL',
    'INFO',
    'the least that is logged: `TRACE`, `DEBUG`, `INFO`, `WARN` or `ERROR`',
    oneOf(LOG_LEVELS).parse,
  ),
  kafkaSecurityProtocol: setting(
    'SLUICE_KAFKA_SECURITY_PROTOCOL',
    'PLAINTEXT',
    'how to talk to Kafka: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`',
    oneOf(SECURITY_PROTOCOLS).parse,
  ),
  kafkaSaslMechanism: setting(
    'SLUICE_KAFKA_SASL_MECHANISM',
    'PLAIN',
    '`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`',
    oneOf(SASL_MECHANISMS).parse,
  ),
  kafkaSaslUsername: setting('SLUICE_KAFKA_SASL_USERNAME', '', 'name of the login', String),
  kafkaSaslPassword: setting('SLUICE_KAFKA_SASL_PASSWORD', '', 'password of the login', String),
  kafkaSaslTokenFile: setting(
    'SLUICE_KAFKA_SASL_OAUTHBEARER_TOKEN_LOCATION',
    '',
    'file with the token of OAUTHBEARER; read at each login, so that it may be renewed',
    String,
  ),
  kafkaBrokers: setting(
    'SLUICE_KAFKA_BROKERS',
    '',
    'whom a login or certificate is for, such as `host:9092,host2:9092`: no source is read from others; must be set with one',
    (value): KafkaAccess['brokers'] => {
      const brokers = value === '' ? [] : parseBrokers(value);
      if (!brokers) throw new Error('must be brokers, such as host:9092,host2:9092');
      return brokers;
    },
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
    brokers: read(WORKER_SETTINGS.kafkaBrokers),
    caLocation: read(WORKER_SETTINGS.kafkaCaLocation),
    certificateLocation: read(WORKER_SETTINGS.kafkaCertificateLocation),
    keyLocation: read(WORKER_SETTINGS.kafkaKeyLocation),
    keyPassword: read(WORKER_SETTINGS.kafkaKeyPassword),
    groupId: read(WORKER_SETTINGS.kafkaGroupId),
  };
}

function kafkaProblems({ sasl, brokers, certificateLocation, keyLocation }: KafkaAccess): string[] {
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
  if (brokers.length === 0 && (sasl || certificateLocation !== '')) {
    problems.push(
      `${names.kafkaBrokers.name} must name the brokers that the login is for: who may start a pipeline names its brokers, and could name an own one`,
    );
  }
  return problems;
}
