/** Raised for settings that can't be used; `message` lists every one of them. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** One environment variable: everything that is known about it stands here. */
export interface Setting<T> {
  readonly name: string;
  /** As one would write it in `.env`. */
  readonly fallback: string;
  readonly meaning: string;
  /** @throws Error whose message is the rule that `text` breaks and what to write instead */
  readonly parse: (text: string) => T;
}

/** How a value is written. Each of the two takes back what the other does. */
export interface Notation<T> {
  /** @throws Error whose message is the rule that `text` breaks and what to write instead */
  readonly parse: (text: string) => T;
  readonly print: (value: T) => string;
}

export const text = (rule: RegExp, says: string): Notation<string> => ({
  parse: (value) => {
    if (!rule.test(value)) throw new Error(says);
    return value;
  },
  print: (value) => value,
});

export const wholeNumber = (least: number, most: number): Notation<number> => ({
  parse: (value) => {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < least || number > most) {
      throw new Error(`must be a whole number from ${least} to ${most}`);
    }
    return number;
  },
  print: String,
});

export const oneOf = <const T extends string>(words: readonly T[]): Notation<T> => ({
  parse: (value) => {
    const word = words.find((other) => other === value);
    if (word === undefined) throw new Error(`must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`);
    return word;
  },
  print: (word) => word,
});

export const trueOrFalse: Notation<boolean> = {
  parse: (value) => oneOf(['true', 'false']).parse(value) === 'true',
  print: String,
};

export const onOrOff: Notation<boolean> = {
  parse: (value) => oneOf(['on', 'off']).parse(value) === 'on',
  print: (value) => (value ? 'on' : 'off'),
};

/** @param nothing the text that stands for no value. Default: the empty one */
export const optional = <T>({ parse, print }: Notation<T>, nothing = ''): Notation<T | undefined> => ({
  parse: (value) => (value === nothing ? undefined : parse(value)),
  print: (value) => (value === undefined ? nothing : print(value)),
});

const SECONDS_IN = new Map([
  ['ms', 0.001],
  ['s', 1],
  ['m', 60],
  ['h', 3_600],
]);

/** `500ms`, `90s`, `2m`, `1h`, as seconds. A bare number would be seconds to some and milliseconds to others. */
export const seconds = (least: number, most: number): Notation<number> => ({
  parse: (value) => {
    const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(value) ?? [];
    const duration = Number(amount) * (SECONDS_IN.get(unit) ?? NaN);
    if (!(duration >= least && duration <= most)) {
      throw new Error(
        `must be a number with its unit (ms, s, m or h), such as 90s or 2m, from ${least}s to ${most}s`,
      );
    }
    // Nothing here is finer than a millisecond.
    return Math.round(duration * 1_000) / 1_000;
  },
  print: (value) => `${value}s`,
});

/** SQS takes visibility timeouts in whole seconds. */
export const wholeSeconds = (least: number, most: number): Notation<number> => {
  const { parse, print } = seconds(least, most);
  return {
    parse: (value) => {
      const duration = parse(value);
      if (!Number.isInteger(duration)) throw new Error('must be whole seconds, such as 90s or 2m');
      return duration;
    },
    print,
  };
};

export function setting<T>(
  name: string,
  fallback: string,
  meaning: string,
  parse: (value: string) => T,
): Setting<T> {
  return { name, fallback, meaning, parse };
}

/** Reads settings one by one, and collects what is wrong with them. */
export function reader(environment: Environment) {
  const problems: string[] = [];
  const read = <T>({ name, fallback, parse }: Setting<T>): T => {
    const value = environment[name]?.trim() || fallback;
    try {
      return parse(value);
    } catch (error) {
      problems.push(
        `${name} ${error instanceof Error ? error.message : String(error)}; it is ${JSON.stringify(withoutPassword(value))}`,
      );
      // Never used: the list of problems is thrown at the end. The default keeps the type honest.
      return parse(fallback);
    }
  };
  return { read, problems };
}

export function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new SettingsError(problems.join('\n'));
}

/** A URL's user name and password, where one has them in whatever way, must not reach a log. */
function withoutPassword(value: string): string {
  const [scheme] = /^[a-z][\w+.-]*:[\\/]*/i.exec(value) ?? [];
  const end = value.lastIndexOf('@');
  return scheme === undefined || end < scheme.length ? value : `${scheme}***${value.slice(end)}`;
}
