import {
  ChangeMessageVisibilityBatchCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListQueueTagsCommand,
  type QueueAttributeName,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SetQueueAttributesCommand,
  type SQSClient,
  TagQueueCommand,
  UntagQueueCommand,
} from '@aws-sdk/client-sqs';
import { describeError, isNamed } from '../clients/aws-errors';
import { type ServerClock, serverClockOf } from '../clients/server-clock';
import { KEY_ATTRIBUTE, OWNER_TAG, PACK_ATTRIBUTE } from '../pipeline/names';
import { attributeValues, messageOf, type OutgoingMessage, type QueueMessage } from './message';

/** Messages that one request sends, receives, deletes or releases (SQS). */
export const MESSAGES_PER_REQUEST = 10;

/** Of a queue that does not say its MaximumMessageSize: older ones may have 256 KiB. */
const MAXIMUM_BYTES = 256 * 1024;

/** Seconds for which SQS keeps a message at least and at most. */
const [LEAST_RETENTION, MOST_RETENTION] = [60, 14 * 24 * 60 * 60];

export interface RequestOptions {
  /** Gives the request up. */
  abortSignal?: AbortSignal;
}

/** What SQS said of one message of a request. Where it said nothing, the code is empty. */
export type Answer = { ok: true } | { ok: false; code: string; message: string };

export interface ReceiveOptions {
  /** Messages wanted, 1 to 10. */
  most: number;
  /** Long polling: how long to wait for the first message. */
  waitSeconds: number;
  visibilityTimeoutSeconds: number;
}

/** Messages by what SQS knows of them; approximate, and a minute or more behind on AWS. */
export interface Depth {
  visible: number;
  notVisible: number;
  delayed: number;
  /** After which SQS forgets a message. */
  retentionSeconds: number;
}

export interface QueueAttributes {
  /** `arn:aws:sqs:REGION:ACCOUNT:NAME`; undefined where SQS names none. */
  arn: string | undefined;
  /** The most that one message may have, attributes included. */
  maximumBytes: number;
  /** Whether SQS moves messages to a dead-letter queue. */
  hasRedrivePolicy: boolean;
  /** Epoch milliseconds; undefined where SQS does not say. A queue that was made again is another. */
  createdAt?: number | undefined;
}

/**
 * An SQS queue by its name. Its URL is asked for where the queue is used, and once: it holds the host name of whoever asked, so it must
 * not travel between machines.
 *
 * All methods throw the SQS client's errors, `QueueDoesNotExist` among them, unless they say otherwise.
 */
export class Queue {
  readonly name: string;
  /** The clock of SQS. What is decided by time is decided by it. */
  readonly clock: Pick<ServerClock, 'now' | 'takeProblem'>;
  readonly #sqs: SQSClient;
  #url: string | undefined;
  #arn: string | undefined;

  /** @param sqs must not retry by itself: a receive whose answer was lost has hidden messages, and whoever asked must know */
  constructor(sqs: SQSClient, name: string) {
    this.#sqs = sqs;
    this.clock = serverClockOf(sqs);
    this.name = name;
  }

  /**
   * @param messages ten at most, of 1 MiB together
   * @returns what SQS said of each
   */
  async send(messages: readonly OutgoingMessage[], options: RequestOptions = {}): Promise<Answer[]> {
    const entries = messages.map((message, index) => ({ Id: String(index), ...bodyAndAttributes(message) }));
    const command = new SendMessageBatchCommand({ QueueUrl: await this.#find(options), Entries: entries });
    return answersOf(messages, await this.#sqs.send(command, options));
  }

  /** Sends one message. Who is answered has it in the queue. */
  async sendOne(message: OutgoingMessage): Promise<void> {
    await this.#sqs.send(
      new SendMessageCommand({ QueueUrl: await this.#find(), ...bodyAndAttributes(message) }),
    );
  }

  async receive({ most, waitSeconds, visibilityTimeoutSeconds }: ReceiveOptions): Promise<QueueMessage[]> {
    const { Messages = [] } = await this.#sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: await this.#find(),
        MaxNumberOfMessages: most,
        WaitTimeSeconds: waitSeconds,
        VisibilityTimeout: visibilityTimeoutSeconds,
        MessageSystemAttributeNames: ['SentTimestamp'],
        MessageAttributeNames: [KEY_ATTRIBUTE, PACK_ATTRIBUTE],
      }),
    );
    return Messages.flatMap((message) => messageOf(message) ?? []);
  }

  /**
   * @param receipts ten at most
   * @returns what SQS said of each. `ok` is no proof where a receipt was stale
   */
  async delete(receipts: readonly string[], options: RequestOptions = {}): Promise<Answer[]> {
    const entries = receipts.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle }));
    const command = new DeleteMessageBatchCommand({ QueueUrl: await this.#find(options), Entries: entries });
    return answersOf(receipts, await this.#sqs.send(command, options));
  }

  /**
   * Makes messages visible at once. Never throws.
   *
   * @param receipts as many as there are
   * @returns for each request that did not make all of its messages visible, why
   */
  async release(receipts: readonly string[]): Promise<string[]> {
    const problems: string[] = [];
    for (let at = 0; at < receipts.length; at += MESSAGES_PER_REQUEST) {
      const problem = await this.#makeVisible(receipts.slice(at, at + MESSAGES_PER_REQUEST));
      if (problem !== undefined) problems.push(problem);
    }
    return problems;
  }

  async #makeVisible(receipts: readonly string[]): Promise<string | undefined> {
    const entries = receipts.map((ReceiptHandle, index) => ({
      Id: String(index),
      ReceiptHandle,
      VisibilityTimeout: 0,
    }));
    try {
      const QueueUrl = await this.#find();
      const command = new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries: entries });
      const { Failed: [first] = [] } = await this.#sqs.send(command);
      return first && `${first.Code}: ${first.Message}`;
    } catch (error) {
      return describeError(error);
    }
  }

  async depth(): Promise<Depth> {
    const {
      ApproximateNumberOfMessages,
      ApproximateNumberOfMessagesNotVisible,
      ApproximateNumberOfMessagesDelayed,
      MessageRetentionPeriod,
    } = await this.#attributes([
      'ApproximateNumberOfMessages',
      'ApproximateNumberOfMessagesNotVisible',
      'ApproximateNumberOfMessagesDelayed',
      'MessageRetentionPeriod',
    ]);
    return {
      visible: Number(ApproximateNumberOfMessages),
      notVisible: Number(ApproximateNumberOfMessagesNotVisible),
      delayed: Number(ApproximateNumberOfMessagesDelayed),
      retentionSeconds: retentionOf(MessageRetentionPeriod),
    };
  }

  async attributes(options: RequestOptions = {}): Promise<QueueAttributes> {
    const { QueueArn, MaximumMessageSize, RedrivePolicy, CreatedTimestamp } = await this.#attributes(
      ['QueueArn', 'MaximumMessageSize', 'RedrivePolicy', 'CreatedTimestamp'],
      options,
    );
    return {
      arn: QueueArn,
      maximumBytes: Number(MaximumMessageSize ?? MAXIMUM_BYTES),
      hasRedrivePolicy: Boolean(RedrivePolicy),
      createdAt: CreatedTimestamp === undefined ? undefined : Number(CreatedTimestamp) * 1_000,
    };
  }

  /** The same as in {@link attributes}, but asked for once. */
  async arn(): Promise<string | undefined> {
    this.#arn ??= (await this.#attributes(['QueueArn'])).QueueArn;
    return this.#arn;
  }

  /** @returns namespace and first run of the lane that alone may read the queue, such as `default/0198…`; undefined without one */
  async owner(): Promise<string | undefined> {
    const { Tags } = await this.#sqs.send(new ListQueueTagsCommand({ QueueUrl: await this.#find() }));
    return Tags?.[OWNER_TAG];
  }

  /** Writes down whose the queue is, whoever had it. @param owner see {@link owner} */
  async claim(owner: string): Promise<void> {
    await this.#sqs.send(new TagQueueCommand({ QueueUrl: await this.#find(), Tags: { [OWNER_TAG]: owner } }));
  }

  /**
   * Leaves the queue to whoever claims it next, where it is this owner's.
   *
   * @param owner see {@link owner}; undefined where nobody knows it any more
   * @returns whose it is then; undefined: nobody's
   */
  async unclaim(owner: string | undefined): Promise<string | undefined> {
    const found = await this.owner();
    if (found === undefined || found !== owner) return found;
    await this.#sqs.send(new UntagQueueCommand({ QueueUrl: await this.#find(), TagKeys: [OWNER_TAG] }));
    return undefined;
  }

  /** Makes the queue, unless it is there. @param retentionSeconds after which SQS forgets a message, of a queue that is there, too */
  async provide(retentionSeconds: number): Promise<'there' | 'created'> {
    const Attributes = { MessageRetentionPeriod: String(retentionSeconds) };
    try {
      await this.#sqs.send(new SetQueueAttributesCommand({ QueueUrl: await this.#find(), Attributes }));
      return 'there';
    } catch (error) {
      if (!isNoQueue(error)) throw error;
      await this.#sqs.send(new CreateQueueCommand({ QueueName: this.name, Attributes }));
      return 'created';
    }
  }

  async #attributes(
    AttributeNames: QueueAttributeName[],
    options: RequestOptions = {},
  ): Promise<Partial<Record<string, string>>> {
    const command = new GetQueueAttributesCommand({ QueueUrl: await this.#find(options), AttributeNames });
    const { Attributes = {} } = await this.#sqs.send(command, options);
    return Attributes;
  }

  async #find(options: RequestOptions = {}): Promise<string> {
    if (this.#url !== undefined) return this.#url;
    const { QueueUrl } = await this.#sqs.send(new GetQueueUrlCommand({ QueueName: this.name }), options);
    if (QueueUrl === undefined) throw new Error(`SQS named no URL for the queue ${this.name}`);
    this.#url = QueueUrl;
    return QueueUrl;
  }
}

/** The queues that one client finds: each is one object, since it remembers its URL. */
export class Queues {
  readonly #sqs: SQSClient;
  readonly #known = new Map<string, Queue>();

  constructor(sqs: SQSClient) {
    this.#sqs = sqs;
  }

  named(name: string): Queue {
    const queue = this.#known.get(name) ?? new Queue(this.#sqs, name);
    this.#known.set(name, queue);
    return queue;
  }
}

/** Whether SQS says that there is no queue of that name. */
export function isNoQueue(error: unknown): boolean {
  return isNamed(error, 'QueueDoesNotExist');
}

function bodyAndAttributes(message: OutgoingMessage) {
  return { MessageBody: message.body, MessageAttributes: attributeValues(message) };
}

interface BatchResult {
  Successful?: { Id?: string | undefined }[] | undefined;
  Failed?: { Id?: string | undefined; Code?: string | undefined; Message?: string | undefined }[] | undefined;
}

function answersOf(asked: readonly unknown[], { Successful = [], Failed = [] }: BatchResult): Answer[] {
  const done = new Set(Successful.map(({ Id }) => Id));
  const failed = new Map(Failed.map(({ Id, Code = '', Message = '' }) => [Id, { Code, Message }]));
  return asked.map((_, index) => {
    if (done.has(String(index))) return { ok: true };
    const { Code = '', Message = '' } = failed.get(String(index)) ?? {};
    return { ok: false, code: Code, message: Message };
  });
}

/** ElasticMQ states 0, and forgets nothing. */
function retentionOf(stated: string | undefined): number {
  const seconds = Number(stated);
  return seconds >= LEAST_RETENTION ? seconds : MOST_RETENTION;
}
