import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { isAlive } from '../../local/alive';
import { eventually } from '../support/eventually';

export interface ForegroundProcessOptions {
  args?: readonly string[];
  /** Beside PATH. Default: nothing. */
  environment?: Readonly<Record<string, string>>;
  /** The working directory: one without a .env. */
  cwd: string;
}

/** A command in a process of its own, run from source. */
export class ForegroundProcess {
  /** What it has written, to stdout and to stderr. */
  output = '';
  /** Resolves, when all is written, to the exit code or the signal's name. */
  readonly exited: Promise<number | string>;
  hasExited = false;
  readonly #child: ChildProcess;

  constructor(script: string, { args = [], environment = {}, cwd }: ForegroundProcessOptions) {
    this.#child = spawn(
      process.execPath,
      ['--import', pathToFileURL(require.resolve('tsx')).href, script, ...args],
      { cwd, env: { PATH: process.env.PATH, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    this.exited = once(this.#child, 'close').then(([code, signal]) => {
      this.hasExited = true;
      return (code ?? signal) as number | string;
    });
  }

  /** Resolves to what matches, as soon as it is written. */
  async said(pattern: RegExp): Promise<RegExpExecArray> {
    const look = () => pattern.exec(this.output);
    const waited = eventually(String(pattern), () => look() !== null || this.hasExited);
    const late = await waited.catch((error: unknown) => error);
    const found = look();
    if (found) return found;
    throw new Error(`It wrote nothing like ${String(pattern)}:\n${this.output}`, { cause: late });
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  /** Ends it as a crash would, if it has not ended. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  /** The pids of the processes below it. */
  async descendants(): Promise<number[]> {
    const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=']);
    const processes = stdout
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number));
    const found = [this.#child.pid];
    for (const parent of found) {
      found.push(...processes.filter(([, ppid]) => ppid === parent).map(([pid]) => pid));
    }
    return found.slice(1).filter((pid) => pid !== undefined);
  }
}

/** Resolves when none of the processes is left. */
export async function gone(pids: readonly number[]): Promise<void> {
  await eventually(`processes ${pids.join(', ')} are gone`, () => !pids.some(isAlive));
}
