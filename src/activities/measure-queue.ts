import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { awsFailure } from './failures';
import { ownQueueUrl } from './own-queue';

/** Messages by what SQS knows of them; approximate, and a minute or more behind on AWS. */
export interface QueueDepth {
  visible: number;
  notVisible: number;
  delayed: number;
  /** After which SQS forgets a message. */
  retentionSeconds: number;
  /** Epoch milliseconds, by this worker's clock. */
  at: number;
}

export async function measureQueue(sqs: Pick<SQSClient, 'send'>, queue: string): Promise<QueueDepth> {
  try {
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({
        QueueUrl: await ownQueueUrl(sqs, queue),
        AttributeNames: [
          'ApproximateNumberOfMessages',
          'ApproximateNumberOfMessagesNotVisible',
          'ApproximateNumberOfMessagesDelayed',
          'MessageRetentionPeriod',
        ],
      }),
    );
    return {
      visible: Number(Attributes?.ApproximateNumberOfMessages),
      notVisible: Number(Attributes?.ApproximateNumberOfMessagesNotVisible),
      delayed: Number(Attributes?.ApproximateNumberOfMessagesDelayed),
      retentionSeconds: Number(Attributes?.MessageRetentionPeriod),
      at: Date.now(),
    };
  } catch (error) {
    throw awsFailure(error, `measure the queue ${queue}`);
  }
}
