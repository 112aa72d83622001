import type { ServerResponse } from 'node:http';

import type { Random } from './random';
import type { Starts } from './resume';
import type { LogEntry, TopicLog } from './topic-log';

/** How a connection behaves, and misbehaves. */
export interface ConnectionOptions {
  random: Random;
  /** The connection ends at this event, counted from 1. Infinity for never. */
  cutAtEvent: number;
  /** One event in so many arrives in several pieces; 0 for none. */
  splitOneIn: number;
  /** Sent as `retry:` at the start when given. */
  retryMilliseconds: number | undefined;
  isStalled: () => boolean;
}

/** How far a connection has read one partition. */
interface Position {
  log: TopicLog;
  nextOffset: number;
  /** This partition's entry in the ids that are sent. */
  idEntry: { topic: string; partition: number } & ({ offset: number } | { timestamp: number });
}

/** One client that follows the logs. It sends whenever there is something to send and room for it. */
export class Connection {
  readonly #positions: readonly Position[];
  #sentEvents = 0;
  #isFull = false;
  #isOpen = true;

  constructor(
    private readonly response: ServerResponse,
    readonly address: string | undefined,
    logs: readonly TopicLog[],
    starts: Starts,
    private readonly options: ConnectionOptions,
  ) {
    this.#positions = logs.map((log) => startPosition(log, starts));
    response.once('close', () => {
      this.#isOpen = false;
    });
    response.on('drain', () => {
      this.#isFull = false;
      this.send();
    });
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
    });
    this.#write(Buffer.from(':ok\n\n'));
    const { retryMilliseconds } = options;
    if (retryMilliseconds !== undefined) this.#write(Buffer.from(`retry: ${retryMilliseconds}\n\n`));
  }

  /** Bytes that the server holds because the client does not read them. */
  get bufferedBytes(): number {
    return this.response.writableLength;
  }

  /** Sends what is in the logs, until the client's buffer is full; then it goes on when that has drained. */
  send(): void {
    while (this.#isOpen && !this.#isFull && !this.options.isStalled()) {
      const position = this.#positionOfNext();
      if (!position) return;
      this.#sendNext(position);
    }
  }

  /** Ends the stream with an error, as the service does once a response has begun. */
  sendError(message: string): void {
    // One that was cut may not be closed yet.
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.response.end(this.#frame('error', JSON.stringify({ name: 'KafkaError', origin: 'kafka', message })));
  }

  /** The client sees a closed socket, in the middle of whatever was on its way. */
  destroy(): void {
    this.#isOpen = false;
    this.response.destroy();
  }

  /** Of the partitions that have more, the one with the older event. */
  #positionOfNext(): Position | undefined {
    let oldest: { position: Position; timestamp: number } | undefined;
    for (const position of this.#positions) {
      const entry = position.log.at(position.nextOffset);
      if (entry && (!oldest || entry.timestamp < oldest.timestamp)) {
        oldest = { position, timestamp: entry.timestamp };
      }
    }
    return oldest?.position;
  }

  #sendNext(position: Position): void {
    const entry = position.log.at(position.nextOffset);
    if (!entry) return;
    position.nextOffset = entry.offset + 1;
    if (entry.text === undefined) return;
    position.idEntry = idAfter(position.log, entry);
    this.#sentEvents += 1;
    const frame = this.#frame('message', entry.text);
    if (this.#sentEvents === this.options.cutAtEvent) this.#cut(frame);
    else this.#write(frame);
  }

  #frame(event: string, data: string): Buffer {
    const id = JSON.stringify(this.#positions.map(({ idEntry }) => idEntry));
    return Buffer.from(`event: ${event}\nid: ${id}\ndata: ${data}\n\n`);
  }

  #write(bytes: Buffer): void {
    // Each write is a chunk of its own in HTTP, and clients hand chunks on as they are.
    for (const piece of this.#pieces(bytes)) this.#isFull = !this.response.write(piece);
  }

  #pieces(bytes: Buffer): Buffer[] {
    const { random, splitOneIn } = this.options;
    if (splitOneIn === 0 || !random.chance(1 / splitOneIn)) return [bytes];
    const cuts = Array.from({ length: random.integer(1, 4) }, () => random.integer(1, bytes.length - 1));
    // The second byte of a UTF-8 character, where there is one: the cut that hurts most.
    const insideCharacter = bytes.findIndex((byte) => (byte & 0xc0) === 0x80);
    if (insideCharacter > 0) cuts.push(insideCharacter);
    const bounds = [0, ...cuts.sort((a, b) => a - b), bytes.length];
    return bounds
      .slice(1)
      .map((end, index) => bytes.subarray(bounds[index], end))
      .filter((piece) => piece.length > 0);
  }

  /** Half of the connections end in the middle of an event, the others after it. */
  #cut(frame: Buffer): void {
    this.#isOpen = false;
    const { random } = this.options;
    if (random.chance(0.5)) {
      this.response.end(frame);
      return;
    }
    const part = frame.subarray(0, random.integer(1, frame.length - 2));
    this.response.write(part, () => this.response.destroy());
  }
}

/**
 * Like KafkaSSE, turns a timestamp into an offset first, and the ids show that offset until the partition
 * has had an event: −1 where nothing is that young.
 *
 * Here a partition that a Last-Event-ID leaves out starts at latest. (KafkaSSE would not follow it at all.)
 *
 * @see https://github.com/wikimedia/KafkaSSE `utils.buildAssignmentsAsync`, `_updateLatestOffsetsMap`
 */
function startPosition(log: TopicLog, starts: Starts): Position {
  const start = starts.get(log.topic) ?? { offset: -1 };
  const offset = 'offset' in start ? start.offset : (log.offsetForTime(start.timestamp) ?? -1);
  // Kafka's reset policy sends a position behind the end to latest.
  const nextOffset = offset === -1 ? log.end : Math.min(offset, log.end);
  return { log, nextOffset, idEntry: { topic: log.topic, partition: log.partition, offset } };
}

/** The timestamp after this event's: resuming there skips a twin that was not sent yet, as in real life. */
function idAfter({ topic, partition }: TopicLog, { timestamp }: LogEntry): Position['idEntry'] {
  return { topic, partition, timestamp: timestamp + 1 };
}
