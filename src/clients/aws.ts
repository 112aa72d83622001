import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';

/** Longer than a long poll of 20 s, shorter than an activity's 60 s. */
const REQUEST_TIMEOUT_MS = 35_000;

/**
 * The AWS SDK's 50 sockets would be taken by the long polls of 50 idle lanes, and a poll that waits for one counts as lost. What bounds
 * requests are the slots of the Workers (src/workers/slots.ts).
 */
const agent = { keepAlive: true, maxSockets: Infinity };

const requestHandler = {
  httpAgent: agent,
  httpsAgent: agent,
  connectionTimeout: 5_000,
  requestTimeout: REQUEST_TIMEOUT_MS,
  throwOnRequestTimeout: true,
};

/**
 * The AWS clients of a worker or a command. Region, credentials and endpoints come the SDK's usual ways
 * (AWS_REGION, AWS_ENDPOINT_URL and so on).
 */
export function awsClients(): { sqs: SQSClient; s3: S3Client } {
  // On Node 20 it warns at every start, of later releases than the one that is pinned here.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const isLocal = Boolean(process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL);
  const clients = {
    sqs: new SQSClient({
      requestHandler,
      // A receive that the SDK repeats in silence has hidden messages. Who sends and deletes tries again by itself.
      maxAttempts: 1,
      // A QueueUrl holds the host name that whoever created it used.
      useQueueUrlAsEndpoint: false,
    }),
    // moto and its like don't serve buckets as host names.
    s3: new S3Client({ requestHandler, forcePathStyle: isLocal }),
  };
  // It copies all that is sent and received for a logger that nobody has set.
  for (const { middlewareStack } of Object.values(clients)) middlewareStack.remove('loggerMiddleware');
  return clients;
}
