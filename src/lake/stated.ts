import { createHash } from 'node:crypto';
import { sha256 } from '../event/key';
import { OBJECT_METADATA as NAMES } from '../pipeline/names';
import { type PlaceColumns, parsePlaceColumns, printPlaceColumns } from './place-columns';

/** What an object of rows states of itself in its metadata: whoever reads the lake goes by it, not by anybody's settings. */
export interface Stated {
  /** Of header and rows: two tries of one batch have it alike, whatever bytes a version of Sluice makes of them. */
  digest: string;
  /** SHA-256 of the body, in hexadecimal. */
  sha256: string;
  rows: number;
  /** See {@link columnsText}. */
  columns: string;
  /** Of the definition under which the rows came, counted from 1. */
  version: number;
  /** Undefined where what is stated can't be understood. */
  place: PlaceColumns | undefined;
}

/** S3 takes 2 KB of metadata, names and values together. What is not ASCII is not sure to come back as it was written. */
const MOST_COLUMNS_BYTES = 1_024;

type Metadata = Partial<Record<string, string>>;

/** What {@link statedIn} reads. */
export function metadataOf(stated: Stated & { place: PlaceColumns }): Record<string, string> {
  return {
    [NAMES.digest]: stated.digest,
    [NAMES.sha256]: stated.sha256,
    [NAMES.rows]: String(stated.rows),
    [NAMES.columns]: stated.columns,
    [NAMES.version]: String(stated.version),
    [NAMES.place]: printPlaceColumns(stated.place),
  };
}

/** @returns undefined where an object states nothing: another hand wrote it, or copied its body alone */
export function statedIn(metadata: Metadata): Stated | undefined {
  const body = metadata[NAMES.sha256];
  if (body === undefined) return undefined;
  return {
    digest: metadata[NAMES.digest] ?? '',
    sha256: body,
    rows: Number(metadata[NAMES.rows]),
    columns: metadata[NAMES.columns] ?? '',
    version: Number(metadata[NAMES.version]),
    place: parsePlaceColumns(metadata[NAMES.place] ?? ''),
  };
}

/** The digest that an object's metadata states; undefined where it states none. */
export function digestIn(metadata: Metadata): string | undefined {
  return metadata[NAMES.digest];
}

/**
 * The names of a header, joined by commas, each as in a URL where it is not ASCII. Where they would take more than 1,024 bytes: `sha256:` and
 * the SHA-256 of that text, so that objects with the same columns can be told without reading them. The header line has the names.
 */
export function columnsText(header: readonly string[]): string {
  // A lone surrogate, which a URL can't hold, becomes what it becomes in the CSV.
  const names = header.map((name) => encodeURIComponent(Buffer.from(name).toString())).join(',');
  return names.length <= MOST_COLUMNS_BYTES ? names : `sha256:${sha256(names)}`;
}

/** What {@link Stated.sha256} is of a body. */
export function bodyDigest(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}
