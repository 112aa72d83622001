import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { HOST } from '../../local/ports';
import { countRequests } from '../../src/clients/aws-requests';

describe('Requests to AWS are counted', () => {
  /** What the server answers next; 200 once these are used up. */
  let statuses: number[];
  let counted: (Record<string, string> | undefined)[];
  let server: Server;
  let clients: { sqs: SQSClient; s3: S3Client };

  beforeEach(async () => {
    statuses = [];
    counted = [];
    server = createServer((request, response) => {
      request.resume().on('end', () => response.writeHead(statuses.shift() ?? 200).end());
    }).listen(0, HOST);
    await once(server, 'listening');
    const options = {
      endpoint: `http://${HOST}:${(server.address() as AddressInfo).port}`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    };
    clients = {
      sqs: new SQSClient({ ...options, maxAttempts: 1 }),
      s3: new S3Client({ ...options, forcePathStyle: true }),
    };
    countRequests(clients, {
      createCounter: (name) => {
        assert.equal(name, 'sluice_aws_requests');
        return { add: (value, tags) => void counted.push(...Array<typeof tags>(value).fill(tags)) };
      },
    });
  });

  afterEach(() => {
    clients.sqs.destroy();
    clients.s3.destroy();
    server.close();
  });

  const put = () => clients.s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'key', Body: 'a,b' }));

  it('each try by itself, with the code of what failed', async () => {
    statuses = [503];
    await put();
    assert.deepEqual(
      counted.map((tags) => ({ ...tags, outcome: tags?.outcome === 'ok' ? 'ok' : 'failed' })),
      [
        { service: 's3', operation: 'PutObject', outcome: 'failed' },
        { service: 's3', operation: 'PutObject', outcome: 'ok' },
      ],
    );
  });

  it('also those that nobody answers', async () => {
    server.close();
    server.closeAllConnections();
    const receive = new ReceiveMessageCommand({ QueueUrl: 'http://queue.invalid/1/sse_queue' });
    await assert.rejects(clients.sqs.send(receive));
    assert.deepEqual(
      counted.map((tags) => [tags?.service, tags?.operation, tags?.outcome === 'ok']),
      [['sqs', 'ReceiveMessage', false]],
    );
  });
});
