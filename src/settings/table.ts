import type { PipelineDefinition } from '../pipeline/definition';
import type { Notation, Setting } from './setting';

/** One setting of a pipeline. It stands in the table where its value stands in the definition. */
export interface PipelineSetting<T> extends Setting<T>, Notation<T> {
  readonly changes: Changes<T>;
}

/** When a running pipeline may be given another value, and why it may not. */
export type Changes<T> =
  | { readonly may: 'always' }
  | {
      readonly may: 'until read' | 'never';
      /** @returns the words of a refusal; undefined where these two values mean the same */
      readonly why: (wanted: T, running: T) => string | undefined;
    };

/**
 * A setting for each member of the definition, in the definition's shape: the compiler refuses a member without a
 * setting, and a setting without a member. Members are loaded in the order of the table.
 */
export type SettingsTable = {
  readonly [Part in keyof PipelineDefinition]-?: PipelineDefinition[Part] extends object
    ? {
        readonly [Member in keyof PipelineDefinition[Part]]-?: PipelineSetting<
          PipelineDefinition[Part][Member]
        >;
      }
    : PipelineSetting<PipelineDefinition[Part]>;
};

/** A part of the table: a setting, or settings by member. */
type Node<T> = PipelineSetting<T> | { readonly [Member in keyof T]-?: Node<T[Member]> };

/** A setting that has found its place, whatever the type of its value. */
export interface Entry {
  readonly setting: Setting<unknown>;
  /** Members of the definition that lead to the value, such as `lake`, `bucket`. */
  readonly at: readonly string[];
  readonly may: Changes<unknown>['may'];
  /** The value that a definition has there, as one would write it in `.env`. */
  readonly textIn: (definition: PipelineDefinition) => string;
  /** Why a pipeline that has this setting fixed can't go over to another definition; undefined where it can. */
  readonly whyFixed: (wanted: PipelineDefinition, running: PipelineDefinition) => string | undefined;
}

/** The settings of a table one by one, in its order. */
export function entriesOf(table: SettingsTable): readonly Entry[] {
  return entriesUnder<PipelineDefinition>(table, [], (definition) => definition);
}

function entriesUnder<T>(
  node: Node<T>,
  at: readonly string[],
  valueIn: (definition: PipelineDefinition) => T,
): Entry[] {
  if (isSetting(node)) return [entryOf(node, at, valueIn)];
  const entries: Entry[] = [];
  for (const member in node) {
    entries.push(...entriesUnder(node[member], [...at, member], (definition) => valueIn(definition)[member]));
  }
  return entries;
}

function entryOf<T>(
  setting: PipelineSetting<T>,
  at: readonly string[],
  valueIn: (definition: PipelineDefinition) => T,
): Entry {
  const { changes, print } = setting;
  const textIn = (definition: PipelineDefinition) => print(valueIn(definition));
  return {
    setting,
    at,
    may: changes.may,
    textIn,
    whyFixed: (wanted, running) =>
      changes.may === 'always' || textIn(wanted) === textIn(running)
        ? undefined
        : changes.why(valueIn(wanted), valueIn(running)),
  };
}

/** A definition of what each setting is read as. An optional member is left out where its setting says nothing. */
export function definitionBy(table: SettingsTable, read: <T>(setting: Setting<T>) => T): PipelineDefinition {
  return valueBy<PipelineDefinition>(table, read);
}

function valueBy<T>(node: Node<T>, read: <T>(setting: Setting<T>) => T): T {
  if (isSetting(node)) return read(node);
  const values: Partial<T> = {};
  for (const member in node) {
    const value = valueBy(node[member], read);
    if (value !== undefined) values[member] = value;
  }
  // The compiler has seen that the table has every member. It can't see that the loop went over all of them.
  return values as T;
}

function isSetting<T>(node: Node<T>): node is PipelineSetting<T> {
  return typeof node === 'object' && 'parse' in node;
}
