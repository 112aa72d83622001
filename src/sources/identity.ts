import type { PipelineDefinition } from '../pipeline/definition';
import { type Cursor, hasRead } from './cursor';
import { isKafkaUrl } from './kafka/address';

/**
 * What makes an event of a stream itself, so that it is recognised when it comes again:
 * - `key`: what its payload has at `SLUICE_SOURCE_KEY`
 * - `record`: its topic, partition and offset, of Kafka
 * - `meta.id`: that member of its payload, of a stream whose ids are Wikimedia's
 * - `id`: the stream's id in force, the payload, and the how-manieth event with it since that id came
 * - `arrival`: that it came; the stream gives no ids, can't be resumed, and so sends nothing again
 */
export type Identity = 'key' | 'record' | 'meta.id' | 'id' | 'arrival';

/** How a source is read, as far as it is known. */
export interface SourceKind {
  /** Undefined while nothing says: nothing was read. */
  identity: Identity | undefined;
  /** Whether it goes on where it was after a disconnection. Undefined while nothing says. */
  canResume: boolean | undefined;
}

/** What a pipeline's source turned out to be. */
export function sourceKindOf({ url, key }: PipelineDefinition['source'], cursor: Cursor): SourceKind {
  const isKafka = isKafkaUrl(url);
  const isKnown = isKafka || hasRead(cursor);
  const byStream = isKafka ? 'record' : isKnown ? IDENTITY_BY_IDS[cursor.ids ?? 'none'] : undefined;
  return {
    identity: key === undefined ? byStream : 'key',
    canResume: isKnown ? isKafka || cursor.ids !== undefined : undefined,
  };
}

const IDENTITY_BY_IDS = { wikimedia: 'meta.id', own: 'id', none: 'arrival' } as const;

const IN_WORDS: Record<Identity, string> = {
  key: 'the payload has its key (SLUICE_SOURCE_KEY)',
  record: 'topic, partition and offset',
  'meta.id': "meta.id, as the stream's ids are Wikimedia's",
  id: "the stream's id in force, and the payload",
  arrival: 'its arrival, as the stream gives no ids',
};

/** For people: what makes an event itself, and whether the source can be resumed. */
export function describeSourceKind({ identity, canResume }: SourceKind): string {
  const what = identity === undefined ? 'not known before the first event' : IN_WORDS[identity];
  if (canResume === undefined) return what;
  return `${what}; ${canResume ? 'the source can be resumed' : 'the source can not be resumed: a disconnection may be a gap'}`;
}
