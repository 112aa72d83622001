import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { access, copyFile, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { withLock } from '../local/lock';
import { StackError } from '../local/stack-error';

/** Where the programs that are measured and served with are kept: they take minutes to build, and are not this project's. */
const CACHE = path.join(process.env['XDG_CACHE_HOME'] || path.join(homedir(), '.cache'), 'sluice-bench');

/** Told when something slow begins. */
export type Say = (line: string) => void;

export interface CachedProgram {
  /** What is made, with its version: the name of its file or folder in the cache. */
  name: string;
  /** Files that decide what is made: another content is made anew. */
  inputs: readonly string[];
  /** Said before it is made. */
  says: string;
  /** Makes it at `target`, which is not there yet. */
  make: (target: string) => Promise<void>;
}

/**
 * A program of the benchmark, made once per machine.
 *
 * @returns its file or folder
 * @throws StackError when it can't be made
 */
export async function cached({ name, inputs, says, make }: CachedProgram, say: Say): Promise<string> {
  const target = path.join(CACHE, await stamped(name, inputs));
  if (await exists(target)) return target;
  await mkdir(CACHE, { recursive: true });
  await withLock(`${target}.lock`, async () => {
    if (await exists(target)) return;
    say(says);
    const unfinished = `${target}.unfinished`;
    await rm(unfinished, { recursive: true, force: true });
    await make(unfinished);
    await rename(unfinished, target);
  });
  return target;
}

/** Whether a program is there without making it. */
export async function isCached({ name, inputs }: CachedProgram): Promise<boolean> {
  return await exists(path.join(CACHE, await stamped(name, inputs)));
}

/**
 * Runs a program that makes another.
 *
 * @throws StackError with the last lines that it wrote
 */
export async function run(
  command: string,
  args: string[],
  { cwd, env = {}, needs }: { cwd?: string; env?: Record<string, string>; needs: string },
): Promise<void> {
  try {
    await promisify(execFile)(command, args, {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, ...env },
      maxBuffer: 64 * 1024 * 1024,
    });
  } catch (error) {
    const { code, stderr = '', stdout = '' } = error as { code?: string; stderr?: string; stdout?: string };
    const lastLines = (stderr.trim() || stdout.trim()).split('\n').slice(-5).join('\n');
    throw new StackError(
      `${command} ${args.join(' ')} failed${code === 'ENOENT' ? ': it is not installed' : ''}. It needs ${needs}.\n${lastLines}`,
    );
  }
}

/** Copies files into a folder that it makes. */
export async function copyInto(folder: string, files: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const file of files) await copyFile(file, path.join(folder, path.basename(file)));
}

async function stamped(name: string, inputs: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of inputs) hash.update(await readFile(file));
  return `${name}-${hash.digest('hex').slice(0, 12)}`;
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  );
}
