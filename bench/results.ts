import { appendFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Machine } from './machine';
import type { Measurement } from './plan';

/** One measurement's outcome: what was measured, by its name. */
export type Figures = Record<string, number>;

/** One line of a results file. */
export interface Result {
  /** See {@link labelOf}: what was measured, without the round. */
  label: string;
  measurement: Measurement;
  round: number;
  /** ISO 8601. */
  at: string;
  /** Of the code that was measured; ends with `+` where files were changed. */
  commit: string;
  machine: Machine;
  figures: Figures;
}

/** @returns nothing where the file is not there */
export async function readResults(file: string): Promise<Result[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  });
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Result);
}

export async function appendResult(file: string, result: Result): Promise<void> {
  await mkdir(path.dirname(path.resolve(file)), { recursive: true });
  await appendFile(file, `${JSON.stringify(result)}\n`);
}

/** The medians of a measurement's rounds. */
export interface Summary {
  measurement: Measurement;
  rounds: number;
  /** A figure that some rounds lack is the median of the others. */
  figures: Figures;
  /** Least and most, by figure. */
  spread: Record<string, [number, number]>;
}

/** Rounds of the same measurement together, in the order in which they first came. */
export function summarise(results: readonly Result[]): Map<string, Summary> {
  const byLabel = new Map<string, Result[]>();
  for (const result of results) byLabel.set(result.label, [...(byLabel.get(result.label) ?? []), result]);
  const summaries = new Map<string, Summary>();
  for (const [label, rounds] of byLabel) {
    const [first] = rounds;
    if (!first) continue;
    const names = new Set(rounds.flatMap(({ figures }) => Object.keys(figures)));
    const valuesOf = (name: string) =>
      rounds.map(({ figures }) => figures[name]).filter((value) => value !== undefined);
    summaries.set(label, {
      measurement: first.measurement,
      rounds: rounds.length,
      figures: Object.fromEntries([...names].map((name) => [name, median(valuesOf(name))])),
      spread: Object.fromEntries(
        [...names].map((name) => [name, [Math.min(...valuesOf(name)), Math.max(...valuesOf(name))]]),
      ),
    });
  }
  return summaries;
}

/** @returns NaN of nothing */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** By linear interpolation between the two nearest. @returns NaN of nothing */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = ((sorted.length - 1) * percent) / 100;
  const [below, above] = [sorted[Math.floor(at)] ?? NaN, sorted[Math.ceil(at)] ?? NaN];
  return below + (above - below) * (at - Math.floor(at));
}
