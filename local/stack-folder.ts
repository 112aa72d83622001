import { readdir } from 'node:fs/promises';
import { isAlive } from './alive';
import { withLock } from './lock';
import { StackError } from './stack-error';

/**
 * Runs `work` while no other process has a stack with its state in this folder.
 *
 * @throws StackError at once when one has
 */
export async function withStackFolder<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const lock = `${folder}.lock`;
  const [owner] = await readdir(lock).catch(() => []);
  if (owner !== undefined && isAlive(Number(owner))) {
    throw new StackError(`A stack with its state in ${folder} is running (process ${owner}): end it first.`);
  }
  return await withLock(lock, work);
}
