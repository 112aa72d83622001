import { UsageError } from './errors';

/**
 * An option of the command line, by the rules of a setting.
 *
 * @returns undefined where it is not given
 * @throws UsageError with the rule and what was given
 */
export function option<T>(name: string, text: string | undefined, parse: (text: string) => T): T | undefined {
  try {
    return text === undefined ? undefined : parse(text);
  } catch (error) {
    const rule = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${name} ${rule}; it is ${JSON.stringify(text)}`);
  }
}
