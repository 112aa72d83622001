import path from 'node:path';
import { parseColumns } from '../../src/rows/columns';
import { cached, type CachedProgram, copyInto, run } from '../cache';
import { startProcess } from '../processes';
import { environmentOf } from '../servers/servers';
import { type Job, type Running, together } from './peer';

const FOLDER = path.join(__dirname, 'bento');
const SOURCES = ['main.go', 'go.mod', 'go.sum'].map((file) => path.join(FOLDER, file));

export const BENTO: CachedProgram = {
  name: 'bento-1.20.0',
  inputs: SOURCES,
  says: 'Building Bento 1.20.0 with Go, once: about eight minutes …',
  make: async (target) => {
    await copyInto(target, SOURCES);
    await run('go', ['build', '-trimpath', '-ldflags=-s -w', '-o', 'bento', '.'], {
      cwd: target,
      needs: 'Go 1.26 or later',
    });
  },
};

/** Bento 1.20.0 with the configurations in bench/peers/bento, one process for each half. */
export async function startBento(job: Job): Promise<Running> {
  return await startWith(job, '');
}

/** The same with a hundred events in a message, as its user could write it. */
export async function startPackedBento(job: Job): Promise<Running> {
  return await startWith(job, 'packed-');
}

async function startWith(job: Job, kind: '' | 'packed-'): Promise<Running> {
  const binary = path.join(await cached(BENTO, job.say), 'bento');
  const columns = parseColumns(job.columns);
  const env = {
    ...environmentOf(job.endpoints),
    STREAM_URL: job.sourceUrl,
    QUEUE_URL: job.queueUrl,
    BUCKET: job.bucket,
    BATCH_ROWS: String(job.batchRows),
    BATCH_PERIOD: '5s',
    HEADER: columns.map(({ name }) => name).join(','),
    ROW: columns.map(({ path: at }) => `this.${at}.apply("cell")`).join(', '),
  };
  const start = (name: string) =>
    startProcess({
      command: [binary, '-c', path.join(FOLDER, `${kind}${name}.yaml`)],
      env,
      cwd: job.folder,
      log: path.join(job.folder, `bento-${name}.log`),
    });
  const processes = {
    ...(job.part === 'process' ? {} : { 'bento ingest': await start('ingest') }),
    ...(job.part === 'ingest' ? {} : { 'bento process': await start('process') }),
  };
  return together(processes);
}
