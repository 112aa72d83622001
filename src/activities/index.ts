import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { LakeStore } from '../lake/store';
import type { UploadInput } from '../lane/work';
import type { Lake } from '../pipeline/definition';
import { Queues } from '../queue/queue';
import { openSource, type SourceAccess } from '../sources/open-source';
import { adoptLake } from './adopt-lake';
import { claimQueue } from './claim-queue';
import { consumeStream } from './consume-stream';
import { deleteMessages } from './delete-messages';
import { measureQueue } from './measure-queue';
import { TaskAges } from './poll-lease';
import { receiveMessages, type ReceiveOptions } from './receive-messages';
import { uploadBatch } from './upload-batch';

type ClientsOf<Activity extends (clients: never, ...rest: never[]) => unknown> = Parameters<Activity>[0];

/** What ingest's activities need of the queue that they are given the name of, and of the lake. */
export interface IngestClients {
  queue: (name: string) => ClientsOf<typeof consumeStream>['queue'] & ClientsOf<typeof measureQueue>;
  store: (lake: Lake) => ClientsOf<typeof consumeStream>['store'];
}

/** What a lane's activities need of the queue that they are given the name of, and of the lake. */
export interface BatchClients {
  queue: (
    name: string,
  ) => ClientsOf<typeof claimQueue>['queue'] &
    ClientsOf<typeof receiveMessages>['queue'] &
    ClientsOf<typeof deleteMessages> &
    ClientsOf<typeof measureQueue>;
  store: (
    lake: Lake,
  ) => ClientsOf<typeof claimQueue>['store'] &
    ClientsOf<typeof adoptLake> &
    ClientsOf<typeof receiveMessages>['store'] &
    ClientsOf<typeof uploadBatch>;
}

/** The activities of the ingest workflow, which run on its own task queue. */
export function createIngestActivities({ queue, store }: IngestClients, access: SourceAccess = {}) {
  return {
    consumeStream: (input: Parameters<typeof consumeStream>[1]) =>
      consumeStream({ queue: queue(input.queue), store: store(input.lake) }, input, {
        open: (source, listener) => openSource(source, listener, access),
      }),
    measureQueue: (name: string, lane: string) => measureQueue(queue(name), lane),
  };
}

/** The activities of the batch workflow. */
export function createBatchActivities({ queue, store }: BatchClients, options: ReceiveOptions = {}) {
  const ofReceives = { ages: new TaskAges(), ...options };
  return {
    claimQueue: (input: Parameters<typeof claimQueue>[1]) =>
      claimQueue({ queue: queue(input.queue), store: store(input.lake) }, input),
    adoptLake: (input: Parameters<typeof adoptLake>[1]) => adoptLake(store(input.lake), input),
    receiveMessages: (input: Parameters<typeof receiveMessages>[1]) =>
      receiveMessages({ queue: queue(input.queue), store: store(input.lake) }, input, ofReceives),
    uploadBatch: (input: Parameters<typeof uploadBatch>[1]) => uploadBatch(store(lakeOf(input)), input),
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
  return {
    queue: (name: string) => queues.named(name),
    store: (lake: Lake) => new LakeStore(s3, lake),
  };
}

/** Of an upload, whose key is whole. */
function lakeOf({ bucket, acl }: UploadInput): Lake {
  return { bucket, prefix: '', ...(acl === undefined ? {} : { acl }) };
}
