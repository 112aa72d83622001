import type { Gap } from '../sources/gaps';
import { gapKey } from './layout';
import type { LakeStore, RequestOptions } from './store';

/**
 * Keeps under `gaps/` that a source was not listened to for a while: whoever checks the lake can't see it in the rows. The key
 * says when; the first object stays.
 *
 * @throws the S3 client's error when the object could not be written
 */
export async function keepGap(
  store: Pick<LakeStore, 'lake' | 'putIfAbsent'>,
  { source, from, to }: Gap & { source: string },
  options: RequestOptions = {},
): Promise<void> {
  const times = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
  const object = {
    key: gapKey(store.lake.prefix, { from, to }),
    body: JSON.stringify({ source, ...times }),
    contentType: 'application/json',
  };
  await store.putIfAbsent(object, options);
}
