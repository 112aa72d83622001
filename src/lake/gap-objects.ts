import type { S3Client } from '@aws-sdk/client-s3';
import { GAPS_FOLDER } from '../pipeline/names';
import type { Gap } from '../sources/gaps';
import { compactTime, underPrefix } from './layout';
import { putIfAbsent } from './put-if-absent';
import type { Lake } from '../pipeline/definition';

/**
 * Keeps under `gaps/` that a source was not listened to for a while: whoever checks the lake can't see it in the rows. The key
 * says when; the first object stays.
 *
 * @throws the S3 client's error when the object could not be written
 */
export async function keepGap(
  s3: Pick<S3Client, 'send'>,
  lake: Lake,
  { source, from, to }: Gap & { source: string },
  options: { abortSignal?: AbortSignal } = {},
): Promise<void> {
  const times = { from: isoTime(from), to: isoTime(to) };
  const object = {
    Key: underPrefix(lake.prefix, `${GAPS_FOLDER}/${compactTime(from)}-${compactTime(to)}.json`),
    Body: JSON.stringify({ source, ...times }),
    ContentType: 'application/json',
  };
  await putIfAbsent(s3, lake, object, options);
}

const COMPACT_TIME = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2}\.\d{3}Z)$/;

/** @param name of an object below the lake's prefix. @returns undefined where it tells of no gap */
export function gapOf(name: string): Gap | undefined {
  const [folder, from = '', to = ''] = /^([a-z]+)\/([\w.]+)-([\w.]+)\.json$/.exec(name)?.slice(1) ?? [];
  const gap = { from: timeOf(from), to: timeOf(to) };
  return folder === GAPS_FOLDER && gap.from <= gap.to ? gap : undefined;
}

function timeOf(compact: string): number {
  return Date.parse(compact.replace(COMPACT_TIME, '$1-$2-$3T$4:$5:$6'));
}

function isoTime(time: number): string {
  return new Date(time).toISOString();
}
