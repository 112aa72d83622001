import assert from 'node:assert/strict';
import { generated, scrapedName } from '../scripts/generated-docs';
import { type Metric, METRICS, metersOf, PROCESS_METRICS } from '../src/metrics';

const metrics: Metric[] = Object.values({ ...METRICS, ...PROCESS_METRICS });

interface Recorded {
  name: string;
  value: number;
  tags: Record<string, string> | undefined;
}

/** Keeps what was recorded, in place of an SDK's meter. */
function fakeMeter() {
  const recorded: Recorded[] = [];
  const record = (name: string) => (value: number, tags?: Record<string, string>) =>
    void recorded.push({ name, value, tags });
  return {
    recorded,
    createCounter: (name: string) => ({ add: record(name) }),
    createGauge: (name: string) => ({ set: record(name) }),
  };
}

describe('The metrics', () => {
  it('stand in the documentation as they are declared', () => {
    const { wanted, found } = generated('docs/metrics.md');
    assert.equal(found, wanted, 'run `npm run docs`');
  });

  it('that the documentation asks for are declared', () => {
    const asked = new Set(generated('docs/metrics.md').wanted.match(/\bsluice_\w+/g));
    const declared = new Set(metrics.map(scrapedName));
    assert.deepEqual(
      [...asked].filter((name) => !declared.has(name)),
      [],
    );
  });

  it('have a name of their own each, as Prometheus wants it, and a meaning that fits a table', () => {
    assert.equal(new Set(metrics.map(({ name }) => name)).size, metrics.length);
    for (const { name, labels, meaning } of metrics) {
      assert.match(name, /^sluice_[a-z]+(_[a-z]+)*$/);
      assert.doesNotMatch(name, /_total$/, 'the endpoint adds it');
      assert.match(meaning, /^[^|\n]{10,}$/);
      for (const label of labels) assert.match(label, /^[a-z]+$/);
    }
  });

  it('all carry the pipeline, and their own labels', () => {
    const meter = fakeMeter();
    const meters = metersOf(meter, 'edits');
    meters.rowsWritten(100);
    meters.parked(1, { workflow: 'batch' });
    assert.deepEqual(meter.recorded, [
      { name: 'sluice_rows_written', value: 100, tags: { pipeline: 'edits' } },
      { name: 'sluice_parked', value: 1, tags: { pipeline: 'edits', workflow: 'batch' } },
    ]);
  });

  it('are never less than nothing: the SDK throws at that, and ages are told by two clocks', () => {
    const meter = fakeMeter();
    metersOf(meter, 'edits').holeAge(-0.069, { partition: 't/0' });
    assert.equal(meter.recorded[0]?.value, 0);
  });

  it('leave no gauge behind when whoever measured ends', () => {
    const meter = fakeMeter();
    const meters = metersOf(meter, 'edits');
    meters.rowsWritten(100);
    meters.queueMessages(7, { state: 'visible' });
    meters.queueMessages(8, { state: 'delayed' });
    meters.queueMessages(9, { state: 'visible' });
    meter.recorded.length = 0;
    meters.close();
    meters.queueMessages(10, { state: 'visible' });
    assert.deepEqual(meter.recorded, [
      { name: 'sluice_queue_messages', value: NaN, tags: { pipeline: 'edits', state: 'visible' } },
      { name: 'sluice_queue_messages', value: NaN, tags: { pipeline: 'edits', state: 'delayed' } },
    ]);
  });
});
