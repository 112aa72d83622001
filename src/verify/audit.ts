import { setTimeout as delay } from 'node:timers/promises';
import type { KnownPlace } from '../event/place';
import { readAdoptions } from '../lake/adoption';
import { type Kept, type KeptEvent, readKept } from '../lake/kept';
import {
  type AdoptionObject,
  type BatchObject,
  classify,
  HOUR_MS,
  type KeptObject,
  type LakeObject,
  type ListedObject,
  partsOf,
  prefixClaimedBy,
} from '../lake/layout';
import { type ReadBatch, readBatch, readObjects } from '../lake/reader';
import type { LakeStore, ObjectContent } from '../lake/store';
import { recordPlace } from '../sources/kafka/event';
import { wikimediaPlace } from '../sources/sse/wikimedia';
import { Findings } from './findings';
import { LakeAudit, type LakeReport } from './lake-audit';
import type { Rules } from './verification';

/** The part of a lake's store that an audit needs. */
export type AuditedStore = Pick<LakeStore, 'lake' | 'clock' | 'list' | 'read'>;

export interface AuditSurroundings {
  /** Is handed what is read, and hands it on. `what`: `objects read` and so on; `total`: how many there are. */
  progress?: <T>(items: AsyncIterable<T>, of: { what: string; total: number }) => AsyncIterable<T>;
  /** Waits for so many milliseconds. */
  pause?: (milliseconds: number) => Promise<unknown>;
}

/** Milliseconds before each further look at what may be on its way: an upload that is tried again takes some seconds. */
const LOOK_AGAIN_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

/** An event waits in the queue for 14 days at most (SQS), so a row may be that much later than the canary next to it. */
const LONGEST_WAIT_HOURS = 14 * 24;

/**
 * Audits a lake from its objects alone, by what they hold and state: what is missing, what is there twice, what is not what it should
 * be. While the pipeline runs, an object or a row may be on its way: then it looks again, for half a minute at most.
 *
 * @param rules default of `now`: when the objects were listed, by the clock that dates them
 * @throws the S3 client's error
 */
export async function auditLake(
  store: AuditedStore,
  { now, ...others }: Omit<Rules, 'now'> & Partial<Rules>,
  { progress = (items) => items, pause = delay }: AuditSurroundings = {},
): Promise<LakeReport> {
  const { bucket, prefix } = store.lake;
  const { batches, kept, resent, adoptions, ...found } = await list(store, others.hours);
  const rules = { ...others, now: now ?? store.clock.now() };
  const read = (objects: readonly BatchObject[], what = 'objects read') =>
    progress(readObjects(store, objects), { what, total: objects.length });
  const readEvents = (objects: readonly KeptObject[], what = 'objects read') =>
    progress(readKept(store, objects), { what, total: objects.length });

  const lake = new LakeAudit(rules);
  const addKept = ({ object, event }: Kept) => {
    if (event) lake.addKept(object, keptPlace(event, lake));
    else lake.addBroken(object, 'it is not the JSON of an event that was kept whole');
  };
  for (const { object, adoption } of await readAdoptions(store, adoptions)) {
    if (adoption) lake.addAdoption(object, adoption);
    else lake.addBroken(object, 'it does not say which lanes were taken over');
  }
  for await (const { object, content } of read(batches)) lake.addBatch(object, batchIn(content));
  // What is gone since it was listed, somebody sent again just now.
  for await (const one of readEvents(kept)) addKept(one);
  const all = [...batches];
  for (const waitMs of LOOK_AGAIN_MS) {
    // What is no longer young is not waited for, however short a grace was given.
    if (waitMs > rules.graceMs || !lake.mayComeYet(all)) break;
    await pause(waitMs);
    const late = await listLate(store, { batches: all, kept });
    for await (const { object, content } of read(late.batches, 'late objects read')) {
      lake.addLate(object, batchIn(content));
    }
    for await (const one of readEvents(late.kept, 'late objects read')) addKept(one);
    all.push(...late.batches);
    kept.push(...late.kept);
  }
  if (lake.hasHoles()) {
    for await (const one of readEvents(resent)) addKept(one);
  }
  if (lake.wantsMore()) {
    for await (const { object, content } of read(batches, 'objects read again')) {
      lake.lookForRepeats(object, batchIn(content));
      if (!lake.wantsMore()) break;
    }
  }
  const counts = { canaries: countOf(kept, 'canary'), rejected: countOf(kept, 'rejected') };
  return lake.report({ bucket, prefix, batches: all, ...found, ...counts });
}

interface Listing {
  batches: BatchObject[];
  /** Canary and rejected events. */
  kept: KeptObject[];
  resent: KeptObject[];
  /** What lanes wrote down that took over from others. */
  adoptions: AdoptionObject[];
  unknown: Findings<{ object: string }>;
  others: Findings<{ prefix: string }>;
  gaps: Findings<{ from: string; to: string }>;
  claimed: boolean;
}

type Objects = Omit<Listing, 'unknown' | 'others'>;

async function list(store: AuditedStore, hours: Rules['hours']): Promise<Listing> {
  const listing: Objects = {
    batches: [],
    kept: [],
    resent: [],
    adoptions: [],
    gaps: new Findings(),
    claimed: false,
  };
  const strangers = new Strangers();
  const { prefix } = store.lake;
  for (const part of partsOf(prefix, hours)) {
    for await (const listed of store.list(part)) {
      const object = classify(prefix, listed);
      if (object.kind === 'unknown') strangers.add(object);
      else addListed(listing, object, hours);
    }
  }
  return { ...listing, ...strangers.found() };
}

/** What came since it was listed. Nothing comes in another hour than that of the newest objects, or a later one. */
async function listLate(
  store: AuditedStore,
  known: Pick<Listing, 'batches' | 'kept'>,
): Promise<Pick<Listing, 'batches' | 'kept'>> {
  const newest = known.batches.reduce((hour, batch) => Math.max(hour, batch.hour), 0);
  const { batches, kept } = await list(store, { since: newest, until: Infinity });
  const keys = new Set([...known.batches, ...known.kept].map(({ key }) => key));
  return {
    batches: batches.filter(({ key }) => !keys.has(key)).map((batch) => ({ ...batch, isLate: true })),
    kept: kept.filter(({ key }) => !keys.has(key)),
  };
}

/** What the pipeline did not write: objects of other pipelines, whose prefix lies within this one, and objects of nobody. */
class Strangers {
  /** Prefixes of other pipelines. */
  readonly #others = new Set<string>();
  #unknown: string[] = [];

  add({ key }: ListedObject): void {
    const claimed = prefixClaimedBy(key);
    if (claimed !== undefined) this.#others.add(claimed);
    // Most of what another pipeline writes is listed after the object that names it: millions need not be held.
    else if (!this.#isOthers(key)) this.#unknown.push(key);
  }

  found(): Pick<Listing, 'unknown' | 'others'> {
    const unknown = new Findings<{ object: string }>();
    for (const object of this.#unknown) if (!this.#isOthers(object)) unknown.add({ object });
    const others = new Findings<{ prefix: string }>();
    for (const prefix of this.#others) others.add({ prefix });
    return { unknown, others };
  }

  #isOthers(key: string): boolean {
    if (this.#others.size === 0) return false;
    for (let at = key.indexOf('/'); at !== -1; at = key.indexOf('/', at + 1)) {
      if (this.#others.has(key.slice(0, at))) return true;
    }
    return false;
  }
}

function addListed(
  listing: Objects,
  object: Exclude<LakeObject, { kind: 'unknown' }>,
  { since, until }: Rules['hours'],
): void {
  if (object.kind === 'owner') return void (listing.claimed = true);
  if (object.kind === 'adoption') return void listing.adoptions.push(object);
  if (object.kind === 'cursor') return;
  if (object.kind === 'gap') {
    const { from, to } = object.gap;
    if (to / HOUR_MS < since || from / HOUR_MS >= until) return;
    return listing.gaps.add({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });
  }
  if (object.kind === 'batch') return void listing.batches.push(object);
  // Later ones count: an event that is rejected anew is kept anew.
  if (object.modifiedAt / HOUR_MS < since - 1 - LONGEST_WAIT_HOURS) return;
  (object.kind === 'resent' ? listing.resent : listing.kept).push(object);
}

function batchIn(content: ObjectContent | undefined): ReadBatch {
  return content ? readBatch(content) : { ok: false, problem: 'it was listed, and is gone' };
}

/** Where an event stood by its source's count. */
function keptPlace(
  { text, record }: KeptEvent,
  { isOfRecords }: Pick<LakeAudit, 'isOfRecords'>,
): KnownPlace | undefined {
  return isOfRecords ? recordPlace(text, record) : wikimediaPlace(text);
}

function countOf(objects: readonly KeptObject[], kind: KeptObject['kind']): number {
  return objects.filter((object) => object.kind === kind).length;
}
