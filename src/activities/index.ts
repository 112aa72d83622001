import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { Queues } from '../queue/queue';
import { openSource, type SourceAccess } from '../sources/open-source';
import { claimQueue } from './claim-queue';
import { consumeStream } from './consume-stream';
import { deleteMessages } from './delete-messages';
import { measureQueue } from './measure-queue';
import { receiveMessages } from './receive-messages';
import { uploadBatch } from './upload-batch';

type ClientsOf<Activity extends (clients: never, ...rest: never[]) => unknown> = Parameters<Activity>[0];

/** What ingest's activities need of the queue that they are given the name of, and of the lake. */
export interface IngestClients {
  queue: (name: string) => ClientsOf<typeof consumeStream>['queue'];
  s3: ClientsOf<typeof consumeStream>['s3'];
}

/** What a lane's activities need of the queue that they are given the name of, and of the lake. */
export interface BatchClients {
  queue: (
    name: string,
  ) => ClientsOf<typeof claimQueue>['queue'] &
    ClientsOf<typeof receiveMessages>['queue'] &
    ClientsOf<typeof deleteMessages> &
    ClientsOf<typeof measureQueue>;
  s3: Pick<S3Client, 'send'>;
}

/** The activities of the ingest workflow, which run on its own task queue. */
export function createIngestActivities({ queue, s3 }: IngestClients, access: SourceAccess = {}) {
  return {
    consumeStream: (input: Parameters<typeof consumeStream>[1]) =>
      consumeStream({ queue: queue(input.queue), s3 }, input, {
        open: (source, listener) => openSource(source, listener, access),
      }),
  };
}

/** The activities of the batch workflow. */
export function createBatchActivities({ queue, s3 }: BatchClients) {
  return {
    claimQueue: (input: Parameters<typeof claimQueue>[1]) =>
      claimQueue({ queue: queue(input.queue), s3 }, input),
    receiveMessages: (input: Parameters<typeof receiveMessages>[1]) =>
      receiveMessages({ queue: queue(input.queue), s3 }, input),
    uploadBatch: (input: Parameters<typeof uploadBatch>[1]) => uploadBatch(s3, input),
    deleteMessages: (input: Parameters<typeof deleteMessages>[1]) =>
      deleteMessages(queue(input.queue), input),
    measureQueue: (name: string) => measureQueue(queue(name)),
  };
}

export type IngestActivities = ReturnType<typeof createIngestActivities>;
export type BatchActivities = ReturnType<typeof createBatchActivities>;

/** What all activities of a worker work with. Made once: a queue's URL is asked for once. */
export function activityClients({ sqs, s3 }: { sqs: SQSClient; s3: S3Client }): IngestClients & BatchClients {
  const queues = new Queues(sqs);
  return { queue: (name: string) => queues.named(name), s3 };
}
