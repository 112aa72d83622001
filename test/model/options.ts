import { parseArgs } from 'node:util';
import { ORDERS, STALE_DELETIONS } from './queue';
import { calm, isOff, NUMBER_NAMES, NUMBERS, type NumberName, type Wanted } from './scenario';

export interface ModelOptions {
  seeds: readonly number[];
  scale: number;
  wanted: Wanted;
  /** Ends with the first bad seed. */
  untilBad: boolean;
  /** An event whose life is told. */
  trace?: number;
}

export const HELP = `npm run model -- --seeds 1-2000 [--scale 50] [--order back] …

Drives a lane against a queue, a lake, people, faults and clocks in virtual time, once for each seed. Prints counts and each bad seed, and
ends with 1 where there is one.

  --seeds 1-100           one seed, or two with a dash
  --scale 50              by what the lane's limits are divided: 1,200 events are to it what 60,000 are without
  --calm                  no loss, no outage, no crash, nobody; what is asked for beside it happens
  --until-bad             ends with the first bad seed
  --trace 17              tells the life of one event; with one seed

Where these are not given, the seed decides:

  --order back            where messages stand that come back: ${ORDERS.join(', ')}
  --stale nothing         what SQS does with a stale receipt while it answers success: ${STALE_DELETIONS.join(', ')}
${linesOf(NUMBER_NAMES.filter((name) => !isOff(name)))}

A lane does not withstand these yet. They are away unless they are given:

${linesOf(NUMBER_NAMES.filter(isOff))}`;

function linesOf(names: readonly NumberName[]): string {
  return names.map((name) => `  --${name.padEnd(21)} ${NUMBERS[name].means}`).join('\n');
}

/** @throws Error that says which option is wrong */
export function readOptions(args: readonly string[]): ModelOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', default: false },
      calm: { type: 'boolean', default: false },
      'until-bad': { type: 'boolean', default: false },
      seeds: { type: 'string', default: '1-100' },
      scale: { type: 'string', default: '50' },
      trace: { type: 'string' },
      order: { type: 'string' },
      stale: { type: 'string' },
      ...Object.fromEntries(NUMBER_NAMES.map((name) => [name, { type: 'string' } as const])),
    },
  });
  if (values.help) return 'help';
  const texts: Readonly<Record<string, unknown>> = values;
  const seeds = seedsOf(values.seeds);
  if (values.trace !== undefined && seeds.length > 1)
    throw new Error('--trace tells of one seed: --seeds 17');
  return {
    seeds,
    untilBad: values['until-bad'],
    scale: numberOf('scale', values.scale),
    wanted: {
      ...(values.calm ? calm() : {}),
      ...numbersIn(texts),
      ...(values.order === undefined ? {} : { order: wordOf('order', values.order, ORDERS) }),
      ...(values.stale === undefined ? {} : { stale: wordOf('stale', values.stale, STALE_DELETIONS) }),
    },
    ...(values.trace === undefined ? {} : { trace: numberOf('trace', values.trace) }),
  };
}

function numbersIn(texts: Readonly<Record<string, unknown>>): Partial<Record<NumberName, number>> {
  const given = NUMBER_NAMES.flatMap((name) => {
    const text = texts[name];
    return typeof text === 'string' ? [[name, numberOf(name, text)] as const] : [];
  });
  return Object.fromEntries(given);
}

function numberOf(option: string, text: string): number {
  const number = Number(text);
  if (text === '' || !(number >= 0)) throw new Error(`--${option} takes a number from 0; it is ${text}`);
  return number;
}

function wordOf<Word extends string>(option: string, text: string, words: readonly Word[]): Word {
  const word = words.find((one) => one === text);
  if (word === undefined) throw new Error(`--${option} takes ${words.join(', ')}; it is ${text}`);
  return word;
}

/** `7`, or `1-20`. */
function seedsOf(text: string): number[] {
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const count = Number(last) - Number(first) + 1;
  if (!(count >= 1)) throw new Error(`--seeds takes a whole number, or two with a dash; it is ${text}`);
  return Array.from({ length: count }, (_, index) => Number(first) + index);
}
