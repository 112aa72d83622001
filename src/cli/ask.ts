import { createInterface } from 'node:readline/promises';
import { CommandError } from './errors';

/**
 * Asks a person for the name of a pipeline, before something is done that can't be undone.
 *
 * @param what is about to be done, in a sentence without its full stop
 * @throws CommandError that says `otherwise` where another name is given, or none
 */
export async function askForName(name: string, what: string, otherwise: string): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // Where nobody is there to answer, the question would be left open, and the process would end as if all were done.
  const ended = new AbortController();
  lines.once('close', () => ended.abort());
  const answer = await lines
    .question(`${what}. Type its name: `, { signal: ended.signal })
    .catch(() => '')
    .finally(() => lines.close());
  if (answer.trim() !== name) throw new CommandError(otherwise);
}
