import type { Client } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../pipeline/names';
import { SETTINGS } from '../settings/pipeline';
import type { Environment } from '../settings/setting';
import type { Context } from './context';
import { UsageError } from './errors';
import { addSearchAttributes, hasSearchAttributes } from './search-attributes';

/** 14 days, the most that SQS allows: better late than forgotten. No redrive: what waits for days is not poison. */
const RETENTION_SECONDS = 14 * 24 * 60 * 60;

/**
 * `sluice provision`: makes the queue, the bucket and Temporal's search attributes. What is there stays; run it as often as
 * you like. Where search attributes are refused, a pipeline runs without.
 */
export async function provision(context: Context, options: { json?: boolean } = {}): Promise<void> {
  requireNames(process.env);
  await provide(context, options);
}

/** As {@link provision}, whatever the names are. */
export async function provide(context: Context, { json = false }: { json?: boolean } = {}): Promise<void> {
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

/**
 * The names that settings have by default are the demo's. In AWS a bucket's name is everybody's, and another's bucket would be taken for ours.
 *
 * @param environment its endpoints say whether requests go to AWS
 * @throws UsageError where a name would be made there that nobody chose
 */
export function requireNames(environment: Environment): void {
  const isSet = (name: string): boolean => (environment[name] ?? '') !== '';
  const parts = [
    { setting: SETTINGS.queue.name, endpoint: 'AWS_ENDPOINT_URL_SQS' },
    { setting: SETTINGS.lake.bucket, endpoint: 'AWS_ENDPOINT_URL_S3' },
  ];
  const unnamed = parts.filter(
    ({ setting, endpoint }) => !isSet(setting.name) && !isSet(endpoint) && !isSet('AWS_ENDPOINT_URL'),
  );
  if (unnamed.length === 0) return;
  const names = unnamed.map(({ setting }) => setting.name).join(' and ');
  throw new UsageError(
    `${names} must be set for AWS itself: the defaults are names of the demo, and names of buckets are shared by all accounts. ` +
      'For an emulator set AWS_ENDPOINT_URL',
  );
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
