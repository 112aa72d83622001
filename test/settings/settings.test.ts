import assert from 'node:assert/strict';
import { generated } from '../../scripts/generated-docs';
import { EVERY_SETTING, loadPipeline } from '../../src/settings/pipeline';
import { loadWorkerSettings, WORKER_SETTINGS } from '../../src/settings/worker';
import { SettingsError } from '../../src/settings/setting';
import { DEFAULT_COLUMNS, parseColumns } from '../../src/rows/columns';

/** @returns what is wrong, a line for each setting */
function problems(
  environment: Record<string, string>,
  load: (environment: Record<string, string>) => unknown = loadPipeline,
): string[] {
  try {
    load(environment);
  } catch (error) {
    assert(error instanceof SettingsError);
    return error.message.split('\n');
  }
  return [];
}

const PLAIN_KAFKA = {
  securityProtocol: 'PLAINTEXT',
  sasl: undefined,
  brokers: [],
  caLocation: '',
  certificateLocation: '',
  keyLocation: '',
  keyPassword: '',
  groupId: '',
};

describe('The settings', () => {
  it('have defaults with which everything starts', () => {
    assert.deepEqual(loadPipeline({}), {
      name: 'recentchange',
      source: {
        url: 'https://stream.wikimedia.org/v2/stream/recentchange',
        contact: 'https://github.com/sluice-pipeline/sluice',
      },
      queue: { name: 'sse_queue', visibilityTimeoutSeconds: 120 },
      lake: {
        bucket: 'sse-bucket',
        prefix: '',
        columns: parseColumns(DEFAULT_COLUMNS),
        keyColumn: true,
        escapeFormulas: false,
      },
      packEvents: 100,
      batch: { rows: 100, flushAfterSeconds: 60 },
      windowKeys: 30_000,
      drainQuietSeconds: 60,
      heartbeatTimeoutSeconds: 15,
    });
  });

  it('come from the environment', () => {
    const environment = {
      SLUICE_PIPELINE: 'edits.v2',
      SLUICE_SOURCE_URL: 'http://127.0.0.1:8080/stream?x=1',
      SLUICE_SOURCE_SINCE: '2026-01-31T12:00:00Z',
      SLUICE_CONTACT: 'me@example.org',
      SLUICE_QUEUE: 'edits-queue',
      SLUICE_BUCKET: 'my.lake-1',
      SLUICE_PREFIX: 'raw/source=wiki',
      SLUICE_COLUMNS: 'id=meta.id,title',
      SLUICE_KEY_COLUMN: 'off',
      SLUICE_OBJECT_ACL: 'bucket-owner-full-control',
      SLUICE_ESCAPE_FORMULAS: 'true',
      SLUICE_PACK: '8',
      SLUICE_BATCH_ROWS: '10',
      SLUICE_FLUSH_AFTER: '90s',
      SLUICE_VISIBILITY_TIMEOUT: '12h',
      SLUICE_WINDOW: '100',
      SLUICE_DRAIN_QUIET: '1m',
      SLUICE_HEARTBEAT_TIMEOUT: '20s',
      SLUICE_SOURCE_KEY: 'order.id',
    };
    assert.deepEqual(loadPipeline(environment), {
      name: 'edits.v2',
      source: {
        url: 'http://127.0.0.1:8080/stream?x=1',
        since: Date.UTC(2026, 0, 31, 12),
        contact: 'me@example.org',
        key: 'order.id',
      },
      queue: { name: 'edits-queue', visibilityTimeoutSeconds: 43_200 },
      lake: {
        bucket: 'my.lake-1',
        prefix: 'raw/source=wiki',
        columns: [
          { name: 'id', path: 'meta.id' },
          { name: 'title', path: 'title' },
        ],
        keyColumn: false,
        acl: 'bucket-owner-full-control',
        escapeFormulas: true,
      },
      packEvents: 8,
      batch: { rows: 10, flushAfterSeconds: 90 },
      windowKeys: 100,
      drainQuietSeconds: 60,
      heartbeatTimeoutSeconds: 20,
    });
  });

  it('count as not set when they are empty or blank, and lose the blanks around them', () => {
    const { queue, batch, source } = loadPipeline({
      SLUICE_QUEUE: '',
      SLUICE_BATCH_ROWS: '  ',
      SLUICE_CONTACT: ' me@example.org\n',
    });
    assert.deepEqual([queue.name, batch.rows, source.contact], ['sse_queue', 100, 'me@example.org']);
  });

  it('that are wrong are told all at once, each with its name, its rule and its value', () => {
    assert.deepEqual(problems({ SLUICE_QUEUE: 'a.fifo', SLUICE_BATCH_ROWS: '0', SLUICE_FLUSH_AFTER: '60' }), [
      'SLUICE_QUEUE must be 1 to 80 letters, digits, dashes or underscores (a standard queue, not .fifo); it is "a.fifo"',
      'SLUICE_BATCH_ROWS must be a whole number from 1 to 1000; it is "0"',
      'SLUICE_FLUSH_AFTER must be a number with its unit (ms, s, m or h), such as 90s or 2m, from 0.1s to 86400s; it is "60"',
    ]);
  });

  const wrong: Record<string, readonly string[]> = {
    SLUICE_PIPELINE: ['a b', 'a/b', 'x'.repeat(101)],
    SLUICE_SOURCE_URL: ['stream.wikimedia.org', 'ftp://example.org/', 'http://'],
    SLUICE_SOURCE_SINCE: [
      'yesterday',
      'yesterday 5',
      '5',
      '1769860800',
      '2026-13-45',
      '2026-02-30',
      '2026-02-29T00:00:00Z',
      '2026-04-31T12:00:00+02:00',
      '31-01-2026',
      '2026-01-31T12:00',
      '9'.repeat(20),
    ],
    SLUICE_CONTACT: ['é', 'two\nlines', 'x'.repeat(201)],
    SLUICE_QUEUE: ['with space', 'x'.repeat(81)],
    SLUICE_BUCKET: ['ab', 'Upper', '-dash', 'dash-', 'x'.repeat(64)],
    SLUICE_PREFIX: ['/a', 'a/', 'a//b', 'a b', 'x'.repeat(901)],
    SLUICE_OBJECT_ACL: ['public', 'PRIVATE'],
    SLUICE_ESCAPE_FORMULAS: ['yes', '1', 'TRUE'],
    SLUICE_KEY_COLUMN: ['yes', 'ON', 'false'],
    SLUICE_COLUMNS: ['a,a', 'a=b=c', 'a,,b', 'a,_key', '_KEY=id'],
    SLUICE_BATCH_ROWS: ['1001', '1.5', '-1', '1e2', 'ten', '0x10'],
    SLUICE_FLUSH_AFTER: ['0s', '99ms', '25h', '90', '-5s', '5 parsecs', 's', '1m30s', '1 m'],
    SLUICE_VISIBILITY_TIMEOUT: ['0s', '13h', '120'],
    SLUICE_WINDOW: ['99', '60001'],
    SLUICE_DRAIN_QUIET: ['2h', '60'],
  };
  for (const [name, values] of Object.entries(wrong)) {
    it(`refuse what ${name} can't be`, () => {
      for (const value of values) {
        const [problem = '', ...others] = problems({ [name]: value });
        assert.deepEqual(others, []);
        assert(problem.startsWith(`${name} must `), `${value}: ${problem}`);
        assert(problem.endsWith(`; it is ${JSON.stringify(value)}`), problem);
      }
    });
  }

  it('that are right alone and impossible together are refused, all at once', () => {
    assert.deepEqual(
      problems({
        SLUICE_WINDOW: '2999',
        SLUICE_BATCH_ROWS: '1000',
        SLUICE_FLUSH_AFTER: '1h',
        SLUICE_VISIBILITY_TIMEOUT: '119s',
      }),
      [
        'SLUICE_WINDOW must be at least 3 times SLUICE_BATCH_ROWS, since a third of the window may be on its way and ' +
          'fills a batch at least; they are 2999 and 1000',
        'SLUICE_FLUSH_AFTER must be at most 30 times SLUICE_VISIBILITY_TIMEOUT, since SQS hands a waiting row out again after ' +
          'each; they are 3600s and 119s',
      ],
    );
    assert.deepEqual(problems({ SLUICE_WINDOW: '3000', SLUICE_BATCH_ROWS: '1000' }), []);
    assert.deepEqual(problems({ SLUICE_FLUSH_AFTER: '1h', SLUICE_VISIBILITY_TIMEOUT: '2m' }), []);
  });

  it('refuse a URL with a password, and do not show it', () => {
    for (const url of ['https://user:secret@example.org/', 'https://secret@example.org/']) {
      assert.deepEqual(problems({ SLUICE_SOURCE_URL: url }), [
        'SLUICE_SOURCE_URL must not hold a user name or password; it is "https://***@example.org/"',
      ]);
    }
  });

  it('show no password of a URL, in whatever way it is written', () => {
    const urls = [
      'https://user:pa/secret@host/',
      'https:user:secret@host/',
      'https:\\\\user:secret@host/x',
      'user:secret@host',
    ];
    for (const url of urls) {
      const [problem = ''] = problems({ SLUICE_SOURCE_URL: url });
      assert(problem.startsWith('SLUICE_SOURCE_URL must') && !problem.includes('secret'), problem);
    }
  });

  it('take a time as epoch milliseconds, as a day or with an offset', () => {
    const sinceOf = (value: string) => loadPipeline({ SLUICE_SOURCE_SINCE: value }).source.since;
    assert.equal(sinceOf('1769860800000'), 1_769_860_800_000);
    assert.equal(sinceOf('2026-01-31'), Date.UTC(2026, 0, 31));
    assert.equal(sinceOf('2028-02-29'), Date.UTC(2028, 1, 29));
    assert.equal(sinceOf('2026-03-01T00:30+01:00'), Date.UTC(2026, 1, 28, 23, 30));
    assert.equal(sinceOf('2026-01-31T13:30+01:00'), Date.UTC(2026, 0, 31, 12, 30));
    assert.equal(sinceOf('2026-01-31T12:00:00.250Z'), Date.UTC(2026, 0, 31, 12, 0, 0, 250));
  });

  it('have defaults that follow their own rules, and a meaning each', () => {
    const settings = [...EVERY_SETTING.map(({ setting }) => setting), ...Object.values(WORKER_SETTINGS)];
    for (const { name, fallback, meaning, parse } of settings) {
      assert.doesNotThrow(() => parse(fallback), name);
      assert.match(name, /^SLUICE_[A-Z_]+$/);
      assert(meaning.length > 10, name);
    }
  });

  it('stand in the README as they are declared', () => {
    const { wanted, found } = generated('README.md');
    assert.equal(found, wanted, 'run `npm run docs`');
  });

  describe('of a Kafka topic', () => {
    const topic = { SLUICE_SOURCE_URL: 'kafka://one:9092,two/wiki.changes' };

    it('say which key, which offsets, and what happens after a loss', () => {
      const settings = {
        ...topic,
        SLUICE_SOURCE_SINCE: 'earliest',
        SLUICE_SOURCE_KEY: 'meta.id',
        SLUICE_SOURCE_OFFSETS: '0:15,7:0',
        SLUICE_SOURCE_LOSS: 'continue',
      };
      const { source } = loadPipeline(settings);
      assert.deepEqual(
        { ...source, contact: '' },
        {
          url: topic.SLUICE_SOURCE_URL,
          since: 0,
          contact: '',
          key: 'meta.id',
          offsets: { 0: 15, 7: 0 },
          afterLoss: 'continue',
        },
      );
      assert.equal(loadPipeline({ ...topic, SLUICE_SOURCE_SINCE: 'latest' }).source.since, undefined);
    });

    it('are refused where they mean nothing', () => {
      assert.match(
        problems({ SLUICE_SOURCE_OFFSETS: '0:1', SLUICE_SOURCE_LOSS: 'continue' }).join(),
        /^SLUICE_SOURCE_OFFSETS, SLUICE_SOURCE_LOSS is for Kafka topics only, and SLUICE_SOURCE_URL is https:/,
      );
    });

    it('hold no password', () => {
      assert.match(
        problems({ SLUICE_SOURCE_URL: 'kafka://alice:secret@one:9092/t' }).join(),
        /^SLUICE_SOURCE_URL must not hold a user name or password.*it is "kafka:\/\/\*\*\*@one:9092\/t"$/,
      );
    });
  });

  describe('of a worker process', () => {
    it('have defaults: no metrics, no versioning, and logs for whoever reads them', () => {
      assert.deepEqual(loadWorkerSettings({}), {
        metricsAddress: undefined,
        deployment: undefined,
        healthAddress: undefined,
        logFormat: 'auto',
        logLevel: 'INFO',
        kafka: PLAIN_KAFKA,
      });
    });

    it('come from the environment', () => {
      assert.deepEqual(
        loadWorkerSettings({
          SLUICE_METRICS_ADDRESS: '[::1]:9464',
          SLUICE_WORKER_DEPLOYMENT: 'sluice:1.2.3+4-a',
          SLUICE_LOG_FORMAT: 'json',
          SLUICE_LOG_LEVEL: 'DEBUG',
        }),
        {
          metricsAddress: '[::1]:9464',
          deployment: { name: 'sluice', buildId: '1.2.3+4-a' },
          healthAddress: undefined,
          logFormat: 'json',
          logLevel: 'DEBUG',
          kafka: PLAIN_KAFKA,
        },
      );
      for (const metricsAddress of ['localhost:9464', '0.0.0.0:1', 'worker-1.internal:65535']) {
        assert.deepEqual(
          loadWorkerSettings({ SLUICE_METRICS_ADDRESS: metricsAddress }).metricsAddress,
          metricsAddress,
        );
      }
    });

    it('say how Kafka is reached, in the words of its own clients', () => {
      const { kafka } = loadWorkerSettings({
        SLUICE_KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
        SLUICE_KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
        SLUICE_KAFKA_SASL_USERNAME: 'alice',
        SLUICE_KAFKA_SASL_PASSWORD: 'secret',
        SLUICE_KAFKA_BROKERS: 'one, [::1]:9093',
        SLUICE_KAFKA_SSL_CA_LOCATION: '/etc/ca.pem',
        SLUICE_KAFKA_GROUP_ID: 'sluice',
      });
      assert.deepEqual(kafka, {
        ...PLAIN_KAFKA,
        securityProtocol: 'SASL_SSL',
        sasl: { mechanism: 'SCRAM-SHA-512', username: 'alice', password: 'secret', tokenFile: '' },
        brokers: [
          { host: 'one', port: 9092 },
          { host: '::1', port: 9093 },
        ],
        caLocation: '/etc/ca.pem',
        groupId: 'sluice',
      });
    });

    it('of a login must be whole', () => {
      const sasl = { SLUICE_KAFKA_SECURITY_PROTOCOL: 'SASL_PLAINTEXT', SLUICE_KAFKA_BROKERS: 'one:9092' };
      assert.deepEqual(problems({ ...sasl, SLUICE_KAFKA_SASL_PASSWORD: 'secret' }, loadWorkerSettings), [
        'SLUICE_KAFKA_SASL_USERNAME and SLUICE_KAFKA_SASL_PASSWORD must be set for PLAIN',
      ]);
      assert.deepEqual(
        problems({ ...sasl, SLUICE_KAFKA_SASL_MECHANISM: 'OAUTHBEARER' }, loadWorkerSettings),
        ['SLUICE_KAFKA_SASL_OAUTHBEARER_TOKEN_LOCATION must be set for OAUTHBEARER'],
      );
      assert.deepEqual(problems({ SLUICE_KAFKA_SSL_KEY_LOCATION: 'key.pem' }, loadWorkerSettings), [
        'SLUICE_KAFKA_SSL_CERTIFICATE_LOCATION and SLUICE_KAFKA_SSL_KEY_LOCATION must both be set, or neither',
      ]);
    });

    it('of a login must name the brokers that it is for', () => {
      const login = {
        SLUICE_KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
        SLUICE_KAFKA_SASL_USERNAME: 'alice',
        SLUICE_KAFKA_SASL_PASSWORD: 'secret',
      };
      const certificate = {
        SLUICE_KAFKA_SECURITY_PROTOCOL: 'SSL',
        SLUICE_KAFKA_SSL_CERTIFICATE_LOCATION: 'own.pem',
        SLUICE_KAFKA_SSL_KEY_LOCATION: 'key.pem',
      };
      for (const environment of [login, certificate]) {
        assert.match(
          problems(environment, loadWorkerSettings).join(),
          /^SLUICE_KAFKA_BROKERS must name the brokers that the login is for/,
        );
      }
      assert.deepEqual(problems({ ...login, SLUICE_KAFKA_BROKERS: 'one:9092,:' }, loadWorkerSettings), [
        'SLUICE_KAFKA_BROKERS must be brokers, such as host:9092,host2:9092; it is "one:9092,:"',
      ]);
    });

    it('that are wrong are told all at once, each with its name, its rule and its value', () => {
      const environment = {
        SLUICE_METRICS_ADDRESS: '9464',
        SLUICE_WORKER_DEPLOYMENT: 'sluice',
        SLUICE_LOG_FORMAT: 'xml',
        SLUICE_LOG_LEVEL: 'info',
      };
      assert.deepEqual(problems(environment, loadWorkerSettings), [
        'SLUICE_METRICS_ADDRESS must be an address to listen at, as host:port, such as 127.0.0.1:9464; it is "9464"',
        'SLUICE_WORKER_DEPLOYMENT must be name:build, such as sluice:1f3c9a2, of letters, digits, - and _ (the build also . and +); it is "sluice"',
        'SLUICE_LOG_FORMAT must be auto, text or json; it is "xml"',
        'SLUICE_LOG_LEVEL must be TRACE, DEBUG, INFO, WARN or ERROR; it is "info"',
      ]);
      for (const address of [':9464', 'localhost', 'localhost:0', 'localhost:65536', '::1:9464', 'a b:1']) {
        assert.equal(problems({ SLUICE_METRICS_ADDRESS: address }, loadWorkerSettings).length, 1, address);
      }
    });
  });
});
