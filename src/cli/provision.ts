import { CreateBucketCommand, HeadBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { CreateQueueCommand, SetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { queueUrl } from '../queue/queue-url';
import type { Context } from './context';

/** 14 days, the most that SQS allows: better late than forgotten. */
const RETENTION_SECONDS = 14 * 24 * 60 * 60;

/** `sluice provision`: makes the queue and the bucket. What is there stays; run it as often as you like. */
export async function provision({ pipeline, sqs, s3, say }: Context): Promise<void> {
  const { queue, lake } = pipeline;
  say(`queue ${queue.name}: ${await provideQueue(sqs, queue.name)}`);
  say(`bucket ${lake.bucket}: ${await provideBucket(s3, lake.bucket)}`);
}

async function provideQueue(sqs: SQSClient, name: string): Promise<'there' | 'created'> {
  const Attributes = { MessageRetentionPeriod: String(RETENTION_SECONDS) };
  try {
    await sqs.send(new SetQueueAttributesCommand({ QueueUrl: await queueUrl(sqs, name), Attributes }));
    return 'there';
  } catch (error) {
    if (!(error instanceof Error && error.name === 'QueueDoesNotExist')) throw error;
    await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes }));
    return 'created';
  }
}

async function provideBucket(s3: S3Client, name: string): Promise<'there' | 'created'> {
  try {
    await s3.send(new HeadBucketCommand({ Bucket: name }));
    return 'there';
  } catch (error) {
    if (!(error instanceof Error && error.name === 'NotFound')) throw error;
    const region = await s3.config.region();
    await s3.send(
      new CreateBucketCommand({
        Bucket: name,
        // us-east-1 is the default, and may not be named.
        ...(region === 'us-east-1'
          ? {}
          : { CreateBucketConfiguration: { LocationConstraint: region as 'eu-west-1' } }),
      }),
    );
    return 'created';
  }
}
