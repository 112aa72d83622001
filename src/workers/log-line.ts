import { types } from 'node:util';
import type { LogEntry } from '@temporalio/worker';
import { printableLines } from '../printable';

type Value = string | number | boolean;

/** What tells one try of one workflow's activity from the others; a terminal shows it at the end of the line. */
const PLACE = ['workflowId', 'activityType', 'attempt'];

/** What the SDK adds to every entry; a terminal leaves it out. */
const ONLY_IN_JSON = new Set([
  'activityId',
  'isLocal',
  'namespace',
  'runId',
  'sdkComponent',
  'target',
  'taskQueue',
  'workflowType',
]);

/** With it anyone could answer for the activity. */
const SECRET = 'taskToken';

/**
 * One log entry as it is written, with the line feed at its end.
 *
 * Attributes that are neither texts, numbers, truth values nor errors are left out: at TRACE the SDK logs whole
 * activations, payloads and all.
 *
 * @param format `text`: one line for a person, and below it the stacks of errors, indented. `json`: one object on one line
 */
export function logLine(format: 'text' | 'json', entry: LogEntry): string {
  const line = format === 'json' ? jsonLine(entry) : textLine(entry);
  // What a source or a server said must not steer a terminal, nor mislead who reads.
  return `${withoutPasswords(printableLines(line))}\n`;
}

function jsonLine({ level, message, timestampNanos, meta }: LogEntry): string {
  const own = { time: isoTime(timestampNanos), level, message };
  const stacks = errorsOf(meta).map(([name, error]) => [name, stackOf(error)]);
  const attributes = Object.fromEntries([...valuesOf(meta), ...stacks]) as Record<string, Value>;
  // Ours come first in the line, and are not lost to an attribute of the same name.
  return JSON.stringify({ ...own, ...attributes, ...own });
}

function textLine({ level, message, timestampNanos, meta }: LogEntry): string {
  const values = valuesOf(meta).filter(([name]) => !ONLY_IN_JSON.has(name));
  const place = values.filter(([name]) => PLACE.includes(name));
  const own = values.filter(([name]) => !PLACE.includes(name));
  const shown = [...own, ...place].map(([name, value]) => `${name}=${readable(value)}`);
  const stacks = errorsOf(meta).map(([, error]) => `\n${stackOf(error)}`.replaceAll('\n', '\n    '));
  const line = [isoTime(timestampNanos), level.padEnd('ERROR'.length), message, ...shown].join(' ');
  return line + stacks.join('');
}

function valuesOf(meta: LogEntry['meta'] = {}): [name: string, value: Value][] {
  return Object.entries(meta).flatMap(([name, value]: [string, unknown]) => {
    if (name === SECRET) return [];
    // Workflows call it otherwise than activities do.
    const known = name === 'workflowRunId' ? 'runId' : name;
    if (typeof value === 'bigint') return [[known, String(value)]];
    const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    return isPlain ? [[known, value]] : [];
  });
}

function errorsOf(meta: LogEntry['meta'] = {}): [name: string, error: Error][] {
  return Object.entries(meta).flatMap(([name, value]: [string, unknown]) =>
    // Workflows run in a context of their own, whose errors are no `instanceof Error` here.
    types.isNativeError(value) ? [[name, value]] : [],
  );
}

/** The stacks of an error and of its causes; not its properties, which may hold an activity's results. */
function stackOf(error: Error): string {
  const stack = error.stack ?? String(error);
  return types.isNativeError(error.cause) ? `${stack}\nCaused by: ${stackOf(error.cause)}` : stack;
}

function readable(value: Value): string {
  return typeof value === 'string' && !/^[^\s"]+$/.test(value) ? JSON.stringify(value) : String(value);
}

/** Nothing that is logged should hold a password; a URL in another program's error message still may. */
function withoutPasswords(line: string): string {
  return line.replaceAll(/\/\/[^/?#\s"@]+@/g, '//***@');
}

function isoTime(timestampNanos: bigint): string {
  return new Date(Number(timestampNanos / 1_000_000n)).toISOString();
}
