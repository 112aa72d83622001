import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import {
  CreateQueueCommand,
  ListQueueTagsCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { type MotoServer, startMotoServer } from '../../local/moto-server';

const QueueName = 'sse_queue';
const object = { Bucket: 'sse-bucket', Key: 'a/b.csv' };

describe('moto with a file for its state', () => {
  let folder: string;
  let moto: MotoServer;
  const endings: (() => Promise<void>)[] = [];

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-moto-'));
    process.env.SLUICE_MOTO_STATE = path.join(folder, 'moto.pickle');
    moto = await startMotoServer();
    endings.push(() => moto.stop());
  });

  after(async () => {
    delete process.env.SLUICE_MOTO_STATE;
    for (const end of endings.toReversed()) await end();
    await rm(folder, { recursive: true });
  });

  function clients(): { sqs: SQSClient; s3: S3Client } {
    const options = {
      endpoint: moto.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    };
    const sqs = new SQSClient({ ...options, useQueueUrlAsEndpoint: false });
    const s3 = new S3Client({ ...options, forcePathStyle: true });
    return { sqs, s3 };
  }

  it('has queues, messages, tags and objects after a restart, and what was received stays hidden', async () => {
    const { sqs, s3 } = clients();
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName, tags: { owner: 'me' } }));
    const sent = await Promise.all(
      ['one', 'two'].map((MessageBody) => sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }))),
    );
    const { Messages: [received] = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 1, VisibilityTimeout: 600 }),
    );
    await s3.send(new CreateBucketCommand({ Bucket: object.Bucket }));
    await s3.send(new PutObjectCommand({ ...object, Body: 'rows', Metadata: { digest: '7' } }));

    const { port } = moto;
    await moto.stop();
    moto = await startMotoServer({ port });

    const { Tags } = await sqs.send(new ListQueueTagsCommand({ QueueUrl }));
    assert.deepEqual(Tags, { owner: 'me' });
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }),
    );
    const left = sent.map(({ MessageId }) => MessageId).filter((id) => id !== received?.MessageId);
    assert.deepEqual(
      Messages.map(({ MessageId }) => MessageId),
      left,
    );
    const { Body, Metadata } = await s3.send(new GetObjectCommand(object));
    assert.equal(await Body?.transformToString(), 'rows');
    assert.deepEqual(Metadata, { digest: '7' });
    await assert.rejects(s3.send(new PutObjectCommand({ ...object, Body: 'others', IfNoneMatch: '*' })), {
      name: 'PreconditionFailed',
    });
    sqs.destroy();
    s3.destroy();
  });

  it('begins with nothing that another user could have written', async () => {
    const { port } = moto;
    await moto.stop();
    const restarts = () => startMotoServer({ port });
    const file = path.join(folder, 'moto.pickle');
    for (const [place, others, own] of [
      [file, 0o666, 0o600],
      [folder, 0o777, 0o700],
    ] as const) {
      await chmod(place, others);
      await assert.rejects(restarts, (error: Error) => {
        assert.ok(
          error.message.includes(`moto reads no state from ${place}, since others can write there`),
          error.message,
        );
        return true;
      });
      await chmod(place, own);
    }
    moto = await restarts();
  });

  it('writes its state over nothing that lies in its way', async () => {
    const file = path.join(folder, 'moto.pickle');
    await writeFile(`${file}.new`, 'of somebody', { mode: 0o666 });
    const { port } = moto;
    await moto.stop();
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    moto = await startMotoServer({ port });
  });
});
