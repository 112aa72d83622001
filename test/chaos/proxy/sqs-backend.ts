import type { QueueCounts } from './late-counts';
import { type Answer, type Call, forward, readWhole, type WholeAnswer } from './upstream';

interface QueueSettings {
  maximumBytes: number;
  visibilityMs: number;
}

/** Until the queue tells its own. */
const USUAL_SETTINGS: QueueSettings = { maximumBytes: 1024 * 1024, visibilityMs: 30_000 };

const COUNTS = [
  'ApproximateNumberOfMessages',
  'ApproximateNumberOfMessagesNotVisible',
  'ApproximateNumberOfMessagesDelayed',
];

/** The server behind the proxy. It is asked in the name of a client's call: credentials tell the region. */
export class SqsBackend {
  readonly #target: string;
  readonly #settings = new Map<string, QueueSettings>();

  constructor(target: string) {
    this.#target = target;
  }

  /** @throws BackendLost */
  async ask(call: Call, operation: string, input: object): Promise<WholeAnswer> {
    const headers = { ...call.headers, 'x-amz-target': `AmazonSQS.${operation}` };
    const body = Buffer.from(JSON.stringify(input));
    return await readWhole(await forward(this.#target, { ...call, headers, body }));
  }

  async passOn(call: Call): Promise<Answer> {
    return await forward(this.#target, call);
  }

  async settings(call: Call, queue: string): Promise<QueueSettings> {
    const known = this.#settings.get(queue);
    if (known) return known;
    const attributes = await this.#attributes(call, queue, ['MaximumMessageSize', 'VisibilityTimeout']);
    if (!attributes) return USUAL_SETTINGS;
    const settings = {
      maximumBytes: Number(attributes.MaximumMessageSize),
      visibilityMs: Number(attributes.VisibilityTimeout) * 1_000,
    };
    this.#settings.set(queue, settings);
    return settings;
  }

  forgetSettings(queue: string): void {
    this.#settings.delete(queue);
  }

  /** @throws Error for a queue that is not there */
  async counts(call: Call, queue: string): Promise<QueueCounts> {
    const attributes = await this.#attributes(call, queue, COUNTS);
    if (!attributes) throw new Error(`${queue} tells no counts`);
    return attributes;
  }

  async #attributes(call: Call, QueueUrl: string, names: string[]): Promise<QueueCounts | undefined> {
    const answer = await this.ask(call, 'GetQueueAttributes', { QueueUrl, AttributeNames: names });
    return answer.status === 200 ? (parse(answer.body) as { Attributes: QueueCounts }).Attributes : undefined;
  }
}

/** The JSON of a request or an answer. Its shape is the one that the API reference gives it. */
export function parse(body: Buffer): unknown {
  return JSON.parse(body.toString()) as unknown;
}
