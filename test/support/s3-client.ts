import { Readable } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';

export interface S3Request {
  method: string;
  /** Bucket and key. */
  path: string;
  query: Record<string, string>;
  headers: Record<string, string>;
}

export interface S3Response {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
}

/** What S3 answers an error with. */
export function refusal(status: number, code: string): S3Response {
  return { status, body: `<Error><Code>${code}</Code><Message>${code}, said S3</Message></Error>` };
}

/** An S3 client whose requests are answered here: nothing is sent. */
export function s3Client(answer: (request: S3Request) => S3Response, region = 'us-east-1'): S3Client {
  return new S3Client({
    region,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    forcePathStyle: true,
    maxAttempts: 1,
    requestHandler: {
      handle: (request: S3Request) => {
        const { status = 200, headers = {}, body = '' } = answer(request);
        const response = { statusCode: status, headers, body: Readable.from([Buffer.from(body)]) };
        return Promise.resolve({ response });
      },
    },
  });
}
