import { type KnownPlace, partitionName } from '../event/place';
import type { PipelineDefinition } from '../pipeline/definition';
import { isKafkaUrl } from '../sources/kafka/address';

/**
 * What counts the events of a pipeline, so that one that is missing leaves a hole. `kafka`: each row is a record of a topic, and its
 * source knows its place. `meta`: payloads state the place, as those of Wikimedia do. `maybe-meta`: of any other stream, whose payloads may
 * state one. `none`: the key stands in the payload, so that a second event with it is no row, and leaves a hole that is none.
 */
export type PlaceKind = keyof typeof PLACE_PATHS;

/** Paths of topic, partition and offset, and where the source has it the first offset from which on there was nothing. */
export const PLACE_PATHS = {
  kafka: ['kafka.topic', 'kafka.partition', 'kafka.offset', 'kafka.from'],
  meta: ['meta.topic', 'meta.partition', 'meta.offset'],
  'maybe-meta': ['meta.topic', 'meta.partition', 'meta.offset'],
  none: [],
} as const;

/** Which columns of an object hold the places of its rows. */
export interface PlaceColumns {
  kind: PlaceKind;
  /** Of each of {@link PLACE_PATHS}, from 0. Empty where one of them is no column. */
  at: readonly number[];
}

/** Of the rows that a pipeline writes. */
export function placeColumnsOf({
  source: { url, key },
  lake: { columns },
}: Pick<PipelineDefinition, 'source' | 'lake'>): PlaceColumns {
  const kind = kindOf(url, key);
  const at = PLACE_PATHS[kind].map((wanted) => columns.findIndex(({ path }) => path === wanted));
  return { kind, at: at.includes(-1) ? [] : at };
}

function kindOf(url: string, key = ''): PlaceKind {
  if (key !== '') return 'none';
  if (isKafkaUrl(url)) return 'kafka';
  return isEventStreams(url) ? 'meta' : 'maybe-meta';
}

/** Wikimedia's service, or another of its kind (KafkaSSE). */
function isEventStreams(url: string): boolean {
  const { hostname, pathname } = new URL(url);
  return /(^|\.)wikimedia\.org$/.test(hostname) || pathname.startsWith('/v2/stream/');
}

/** `meta 22,23,24`: columns are counted from 1, as people do. */
export function printPlaceColumns({ kind, at }: PlaceColumns): string {
  return [kind, ...(at.length === 0 ? [] : [at.map((column) => column + 1).join(',')])].join(' ');
}

/** @returns undefined for what {@link printPlaceColumns} does not print */
export function parsePlaceColumns(text: string): PlaceColumns | undefined {
  const [, word, columns = ''] = /^([a-z-]+)(?: (\d+(?:,\d+)*))?$/.exec(text) ?? [];
  const kind = isKind(word) ? word : undefined;
  const at = columns === '' ? [] : columns.split(',').map((column) => Number(column) - 1);
  const isWhole = at.length === 0 || (kind && at.length === PLACE_PATHS[kind].length);
  return kind && isWhole ? { kind, at } : undefined;
}

function isKind(word: string | undefined): word is PlaceKind {
  return word !== undefined && Object.hasOwn(PLACE_PATHS, word);
}

/** The place that a row states; undefined where it states none. */
export function placeIn(cells: readonly string[], { at }: PlaceColumns): KnownPlace | undefined {
  const [topic = '', partition = '', offset = '', from = ''] = at.map((column) => cells[column]);
  if (topic === '' || !isDigits(partition) || !isDigits(offset)) return undefined;
  return {
    partition: partitionName(topic, Number(partition)),
    offset: Number(offset),
    ...(isDigits(from) ? { from: Number(from) } : {}),
  };
}

function isDigits(field: string): boolean {
  return /^\d+$/.test(field) && Number.isSafeInteger(Number(field));
}
