import { Client, Connection } from '@temporalio/client';
import { awsClients } from '../clients/aws';
import { dataConverter } from '../clients/payload-codec';
import { temporalConnectConfig } from '../clients/temporal';
import { LakeStore } from '../lake/store';
import type { PipelineDefinition } from '../pipeline/definition';
import { Queue } from '../queue/queue';
import { loadPipeline } from '../settings/pipeline';
import { printableLines } from '../printable';
import { CommandError } from './errors';

/** What every command works with. */
export interface Context {
  pipeline: PipelineDefinition;
  temporal: Client;
  /** The pipeline's. */
  queue: Queue;
  /** Where the pipeline writes. */
  store: LakeStore;
  /** Writes a line, or some, for a person: what could act on a terminal is shown as `\u001b`. */
  say: (line: string) => void;
  /** Writes lines as they are: what steers the terminal, or goes to a file. */
  write: (lines: string) => void;
}

export interface ContextOptions {
  /** Whether the command talks to Temporal. Default: it does. */
  needsTemporal?: boolean;
}

/** Opens the connections for one command, and closes them after it. */
export async function withContext<T>(
  work: (context: Context) => Promise<T>,
  { needsTemporal = true }: ContextOptions = {},
): Promise<T> {
  const pipeline = loadPipeline(process.env);
  const { connectionOptions, namespace = 'default' } = temporalConnectConfig(process.env);
  const connection = Connection.lazy(connectionOptions);
  const { sqs, s3 } = awsClients();
  try {
    if (needsTemporal) await ensureConnected(connection, connectionOptions.address ?? 'localhost:7233');
    const temporal = new Client({ connection, namespace, dataConverter });
    const queue = new Queue(sqs, pipeline.queue.name);
    const store = new LakeStore(s3, pipeline.lake);
    const say = (line: string) => console.log(printableLines(line));
    return await work({ pipeline, temporal, queue, store, say, write: (lines) => console.log(lines) });
  } finally {
    sqs.destroy();
    s3.destroy();
    await connection.close();
  }
}

async function ensureConnected(connection: Connection, address: string): Promise<void> {
  try {
    await connection.ensureConnected();
  } catch (error) {
    throw new CommandError(`Temporal does not answer at ${address} (set TEMPORAL_ADDRESS): ${String(error)}`);
  }
}
