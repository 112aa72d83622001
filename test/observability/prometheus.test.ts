import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeleteQueueCommand, GetQueueUrlCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { freePort, HOST } from '../../local/ports';
import { packageRoot } from '../../src/package-root';
import { encodeMessage, attributeValues, type OutgoingMessage } from '../../src/queue/message';
import { Pipeline } from '../end-to-end/pipeline';
import { eventually } from '../support/eventually';
import { findPrometheus, Prometheus, promtool, type Rule } from './prometheus';

const EVENTS = 240;
const DASHBOARD = join(packageRoot, 'deploy/grafana/dashboards/sluice.json');

interface Panel {
  type: string;
  title: string;
  description?: string;
  fieldConfig?: { defaults: { unit?: string } };
  targets?: { expr: string }[];
}

const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as {
  panels: Panel[];
  templating: { list: { name: string }[] };
};
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));

/** As Grafana fills them in: one pipeline chosen, and a range of several scrapes. */
function filled(expression: string): string {
  const text = expression.replaceAll('$pipeline', 'recentchange').replaceAll('$__rate_interval', '2m');
  assert.doesNotMatch(text, /\$/, 'a variable that this test does not know');
  return text;
}

/**
 * The selectors of an expression, by what this project's names look like. Those of ranges as well, without the range.
 * Labels between parentheses, as of `by` and `on`, are no metrics.
 */
function selectors(expression: string): string[] {
  return [...new Set(expression.match(/\b(?:sluice[_:]\w+|temporal_\w+|up\b)(?:\{[^}]*\})?/g))];
}

describe('Prometheus rules and dashboard (skipped where there is no Prometheus on PATH)', function () {
  this.timeout(600_000);
  const endings: (() => Promise<unknown>)[] = [];
  let tools: NonNullable<ReturnType<typeof findPrometheus>>;
  let prometheus: Prometheus;
  let rules: Rule[];

  before(async function () {
    const found = findPrometheus();
    if (!found) {
      console.log('  skipped: no prometheus and promtool on PATH; CONTRIBUTING.md says how to have them');
      this.skip();
    }
    tools = found;
    const folder = await mkdtemp(join(tmpdir(), 'sluice-prometheus-'));
    endings.push(() => rm(folder, { recursive: true, force: true }));
    const address = `${HOST}:${await freePort()}`;
    prometheus = await Prometheus.start(tools.prometheus, folder, address);
    endings.push(() => prometheus.stop());
    await runPipeline(address);
    await eventually('the rules are evaluated', async () =>
      (await prometheus.rules()).every(({ health }) => health !== 'unknown'),
    );
    rules = await prometheus.rules();
  });

  after(async () => {
    for (const end of endings.toReversed()) await end();
  });

  /** A run in which everything that is counted happens at least once, the dead ends too. */
  async function runPipeline(address: string): Promise<void> {
    const pipeline = await Pipeline.create(
      { seed: 17, events: EVENTS, broken: 6, ratePerSecond: 30, cutAfterEvents: [60, 100] },
      {
        SLUICE_BATCH_ROWS: '20',
        SLUICE_FLUSH_AFTER: '1s',
        SLUICE_VISIBILITY_TIMEOUT: '8s',
        SLUICE_METRICS_ADDRESS: address,
      },
    );
    endings.push(() => pipeline.close());
    const { ledger } = pipeline.stream;
    await pipeline.sluice('provision');
    const sqs = new SQSClient(clientOptions(pipeline));
    endings.push(async () => sqs.destroy());
    const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: 'sse_queue' }));
    const send = async (message: OutgoingMessage) =>
      await sqs.send(
        new SendMessageCommand({
          QueueUrl,
          MessageBody: message.body,
          MessageAttributes: attributeValues(message),
        }),
      );
    // Another pipeline loses its queue before a worker sees it: activities fail, AWS says no, and it parks.
    const broken = { SLUICE_PIPELINE: 'broken', SLUICE_QUEUE: 'broken_queue' };
    await pipeline.sluiceWith(broken, 'provision');
    await pipeline.sluiceWith(broken, 'start');
    const lost = await sqs.send(new GetQueueUrlCommand({ QueueName: broken.SLUICE_QUEUE }));
    await sqs.send(new DeleteQueueCommand({ QueueUrl: lost.QueueUrl }));
    await pipeline.sluice('start');
    pipeline.startWorker();
    await eventually('some events', () => ledger.published.length >= 50);
    pipeline.stream.withhold(2);
    const [again] = ledger.published;
    assert.ok(again);
    await send(encodeMessage({ ...again, key: `payload:${again.key}` }));
    await send(encodeMessage({ key: 'a-key', text: 'another program sent this' }));
    await pipeline.stream.published;
    await eventually('all in the lake', async () => (await pipeline.audit()).missing.length === 0);
  }

  for (const { title, description, targets = [], fieldConfig } of panels) {
    it(`the panel "${title}" has a unit, a description, and data for each query`, async () => {
      assert.match(fieldConfig?.defaults.unit ?? '', /^\w+$/);
      assert.match(description ?? '', /^.{15,}\.$/);
      assert.ok(targets.length > 0);
      for (const { expr } of targets) {
        await eventually(`data for ${expr}`, async () => {
          const samples = await prometheus.query(filled(expr));
          return samples.some(({ value }) => !Number.isNaN(value));
        });
      }
    });
  }

  it('the dashboard asks for nothing that no query uses', () => {
    for (const { name } of dashboard.templating.list.filter(({ name }) => name !== 'datasource')) {
      assert.ok(
        queries.some(({ expr }) => expr.includes(`$${name}`)),
        `$${name}`,
      );
    }
  });

  it('each rule is evaluated without an error, and each series that it selects is there', async () => {
    assert.ok(rules.length > 10);
    for (const { name, query, health, lastError } of rules) {
      assert.equal(health, 'ok', `${name}: ${lastError}`);
      assert.ok(selectors(query).length > 0, name);
      for (const selector of selectors(query)) {
        await eventually(`${name} selects ${selector}, which a worker has`, async () => {
          const samples = await prometheus.query(`last_over_time(${selector}[15m])`);
          return samples.length > 0;
        });
      }
    }
  });

  it('alerts see what happened: the source passed over two events, and a pipeline is parked', async () => {
    for (const wanted of ['SluiceHoles', 'SluiceParked']) {
      await eventually(`${wanted} is about to fire`, async () =>
        (await prometheus.rules()).some(({ name, state }) => name === wanted && state === 'pending'),
      );
    }
    // A scrape may fail once, where the worker has to wait for its turn.
    await eventually('SluiceNoWorker is silent', async () =>
      (await prometheus.rules()).some(({ name, state }) => name === 'SluiceNoWorker' && state === 'inactive'),
    );
  });

  it('each alert fires when it must and is silent when it must not', async () => {
    await promtool(tools.promtool, 'check', 'config', 'prometheus.yml');
    assert.match(await promtool(tools.promtool, 'test', 'rules', 'alerts.test.yml'), /SUCCESS/);
    const tested = readFileSync(join(packageRoot, 'deploy/prometheus/alerts.test.yml'), 'utf8');
    for (const { name } of rules.filter(({ type }) => type === 'alerting')) {
      assert.ok(tested.includes(`alertname="${name}"`), `${name} has no test in which it fires`);
    }
  });
});

function clientOptions({ s3, motoUrl }: Pipeline) {
  const { region, credentials } = s3.config;
  return { endpoint: motoUrl, region, credentials };
}
