import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { ListQueuesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { HOST } from '../../local/ports';
import { describeError, isTransient } from '../../src/clients/aws-errors';

const HOUR = 3_600_000;

const SQS_TYPE = 'com.amazon.coral.service#';

describe('An error of AWS', () => {
  let server: Server;
  let sqs: SQSClient;
  let s3: S3Client;
  let answer: { status: number; body: string; date: Date | undefined };

  beforeEach(async () => {
    server = createServer((request, response) => {
      request.resume().on('end', () => {
        const { status, body, date } = answer;
        response.sendDate = false;
        if (date) response.setHeader('Date', date.toUTCString());
        response.writeHead(status).end(body);
      });
    }).listen(0, HOST);
    await once(server, 'listening');
    const client = {
      endpoint: `http://${HOST}:${(server.address() as AddressInfo).port}`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
    };
    sqs = new SQSClient(client);
    s3 = new S3Client({ ...client, forcePathStyle: true });
  });

  afterEach(() => {
    sqs.destroy();
    s3.destroy();
    server.closeAllConnections();
    server.close();
  });

  /** What SQS refuses with. @param aheadMs by which this machine's clock is ahead of the answer's; undefined: it has no date */
  async function ofSqs(name: string, message: string, aheadMs?: number): Promise<unknown> {
    const body = JSON.stringify({ __type: `${SQS_TYPE}${name}`, message });
    answer = { status: 403, body, date: dateOf(aheadMs) };
    return await sqs.send(new ListQueuesCommand({})).catch((error: unknown) => error);
  }

  /** What S3 refuses with. */
  async function ofS3(code: string, message: string, aheadMs?: number): Promise<unknown> {
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
    answer = { status: 403, body, date: dateOf(aheadMs) };
    const put = new PutObjectCommand({ Bucket: 'bucket', Key: 'key', Body: 'a' });
    return await s3.send(put).catch((error: unknown) => error);
  }

  const dateOf = (aheadMs: number | undefined) =>
    aheadMs === undefined ? undefined : new Date(Date.now() - aheadMs);

  const EXPIRED = 'Signature expired: 20260131T120000Z is now earlier than 20260131T214500Z';
  const EARLY = 'Signature not yet current: 20260131T220000Z is still later than 20260131T121500Z';
  const WRONG = 'The request signature we calculated does not match the signature you provided.';
  const SKEWED = 'The difference between the request time and the current time is too large.';

  for (const [what, failing, words] of [
    [
      'of SQS, for a clock that is behind',
      () => ofSqs('InvalidSignatureException', EXPIRED, -10 * HOUR),
      '10 h behind AWS’s',
    ],
    [
      'of SQS, for a clock that is ahead',
      () => ofSqs('InvalidSignatureException', EARLY, 10 * HOUR),
      '10 h ahead of AWS’s',
    ],
    ['of SQS, without a date', () => ofSqs('InvalidSignatureException', EXPIRED), 'may be off'],
    ['of S3', () => ofS3('RequestTimeTooSkewed', SKEWED, 20 * 60_000), '20 min ahead of AWS’s'],
    ['of S3, by its date alone', () => ofS3('SignatureDoesNotMatch', WRONG, -HOUR), '60 min behind AWS’s'],
    [
      'of S3, for one signed too long ago',
      () => ofS3('RequestExpired', 'Request has expired', 0),
      'may be off',
    ],
  ] as const) {
    it(`${what} may be over at the next try, and says what to do`, async () => {
      const error = await failing();
      assert(isTransient(error), describeError(error));
      assert(describeError(error).includes(words), describeError(error));
      assert.match(describeError(error), /set it \(NTP\)$/);
    });
  }

  for (const [what, failing] of [
    ['of SQS', () => ofSqs('InvalidSignatureException', WRONG, 0)],
    ['of SQS, without a date', () => ofSqs('InvalidSignatureException', WRONG)],
    ['of S3', () => ofS3('SignatureDoesNotMatch', WRONG, 60_000)],
  ] as const) {
    it(`${what} for a wrong secret stays, and says nothing of clocks`, async () => {
      const error = await failing();
      assert(!isTransient(error));
      assert.doesNotMatch(describeError(error), /clock/);
    });
  }

  it('of a permission stays, however far the clock is off', async () => {
    assert(!isTransient(await ofS3('AccessDenied', 'Access Denied', HOUR)));
  });
});
