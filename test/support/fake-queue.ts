import { SQSServiceException } from '@aws-sdk/client-sqs';
import { ServerClock } from '../../src/clients/server-clock';
import type { OutgoingMessage } from '../../src/queue/message';
import type { Answer, Depth, Queue, QueueAttributes, RequestOptions } from '../../src/queue/queue';
import { eventsIn } from './received';

/** What a queue makes of one request with messages; throws what the request fails with. */
export type Take = (
  messages: readonly OutgoingMessage[],
  call: { count: number; signal: AbortSignal | undefined },
) => Answer[] | Promise<Answer[]>;

export const takeAll: Take = (messages) => messages.map(() => ({ ok: true }));

/** Like an SQS that has stopped answering: only the caller's own signal ends the call. */
export const neverAnswer: Take = (_messages, { signal }) =>
  new Promise((_resolve, reject) => {
    const fail = () => reject(new DOMException('Request aborted', 'AbortError'));
    if (signal?.aborted) fail();
    else signal?.addEventListener('abort', fail);
  });

/** Answers that wait until they are released, and then take everything. */
export class HeldAnswers {
  readonly #held: (() => void)[] = [];

  /** How many wait. */
  get count(): number {
    return this.#held.length;
  }

  readonly take: Take = (messages, call) =>
    new Promise((resolve, reject) => {
      const fail = () => reject(new DOMException('Request aborted', 'AbortError'));
      call.signal?.addEventListener('abort', fail);
      this.#held.push(() => {
        call.signal?.removeEventListener('abort', fail);
        resolve(takeAll(messages, call));
      });
    });

  release(): void {
    for (const answer of this.#held.splice(0)) answer();
  }
}

/** An error as the SQS client throws it. */
export function sqsError(name: string, httpStatusCode = 400): SQSServiceException {
  return new SQSServiceException({
    name,
    message: `${name}, said SQS`,
    $fault: httpStatusCode < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode },
  });
}

/** The lane of {@link FakeQueue}. */
export const FAKE_LANE = 'sluice-batch/123456789012/us-east-1/queue';

/** What a stint needs of a queue, and how it takes messages. */
export class FakeQueue implements Pick<Queue, 'name' | 'arn' | 'clock' | 'attributes' | 'send' | 'depth'> {
  readonly name = 'queue';
  clock: Queue['clock'] = new ServerClock();
  /** Messages that are in the queue, in that order. */
  readonly messages: OutgoingMessage[] = [];
  /** Their bodies. */
  readonly bodies: string[] = [];
  /** The keys of their events. */
  readonly keys: string[] = [];
  /** The bodies of each request. */
  readonly batches: string[][] = [];
  /** What it was asked besides. */
  readonly asked: string[] = [];
  underWay = 0;
  mostUnderWay = 0;
  maximumBytes = 1024 * 1024;
  /** Where the queue is, whatever its name. */
  place = 'arn:aws:sqs:us-east-1:123456789012:queue';
  /** What asking for the queue's attributes fails with. */
  openingFails: ((signal: AbortSignal | undefined) => Promise<void>) | undefined;

  constructor(public take: Take = takeAll) {}

  async send(messages: readonly OutgoingMessage[], options: RequestOptions = {}): Promise<Answer[]> {
    this.batches.push(messages.map(({ body }) => body));
    this.underWay += 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    try {
      const call = { count: this.batches.length, signal: options.abortSignal };
      const answers = await this.take(messages, call);
      const taken = messages.filter((_, index) => answers[index]?.ok);
      this.messages.push(...taken);
      this.bodies.push(...taken.map(({ body }) => body));
      this.keys.push(...taken.flatMap(eventsIn).map(({ key }) => key));
      return answers;
    } finally {
      this.underWay -= 1;
    }
  }

  async attributes({ abortSignal }: RequestOptions = {}): Promise<QueueAttributes> {
    await this.#ask('attributes', abortSignal);
    return { arn: this.place, maximumBytes: this.maximumBytes, hasRedrivePolicy: false };
  }

  async arn(): Promise<string> {
    await this.#ask('arn');
    return this.place;
  }

  async depth(): Promise<Depth> {
    await this.#ask('depth');
    return { visible: 0, notVisible: 0, delayed: 0, retentionSeconds: 60 };
  }

  async #ask(what: string, signal?: AbortSignal): Promise<void> {
    this.asked.push(what);
    await this.openingFails?.(signal);
  }
}
