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
  const { pipeline, temporal, queue, store, say } = context;
  const { lake } = pipeline;
  const made = {
    queue: { name: queue.name, state: await queue.provide(RETENTION_SECONDS) },
    bucket: { name: lake.bucket, state: await provideBucket(store) },
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

async function provideBucket(store: Context['store']): Promise<'there' | 'created'> {
  if (await store.bucketExists()) return 'there';
  await store.createBucket();
  return 'created';
}
