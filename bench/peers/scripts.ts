import path from 'node:path';
import { cached, type CachedProgram, run, type Say } from '../cache';
import { startProcess } from '../processes';
import { environmentOf } from '../servers/servers';
import { type Job, type Running, together } from './peer';

const FOLDER = path.join(__dirname, 'scripts');

const ENVIRONMENT: CachedProgram = {
  name: 'scripts',
  inputs: [path.join(FOLDER, 'requirements.txt')],
  says: 'Installing boto3 and pandas for the pair of scripts, once …',
  make: async (target) => {
    const python = process.env['SLUICE_PYTHON'] || 'python3';
    const needs = 'Python 3.11 or later and a package registry';
    await run(python, ['-m', 'venv', target], { needs });
    const pip = ['-I', '-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check'];
    await run(path.join(target, 'bin/python'), [...pip, '-r', path.join(FOLDER, 'requirements.txt')], {
      needs,
    });
  },
};

/** The pair of scripts that people write by hand: bench/peers/scripts. */
export async function startScripts(job: Job): Promise<Running> {
  const python = await pythonOf(job.say);
  const start = (name: string, args: string[]) =>
    startProcess({
      command: [python, path.join(FOLDER, `${name}.py`), ...args],
      env: { ...environmentOf(job.endpoints), PYTHONUNBUFFERED: '1' },
      cwd: job.folder,
      log: path.join(job.folder, `${name}.log`),
    });
  const processes = {
    ...(job.part === 'process' ? {} : { consumer: await start('consumer', [job.sourceUrl, job.queue]) }),
    ...(job.part === 'ingest'
      ? {}
      : { processor: await start('processor', [job.queue, job.bucket, job.columns, String(job.batchRows)]) }),
  };
  return together(processes);
}

/** A copied environment still works: its python is a link, and packages are found beside it. */
async function pythonOf(say: Say): Promise<string> {
  return path.join(await cached(ENVIRONMENT, say), 'bin/python');
}
