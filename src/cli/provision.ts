import { CreateBucketCommand, HeadBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import type { Client } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../pipeline/names';
import type { Context } from './context';
import { addSearchAttributes, hasSearchAttributes } from './search-attributes';

/** 14 days, the most that SQS allows: better late than forgotten. No redrive: what waits for days is not poison. */
const RETENTION_SECONDS = 14 * 24 * 60 * 60;

/**
 * `sluice provision`: makes the queue, the bucket and Temporal's search attributes. What is there stays; run it as often as
 * you like. Where search attributes are refused, a pipeline runs without.
 */
export async function provision(context: Context, { json = false }: { json?: boolean } = {}): Promise<void> {
  const { pipeline, temporal, queue, s3, say } = context;
  const { lake } = pipeline;
  const made = {
    queue: { name: queue.name, state: await queue.provide(RETENTION_SECONDS) },
    bucket: { name: lake.bucket, state: await provideBucket(s3, lake.bucket) },
    searchAttributes: await provideSearchAttributes(temporal),
  };
  if (json) return say(JSON.stringify(made, undefined, 2));
  say(`queue ${queue.name}: ${made.queue.state}`);
  say(`bucket ${lake.bucket}: ${made.bucket.state}`);
  say(`search attributes: ${made.searchAttributes}`);
}

async function provideSearchAttributes(temporal: Client): Promise<string> {
  if (await hasSearchAttributes(temporal)) return 'there';
  try {
    await addSearchAttributes(temporal);
    return 'created';
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error);
    const names = Object.values(SEARCH_ATTRIBUTES).map(({ name }) => name);
    return `refused (${says}); pipelines run without, or add ${names.join(', ')} as Keywords yourself before the first start`;
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
