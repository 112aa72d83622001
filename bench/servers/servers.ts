import path from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { startMotoServer } from '../../local/moto-server';
import type { Say } from '../cache';
import { startElasticMq } from './elasticmq';
import { CREDENTIALS, startMinio } from './minio';

/** `moto` as in the demo; `fast`: ElasticMQ and MinIO, whose cost does not grow with the backlog. */
export const SERVERS = ['moto', 'fast'] as const;
export type ServersName = (typeof SERVERS)[number];

export interface Endpoints {
  sqs: string;
  s3: string;
}

/** An SQS and an S3 on this machine. */
export interface Servers {
  name: ServersName;
  endpoints: Endpoints;
  /** Of their processes, by what to call them in a table. */
  pids: Record<string, number>;
  stop(): Promise<void>;
}

/** Starts one pair; ended by its pids. */
export async function startServers(name: ServersName, folder: string, say: Say): Promise<Servers> {
  if (name === 'moto') {
    const moto = await startMotoServer({ log: say });
    const { url } = moto;
    return {
      name,
      endpoints: { sqs: url, s3: url },
      pids: { moto: moto.pid },
      stop: () => moto.stop(),
    };
  }
  const sqs = await startElasticMq(path.join(folder, 'elasticmq'), say);
  const s3 = await startMinio(folder, say).catch(async (error: unknown) => {
    await sqs.stop();
    throw error;
  });
  return {
    name,
    endpoints: { sqs: sqs.url, s3: s3.url },
    pids: { ElasticMQ: sqs.pid, MinIO: s3.pid },
    stop: async () => {
      await Promise.all([sqs.stop(), s3.stop()]);
    },
  };
}

/** Environment variables that point any AWS client at the servers. */
export function environmentOf({ sqs, s3 }: Endpoints): Record<string, string> {
  return {
    AWS_ENDPOINT_URL_SQS: sqs,
    AWS_ENDPOINT_URL_S3: s3,
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

/** Clients of the benchmark's own, apart from those that are measured. */
export function clientsOf({ sqs, s3 }: Endpoints): { sqs: SQSClient; s3: S3Client } {
  // On Node 20 it warns at every start, of later releases than the one that is pinned here.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const common = { region: 'us-east-1', credentials: CREDENTIALS };
  return {
    sqs: new SQSClient({ ...common, endpoint: sqs, useQueueUrlAsEndpoint: false }),
    s3: new S3Client({ ...common, endpoint: s3, forcePathStyle: true }),
  };
}
