import { SQSClient } from '@aws-sdk/client-sqs';

/** What SQS answers an operation such as `SendMessageBatch`; throws a {@link Refused} where it refuses. */
export type Operations = (operation: string, input: Record<string, unknown>) => object;

/** An error that SQS answers. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    readonly status = 400,
  ) {
    super(`${code}, said SQS`);
  }
}

/** An SQS client whose requests are answered here, by what they hold: nothing is sent. */
export function sqsClient(operations: Operations): SQSClient {
  return new SQSClient({
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
    // What is answered here has no digests.
    md5: false,
    requestHandler: {
      handle: (request: { headers: Record<string, string>; body?: unknown }) => {
        const operation = (request.headers['x-amz-target'] ?? '').replace('AmazonSQS.', '');
        const input = JSON.parse(String(request.body)) as Record<string, unknown>;
        return Promise.resolve({ response: responseTo(() => operations(operation, input)) });
      },
    },
  });
}

function responseTo(answer: () => object) {
  const headers = { 'content-type': 'application/x-amz-json-1.0' };
  const bodyOf = (value: object) => new TextEncoder().encode(JSON.stringify(value));
  try {
    return { statusCode: 200, headers, body: bodyOf(answer()) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const body = bodyOf({ __type: `com.amazonaws.sqs#${error.code}`, message: error.message });
    return { statusCode: error.status, headers, body };
  }
}
