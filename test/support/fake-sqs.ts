import {
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
  type SQSClient,
  SQSServiceException,
} from '@aws-sdk/client-sqs';
import { KEY_ATTRIBUTE } from '../../src/pipeline/names';

export interface BatchAnswer {
  Successful?: { Id: string }[];
  Failed?: { Id: string; Code: string; Message?: string; SenderFault: boolean }[];
}

/** What SQS makes of one SendMessageBatch; throws what the call fails with. */
export type Take = (
  entries: readonly SendMessageBatchRequestEntry[],
  call: { count: number; signal: AbortSignal | undefined },
) => BatchAnswer | Promise<BatchAnswer>;

export const takeAll: Take = (entries) => ({ Successful: entries.map(({ Id = '' }) => ({ Id })) });

/** Like an SQS that has stopped answering: only the caller's own signal ends the call. */
export const neverAnswer: Take = (_entries, { signal }) =>
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

  readonly take: Take = (entries, call) =>
    new Promise((resolve, reject) => {
      const fail = () => reject(new DOMException('Request aborted', 'AbortError'));
      call.signal?.addEventListener('abort', fail);
      this.#held.push(() => {
        call.signal?.removeEventListener('abort', fail);
        resolve(takeAll(entries, call));
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

/** The lane of {@link FakeSqs}. */
export const FAKE_LANE = 'sluice-batch/123456789012/us-east-1/queue';

/** One queue, and how it takes messages, in place of the SQS client. */
export class FakeSqs {
  /** Bodies that SQS put into `Successful`, in that order. */
  readonly bodies: string[] = [];
  /** Their keys. */
  readonly keys: string[] = [];
  /** The bodies of each SendMessageBatch. */
  readonly batches: string[][] = [];
  /** Commands other than SendMessageBatch, by name. */
  readonly asked: string[] = [];
  underWay = 0;
  mostUnderWay = 0;
  maximumMessageSize: string | undefined = String(1024 * 1024);
  /** Of the queue, whatever its name. */
  arn = 'arn:aws:sqs:us-east-1:123456789012:queue';
  /** What asking for the queue's URL and attributes fails with. */
  openingFails: ((signal: AbortSignal | undefined) => Promise<void>) | undefined;

  constructor(public take: Take = takeAll) {}

  readonly send: SQSClient['send'] = async (command: object, options?: unknown): Promise<never> =>
    // The overloads of `send` can't be answered without a cast; what it answers is typed below.
    (await this.#answer(command, signalOf(options))) as never;

  async #answer(command: object, signal: AbortSignal | undefined): Promise<object> {
    if (command instanceof SendMessageBatchCommand)
      return this.#sendBatch(command.input.Entries ?? [], signal);
    this.asked.push(command.constructor.name);
    await this.openingFails?.(signal);
    if (command instanceof GetQueueUrlCommand)
      return { QueueUrl: `http://sqs/1/${command.input.QueueName ?? ''}` };
    if (command instanceof GetQueueAttributesCommand)
      return { Attributes: { MaximumMessageSize: this.maximumMessageSize, QueueArn: this.arn } };
    throw new Error(`The fake does not know ${command.constructor.name}`);
  }

  async #sendBatch(
    entries: SendMessageBatchRequestEntry[],
    signal: AbortSignal | undefined,
  ): Promise<BatchAnswer> {
    this.batches.push(entries.map(({ MessageBody = '' }) => MessageBody));
    this.underWay += 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    try {
      const answer = await this.take(entries, { count: this.batches.length, signal });
      for (const { Id } of answer.Successful ?? []) {
        const entry = entries.find((candidate) => candidate.Id === Id);
        this.bodies.push(entry?.MessageBody ?? '');
        this.keys.push(entry?.MessageAttributes?.[KEY_ATTRIBUTE]?.StringValue ?? '');
      }
      return answer;
    } finally {
      this.underWay -= 1;
    }
  }
}

function signalOf(options: unknown): AbortSignal | undefined {
  if (typeof options !== 'object' || options === null || !('abortSignal' in options)) return undefined;
  return options.abortSignal instanceof AbortSignal ? options.abortSignal : undefined;
}
