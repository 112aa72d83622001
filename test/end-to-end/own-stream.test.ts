import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { readCsv } from '../../src/lake/reader';
import { freePort } from '../../local/ports';
import type { Ledger } from '../../local/simulated-stream/ledger';
import { eventually } from '../support/eventually';
import { Pipeline, type WorkerProcess } from './pipeline';

const README = join(__dirname, '../../README.md');

/** The server of the README's section, as it stands there. */
class Readings {
  /** An audit needs one; here rows are counted. */
  readonly ledger: Ledger = { published: [], broken: [], canaries: 0, withheld: [] };
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(
    child: ChildProcess,
    folder: string,
    readonly url: string,
  ) {
    this.#child = child;
    this.#folder = folder;
  }

  static async start(): Promise<Readings> {
    const section = (await readFile(README, 'utf8')).split('## Your own SSE stream')[1] ?? '';
    const [, program = ''] = /```js\n([^]*?)```/.exec(section) ?? [];
    assert.match(program, /createServer/);
    const folder = await mkdtemp(join(tmpdir(), 'sluice-readings-'));
    await writeFile(join(folder, 'readings.mjs'), program);
    const port = await freePort();
    const child = spawn(process.execPath, [join(folder, 'readings.mjs')], {
      env: { ...process.env, PORT: String(port) },
      stdio: 'inherit',
    });
    return new Readings(child, folder, `http://127.0.0.1:${port}/`);
  }

  /** Publishes no more, with its connections open. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  async close(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
    await rm(this.#folder, { recursive: true });
  }
}

describe('The README’s own SSE stream', function () {
  this.timeout(300_000);
  let pipeline: Pipeline<Readings>;

  before(async () => {
    const stream = await Readings.start();
    pipeline = await Pipeline.of(stream, {
      SLUICE_SOURCE_URL: stream.url,
      SLUICE_PREFIX: 'readings',
      SLUICE_COLUMNS: 'sensor,temp',
      SLUICE_BATCH_ROWS: '20',
      SLUICE_FLUSH_AFTER: '2s',
      SLUICE_VISIBILITY_TIMEOUT: '8s',
    });
  });

  after(() => pipeline.close());

  /** The keys of all rows. */
  async function keys(): Promise<string[]> {
    const { Contents = [] } = await pipeline.list('readings/date=');
    const objects = await Promise.all(
      Contents.map(async ({ Key }) => {
        const { Body } = await pipeline.s3.send(new GetObjectCommand({ Bucket: 'sse-bucket', Key }));
        const csv = readCsv((await Body?.transformToByteArray()) ?? new Uint8Array());
        assert(csv.ok);
        return csv.rows.map((cells) => cells[csv.header.indexOf('_key')] ?? '');
      }),
    );
    return objects.flat();
  }

  it('becomes one row for each reading, though all are equal, over kills of the worker', async () => {
    await pipeline.sluice('provision');
    await pipeline.sluice('start');
    let worker: WorkerProcess = pipeline.startWorker();
    // More than a worker that was killed can have left in the queue: those rows say nothing of the next one.
    const moreRows = async () => {
      const before = (await keys()).length;
      await eventually('more rows', async () => (await keys()).length >= before + 80);
    };
    for (let kills = 1; kills <= 3; kills += 1) {
      await moreRows();
      worker.signal('SIGKILL');
      await worker.exited;
      worker = pipeline.startWorker();
    }
    await moreRows();
    pipeline.stream.freeze();
    await eventually('a row for each reading, and no more', async () => {
      const { ingest } = await pipeline.status();
      return (await keys()).length === Number(ingest.cursor.lastEventId) + 1;
    });
    await pipeline.sluice('stop', '--wait');

    const { ingest } = await pipeline.status();
    assert.deepEqual([ingest.identity, ingest.canResume], ['id', true]);
    const rows = await keys();
    assert.equal(rows.length, Number(ingest.cursor.lastEventId) + 1);
    assert.equal(new Set(rows).size, rows.length);
    assert.match(
      await pipeline.sluice('verify', '--grace', '0s'),
      /Everything was checked: nothing was found/,
    );
  });
});
