import { randomUUID } from 'node:crypto';
import type { S3Error } from '../rules/s3-rules';
import type { SqsError } from '../rules/sqs-rules';
import type { Answer, WholeAnswer } from './upstream';

/** Codes that have the old prefix in the header for clients of the query protocol. */
const PREFIXED = new Set([
  'BatchEntryIdsNotDistinct',
  'BatchRequestTooLong',
  'EmptyBatchRequest',
  'InvalidBatchEntryId',
  'TooManyEntriesInBatchRequest',
]);
/** Codes of SQS itself that have no prefix. */
const UNPREFIXED = new Set(['InvalidMessageContents', 'ReceiptHandleIsInvalid', 'RequestThrottled']);

/** An error answer in the JSON protocol of SQS. */
export function sqsRefusal({ code, message }: SqsError, status = 400): Answer {
  const isModelled = PREFIXED.has(code) || UNPREFIXED.has(code);
  const type = isModelled ? `com.amazonaws.sqs#${code}` : `com.amazon.coral.service#${code}`;
  const queryCode = PREFIXED.has(code) ? `AWS.SimpleQueueService.${code}` : code;
  const fault = status < 500 ? 'Sender' : 'Receiver';
  return {
    ...jsonAnswer({ __type: type, message }, status),
    headers: { ...jsonHeaders(), 'x-amzn-query-error': `${queryCode};${fault}` },
  };
}

export function jsonAnswer(value: object, status = 200): WholeAnswer {
  return { status, headers: jsonHeaders(), body: Buffer.from(JSON.stringify(value)) };
}

function jsonHeaders(): Record<string, string> {
  return { 'content-type': 'application/x-amz-json-1.0', 'x-amzn-requestid': randomUUID() };
}

export function s3Refusal({ status, code, message }: S3Error): Answer {
  const id = randomUUID();
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>${id}</RequestId></Error>`;
  return {
    status,
    headers: { 'content-type': 'application/xml', 'x-amz-request-id': id },
    body: Buffer.from(body),
  };
}

/** What each service answers to a request that it does not carry out, or says it did not. */
export const OUTAGES = {
  sqs: {
    failed: () => sqsRefusal({ code: 'InternalFailure', message: 'We encountered an internal error.' }, 500),
    /** From a server in front of SQS, no JSON: celery issue 4159. */
    unavailable: (): Answer => ({
      status: 503,
      headers: { 'content-type': 'text/xml' },
      body: Buffer.from('<ServiceUnavailableException/>'),
    }),
    throttled: (fraction: number) =>
      fraction < 0.5
        ? sqsRefusal({ code: 'ThrottlingException', message: 'Rate exceeded' })
        : sqsRefusal({ code: 'RequestThrottled', message: 'Request throttled.' }, 403),
  },
  s3: {
    failed: () =>
      s3Refusal({
        status: 500,
        code: 'InternalError',
        message: 'We encountered an internal error. Please try again.',
      }),
    unavailable: () =>
      s3Refusal({
        status: 503,
        code: 'ServiceUnavailable',
        message: 'Service is unable to handle request.',
      }),
    throttled: () =>
      s3Refusal({ status: 503, code: 'SlowDown', message: 'Please reduce your request rate.' }),
  },
};
