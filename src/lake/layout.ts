/**
 * Uploads of one lane that are under way at once. So a sequence number that is missing can only be on its way among the newest
 * few, and whoever checks the lake goes by that.
 */
export const UPLOADS_AT_ONCE = 4;

/** A key below the lake's prefix, which may be empty. */
export function underPrefix(prefix: string, key: string): string {
  return prefix === '' ? key : `${prefix}/${key}`;
}

/** `20260131T120000.000Z`, as a part of keys. @param time epoch milliseconds, or ISO 8601 */
export function compactTime(time: number | string): string {
  return new Date(time).toISOString().replaceAll(/[-:]/g, '');
}

/**
 * The key of a batch's object: partitioned by the UTC hour in which the batch was frozen, as Hive-style
 * readers expect. Nothing of an event's content reaches it.
 *
 * @param frozenAt epoch milliseconds
 * @param firstKeyDigest digest (hexadecimal) of the first row's key
 */
export function batchObjectKey(
  prefix: string,
  { sequence, frozenAt, firstKeyDigest }: { sequence: number; frozenAt: number; firstKeyDigest: string },
): string {
  const time = new Date(frozenAt).toISOString();
  const partition = `date=${time.slice(0, 10)}/hour=${time.slice(11, 13)}`;
  return underPrefix(
    prefix,
    `${partition}/batch-${String(sequence).padStart(10, '0')}-${firstKeyDigest}.csv`,
  );
}
