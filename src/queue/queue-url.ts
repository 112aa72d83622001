import { GetQueueUrlCommand, type SQSClient } from '@aws-sdk/client-sqs';

const known = new WeakMap<object, Map<string, string>>();

/**
 * Resolves a queue where it is used: a QueueUrl holds the host name of whoever asked for it, so it must not
 * travel between machines. Remembered per client.
 *
 * @throws the SQS client's `QueueDoesNotExist`
 */
export async function queueUrl(
  sqs: Pick<SQSClient, 'send'>,
  name: string,
  options: { abortSignal?: AbortSignal } = {},
): Promise<string> {
  const urls = known.get(sqs) ?? new Map<string, string>();
  known.set(sqs, urls);
  const url = urls.get(name);
  if (url !== undefined) return url;
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: name }), options);
  if (QueueUrl === undefined) throw new Error(`SQS named no URL for the queue ${name}`);
  urls.set(name, QueueUrl);
  return QueueUrl;
}
