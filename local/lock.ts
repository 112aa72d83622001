import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive } from './alive';
import { StackError } from './stack-error';

const POLL_MS = 100;
const GIVE_UP_MS = 10 * 60_000;

/**
 * Runs `work` while this process owns a lock directory, so that no two processes do it at once. The lock of a
 * process that died is taken over.
 *
 * The directory's only entry is a file named after the owner's pid. An empty directory is a free lock.
 *
 * @param directory is made if need be, and left behind empty
 * @throws StackError when another live process has held the lock for ten minutes
 */
export async function withLock<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + GIVE_UP_MS;
  while (!(await take(directory))) {
    if (Date.now() > deadline) {
      throw new StackError(
        `${directory} has been locked for ten minutes: end the process whose number is the name of the file in it, or delete the directory.`,
      );
    }
    await freeIfOwnerDied(directory);
    await delay(POLL_MS);
  }
  try {
    return await work();
  } finally {
    await rm(path.join(directory, String(process.pid)));
  }
}

/** rename(2) puts the directory there with its owner in one step, and replaces nothing but an empty directory. */
async function take(directory: string): Promise<boolean> {
  await mkdir(path.dirname(directory), { recursive: true });
  const candidate = await mkdtemp(`${directory}-`);
  await writeFile(path.join(candidate, String(process.pid)), '');
  try {
    await rename(candidate, directory);
    return true;
  } catch (error) {
    await rm(candidate, { recursive: true });
    if (hasCode(error, 'ENOTEMPTY') || hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Removes the dead owner's file by its name: a lock that someone else has taken since then stays whole. */
async function freeIfOwnerDied(directory: string): Promise<void> {
  for (const owner of await readdir(directory)) {
    if (!isAlive(Number(owner))) await rm(path.join(directory, owner), { force: true });
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
