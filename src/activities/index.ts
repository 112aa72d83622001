import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { openSource, type SourceAccess } from '../sources/open-source';
import { claimQueue } from './claim-queue';
import { consumeStream } from './consume-stream';
import { deleteMessages } from './delete-messages';
import { measureQueue } from './measure-queue';
import { receiveMessages } from './receive-messages';
import { uploadBatch } from './upload-batch';

export interface ActivityClients {
  sqs: Pick<SQSClient, 'send'>;
  s3: Pick<S3Client, 'send'>;
}

/** The activities of the ingest workflow, which run on its own task queue. */
export function createIngestActivities(clients: ActivityClients, access: SourceAccess = {}) {
  return {
    consumeStream: (input: Parameters<typeof consumeStream>[1]) =>
      consumeStream(clients, input, {
        open: (source, listener) => openSource(source, listener, access),
      }),
  };
}

/** The activities of the batch workflow. */
export function createBatchActivities({ sqs, s3 }: ActivityClients) {
  return {
    claimQueue: (input: Parameters<typeof claimQueue>[1]) => claimQueue({ sqs, s3 }, input),
    receiveMessages: (input: Parameters<typeof receiveMessages>[1]) => receiveMessages({ sqs, s3 }, input),
    uploadBatch: (input: Parameters<typeof uploadBatch>[1]) => uploadBatch(s3, input),
    deleteMessages: (input: Parameters<typeof deleteMessages>[1]) => deleteMessages(sqs, input),
    measureQueue: (queue: string) => measureQueue(sqs, queue),
  };
}

export type IngestActivities = ReturnType<typeof createIngestActivities>;
export type BatchActivities = ReturnType<typeof createBatchActivities>;
