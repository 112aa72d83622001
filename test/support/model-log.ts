import { requestedStarts } from '../../local/simulated-stream/resume';
import { TopicLog } from '../../local/simulated-stream/topic-log';
import { partitionName } from '../../src/event/place';
import { type ResumeRequest } from '../../src/sources/cursor';

export interface ModelEvent {
  id: string;
  partition: string;
  text: string;
}

/**
 * What stands behind an EventStreams service, without network or clock: one log per topic, whose timestamps
 * the test decides.
 */
export class ModelLog {
  readonly #logs: readonly TopicLog[];

  constructor(readonly topics: readonly string[]) {
    this.#logs = topics.map((topic, index) => new TopicLog(topic, 1_000 * (index + 1), Infinity));
  }

  append(topic: number, timestamp: number, text: string): void {
    this.#logs[topic]?.append(timestamp, text);
  }

  connect(request: ResumeRequest): ModelConnection {
    const starts =
      'lastEventId' in request
        ? requestedStarts(request.lastEventId, undefined, this.topics)
        : requestedStarts(undefined, String('since' in request ? request.since : Date.now()), this.topics);
    return new ModelConnection(this.#logs, starts);
  }
}

interface Reading {
  log: TopicLog;
  next: number;
  idEntry: { topic: string; partition: number } & ({ offset: number } | { timestamp: number });
}

/** One connection; in which order it interleaves the topics is the test's choice, as Kafka promises none. */
export class ModelConnection {
  readonly #readings: Reading[];

  constructor(logs: readonly TopicLog[], starts: ReturnType<typeof requestedStarts>) {
    // A topic that the request leaves out is not followed at all (KafkaSSE).
    this.#readings = logs.flatMap((log) => {
      const start = starts.get(log.topic);
      if (!start) return [];
      const offset = 'offset' in start ? start.offset : (log.offsetForTime(start.timestamp) ?? -1);
      const next = offset === -1 ? log.end : offset;
      return [{ log, next, idEntry: { topic: log.topic, partition: log.partition, offset } }];
    });
  }

  /** @returns the next event of one of the topics that have more, or undefined when none has */
  next(choice: number): ModelEvent | undefined {
    const ready = this.#readings.filter(({ log, next }) => log.at(next) !== undefined);
    const reading = ready[choice % ready.length];
    const entry = reading?.log.at(reading.next);
    if (!reading || !entry) return undefined;
    const { topic, partition } = reading.log;
    reading.next = entry.offset + 1;
    reading.idEntry = { topic, partition, timestamp: entry.timestamp + 1 };
    return {
      id: JSON.stringify(this.#readings.map(({ idEntry }) => idEntry)),
      partition: partitionName(topic, partition),
      text: entry.text ?? '',
    };
  }
}
