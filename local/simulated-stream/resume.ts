import { RefusedRequest } from './refusal';

/** Where a request wants to start in one partition; offset −1 means latest. */
export type Start = { offset: number } | { timestamp: number };

/** By topic. What is not in it starts at latest. */
export type Starts = ReadonlyMap<string, Start>;

/** ISO 8601 with a date at least: Date.parse alone takes almost anything that has a number in it. */
const isoTime = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/**
 * Reads where to start from a request, as KafkaSSE does: Last-Event-ID wins over `since`.
 *
 * @throws RefusedRequest with status 400 when what was sent can't be understood
 */
export function requestedStarts(
  lastEventId: string | undefined,
  since: string | undefined,
  topics: readonly string[],
): Starts {
  if (lastEventId !== undefined) return startsFromId(lastEventId, topics);
  if (since === undefined) return new Map();
  const timestamp = parseTime(since);
  return new Map(topics.map((topic) => [topic, { timestamp }]));
}

function startsFromId(lastEventId: string, topics: readonly string[]): Starts {
  const entries = parseJson(lastEventId);
  if (!Array.isArray(entries) || entries.length === 0) {
    throw new RefusedRequest(400, 'Last-Event-ID is not a list of topic partitions.');
  }
  return new Map(entries.map((entry: unknown) => startFromEntry(entry, topics)));
}

function startFromEntry(entry: unknown, topics: readonly string[]): [string, Start] {
  if (typeof entry !== 'object' || entry === null || !('topic' in entry) || !('partition' in entry)) {
    throw new RefusedRequest(400, 'An entry of Last-Event-ID has no topic or no partition.');
  }
  const { topic, partition } = entry;
  if (typeof topic !== 'string' || !topics.includes(topic) || partition !== 0) {
    throw new RefusedRequest(400, `There is no partition ${String(partition)} of topic ${String(topic)}.`);
  }
  const offset = 'offset' in entry ? entry.offset : undefined;
  const timestamp = 'timestamp' in entry ? entry.timestamp : undefined;
  if (isInteger(offset) && offset >= -1 && timestamp === undefined) return [topic, { offset }];
  if (isInteger(timestamp) && offset === undefined) return [topic, { timestamp }];
  throw new RefusedRequest(400, `The entry for ${topic} needs an offset or a timestamp, and not both.`);
}

function isInteger(value: unknown): value is number {
  return Number.isInteger(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RefusedRequest(400, `Last-Event-ID is not JSON: ${String(error)}`);
  }
}

function parseTime(since: string): number {
  const timestamp = /^\d+$/.test(since)
    ? Number(since)
    : isoTime.test(since)
      ? Date.parse(since)
      : Number.NaN;
  if (Number.isNaN(timestamp)) {
    throw new RefusedRequest(400, `since is neither ISO 8601 nor milliseconds: ${since}`);
  }
  return timestamp;
}
