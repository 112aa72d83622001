import assert from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import type { LogEntry } from '@temporalio/worker';
import { logLine } from '../../src/workers/log-line';

/** Clears a screen, rings, turns red, and reads backwards from there on. */
const STEERING = '\u001B[2J\u0007\u009B31m\u202Egpj.\u2066';

const UNPRINTABLE = /[^\P{Cc}\n]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

const timestampNanos = BigInt(Date.UTC(2026, 0, 31, 12, 0, 0, 250)) * 1_000_000n;

/** As a workflow's log has it. */
const batchWritten: LogEntry = {
  level: 'INFO',
  message: 'Batch written',
  timestampNanos,
  meta: {
    sdkComponent: 'workflow',
    taskQueue: 'sluice-batch',
    namespace: 'default',
    workflowId: 'sluice-batch/123456789012/us-east-1/sse_queue',
    runId: '01a20569-bef4-7822-99d2-788a82232267',
    workflowType: 'batch',
    sequence: 7,
    object: 'date=2026-01-31/hour=12/batch-1a2b3c4d-0000000007-35699eac8ed13df6.csv',
    rows: 100,
    bytes: 41_234,
  },
};

function entry(meta: LogEntry['meta'], others: Partial<LogEntry> = {}): LogEntry {
  return { level: 'WARN', message: 'A poll failed', timestampNanos, ...(meta ? { meta } : {}), ...others };
}

function parsed(meta: LogEntry['meta']): Record<string, unknown> {
  return JSON.parse(logLine('json', entry(meta))) as Record<string, unknown>;
}

function shown(meta: LogEntry['meta'], others?: Partial<LogEntry>): string {
  return logLine('text', entry(meta, others));
}

describe('A log line', () => {
  describe('as text', () => {
    it('has the time, the level, the message, its own attributes and which workflow', () => {
      assert.equal(
        logLine('text', batchWritten),
        '2026-01-31T12:00:00.250Z INFO  Batch written sequence=7 ' +
          'object=date=2026-01-31/hour=12/batch-1a2b3c4d-0000000007-35699eac8ed13df6.csv rows=100 bytes=41234 ' +
          'workflowId=sluice-batch/123456789012/us-east-1/sse_queue\n',
      );
    });

    it('says which activity and which attempt, and not what all lines have in common', () => {
      const activity = {
        activityId: '7',
        activityType: 'consumeStream',
        attempt: 2,
        isLocal: false,
        workflowId: 'sluice-ingest/edits',
        workflowRunId: 'a-run',
      };
      assert.equal(
        shown({ ...activity, queue: 'sse_queue' }),
        '2026-01-31T12:00:00.250Z WARN  A poll failed queue=sse_queue activityType=consumeStream attempt=2 ' +
          'workflowId=sluice-ingest/edits\n',
      );
    });

    it('quotes a value that would not be told from its neighbours', () => {
      assert.match(shown({ a: 'two words', b: '', c: 'say "x"' }), / a="two words" b="" c="say \\"x\\""\n$/);
    });

    it('has the stack of an error below it, indented, with its causes', () => {
      const error = new Error('outer', { cause: new TypeError('inner') });
      const lines = shown({ queue: 'sse_queue', error }).trimEnd().split('\n');
      assert.equal(lines[0], '2026-01-31T12:00:00.250Z WARN  A poll failed queue=sse_queue');
      assert.equal(lines[1], '    Error: outer');
      assert.match(lines[2] ?? '', /^ {8}at .*log-line\.test/);
      assert.ok(lines.includes('    Caused by: TypeError: inner'));
    });

    it('lets nobody steer the terminal', () => {
      const error = new Error(STEERING);
      const text = shown({ detail: STEERING, error }, { message: `A ${STEERING} message` });
      assert.doesNotMatch(text, UNPRINTABLE);
      assert.ok(text.includes(String.raw`A \u001b[2J\u0007\u009b31m\u202egpj.\u2066 message`), text);
    });
  });

  describe('as JSON', () => {
    it('lets nobody steer the terminal, and says the same', () => {
      const line = logLine('json', { ...batchWritten, meta: { detail: STEERING } });
      assert.doesNotMatch(line, UNPRINTABLE);
      assert.equal((JSON.parse(line) as { detail: string }).detail, STEERING);
    });

    it('is one object on one line: time, level and message, then all attributes', () => {
      const line = logLine('json', batchWritten);
      assert.equal(line.indexOf('\n'), line.length - 1);
      assert.ok(
        line.startsWith('{"time":"2026-01-31T12:00:00.250Z","level":"INFO","message":"Batch written",'),
      );
      assert.deepEqual(JSON.parse(line), {
        time: '2026-01-31T12:00:00.250Z',
        level: 'INFO',
        message: 'Batch written',
        ...batchWritten.meta,
      });
    });

    it('names the run alike in activities and in workflows', () => {
      assert.equal(parsed({ workflowRunId: 'a-run' })['runId'], 'a-run');
    });

    it('has the stack of an error, with its causes, in the field of the error', () => {
      const error = new Error('outer', { cause: new TypeError('inner') });
      assert.match(
        String(parsed({ error })['error']),
        /^Error: outer\n +at [^]*\nCaused by: TypeError: inner\n +at /,
      );
    });

    it('knows an error of a workflow, which comes from a context of its own', () => {
      assert.match(
        String(parsed({ error: runInNewContext('new Error("theirs")') })['error']),
        /^Error: theirs\n/,
      );
    });

    it('keeps its time, level and message from attributes of these names', () => {
      const { time, level, message } = parsed({ time: 1, level: 2, message: 3 });
      assert.deepEqual([time, level, message], ['2026-01-31T12:00:00.250Z', 'WARN', 'A poll failed']);
    });
  });

  it('survives every value', () => {
    const circular: Record<string, unknown> = {};
    circular['itself'] = circular;
    const meta = {
      big: 2n ** 64n,
      not: NaN,
      none: undefined,
      nil: null,
      long: { low: 5, high: 0, unsigned: false, __isLong__: true },
      symbol: Symbol('s'),
      work: () => {},
      circular,
      broken: '\uD800',
    };
    assert.equal(parsed(meta)['big'], '18446744073709551616');
    assert.match(shown(meta), / big=18446744073709551616 /);
    assert.doesNotThrow(() => [logLine('json', entry(undefined)), logLine('text', entry(undefined))]);
  });

  it('has no payloads, no task tokens and no passwords', () => {
    const error = Object.assign(new Error('to http://user:hunter2@example.org/x'), { details: ['hunter2'] });
    const meta = {
      activation: { payload: 'hunter2' },
      data: Buffer.from('hunter2'),
      list: ['hunter2'],
      taskToken: 'hunter2',
      url: 'https://hunter2@example.org/',
      error,
    };
    for (const format of ['text', 'json'] as const) {
      const line = logLine(format, entry(meta, { message: 'see amqp://a:hunter2@b/' }));
      assert.doesNotMatch(line, /hunter2|104/);
      assert.match(line, /https:\/\/\*{3}@example\.org/);
    }
  });
});
