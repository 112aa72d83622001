import { CommanderError } from 'commander';
import { CommandError } from '../src/cli/errors';
import { SettingsError } from '../src/settings/setting';
import { StackError } from './stack-error';

/** What was started, the newest last: all of it is ended in the opposite order, however the command ends. */
export type Endings = (() => Promise<unknown>)[];

/** What a command that holds the terminal is given. */
export interface Foreground {
  endings: Endings;
  /** Resolves at the first Ctrl-C or SIGTERM. The next one ends the process at once. */
  interrupted: Promise<'interrupted'>;
}

/** Exit code for a wrong option or setting. */
const WRONG_USE = 2;

/** Exit code, as a shell tells of a process that SIGINT ended. */
export const INTERRUPTED = 130;

/** A terminal sends Ctrl-C to npm and to its child, and npm hands its own on: within this time, they are one. */
const SAME_KEY_MS = 500;

/**
 * Runs a command until it returns its exit code, ends what it started, and then the process, even if some of it still
 * waits for something that no longer answers. Servers of the embedded stack end with the process in any case.
 */
export async function runInForeground(command: (foreground: Foreground) => Promise<number>): Promise<void> {
  const endings: Endings = [];
  try {
    process.exitCode = await endAfter(endings, () => command({ endings, interrupted: interruption() }));
  } catch (error) {
    process.exitCode = report(error);
  }
  process.exit();
}

/** @returns the exit code */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has said it; `--help`, too, ends with one.
    return error.exitCode === 0 ? 0 : WRONG_USE;
  }
  const isForPeople = [StackError, CommandError, SettingsError].some((type) => error instanceof type);
  console.error(isForPeople && error instanceof Error ? error.message : error);
  return error instanceof SettingsError ? WRONG_USE : 1;
}

async function endAfter<T>(endings: Endings, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    for (let end = endings.pop(); end; end = endings.pop()) await end();
  }
}

function interruption(): Promise<'interrupted'> {
  return new Promise((resolve) => {
    let firstAt: number | undefined;
    const interrupt = () => {
      firstAt ??= performance.now();
      if (performance.now() - firstAt > SAME_KEY_MS) process.exit(INTERRUPTED);
      resolve('interrupted');
    };
    process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  });
}
