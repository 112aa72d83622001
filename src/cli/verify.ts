import { setTimeout as delay } from 'node:timers/promises';
import { SETTINGS } from '../settings/pipeline';
import { Findings } from '../verify/findings';
import { LakeAudit, type LakeReport, type RowPaths, rowPathsOf } from '../verify/lake-audit';
import {
  type BatchObject,
  classify,
  HOUR_MS,
  type KeptObject,
  type LakeObject,
  type ListedObject,
  partsOf,
  prefixClaimedBy,
} from '../lake/layout';
import {
  type KeptEvent,
  listObjects,
  type ObjectContent,
  type ReadCsv,
  readCsv,
  readKeptEvent,
  readObjects,
} from '../lake/reader';
import { type EventPlace, mayComeYet, type Rules } from '../verify/verification';
import { partitionName } from '../event/place';
import { readPayload } from '../event/event';
import { readRecord } from '../sources/kafka/event';
import { type Context, UsageError } from './context';
import { explainingS3 } from './explain-s3';
import { describeReport } from '../verify/describe';
import { printable } from './printable';
import { type Screen, withProgress } from './progress';

export interface VerifyOptions {
  /** ISO 8601; the hour that holds it is the first one judged. Default: the first there is. */
  since?: string;
  /** ISO 8601; the hour that ends at it, or holds it, is the last one judged. Default: the last there is. */
  until?: string;
  /** For how long what is missing before a new object may still be on its way: `90s`, `10m`, `1h`. Default: `10m`. */
  grace?: string;
  /** Whether to say the {@link LakeReport} as JSON. */
  json?: boolean;
}

/** What else it works with. */
export interface Surroundings {
  /** Default: stderr. */
  screen?: Screen;
  /** Waits for so many milliseconds. */
  pause?: (milliseconds: number) => Promise<unknown>;
}

/** Milliseconds before each further look at what may be on its way: an upload that is tried again takes some seconds. */
const LOOK_AGAIN_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

/** An event waits in the queue for 14 days at most (SQS), so a row may be that much later than the canary next to it. */
const LONGEST_WAIT_HOURS = 14 * 24;

/**
 * `sluice verify`: audits the lake from its objects alone: what is missing, what is there twice, what is not what it
 * should be. While the pipeline runs, an object or a row may be on its way: then it looks again, for half a minute at most.
 *
 * @returns whether everything could be checked, and nothing was found
 * @throws UsageError for options that can't be used, CommandError when S3 refuses
 */
export async function verify(
  { pipeline, s3, say }: Pick<Context, 'pipeline' | 's3' | 'say'>,
  { json = false, ...options }: VerifyOptions = {},
  surroundings: Surroundings = {},
): Promise<boolean> {
  const rules = rulesOf(options);
  const report = await explainingS3(pipeline.lake, () => audit({ pipeline, s3 }, rules, surroundings));
  if (json) say(JSON.stringify(report, undefined, 2));
  else for (const line of describeReport(report)) say(printable(line));
  return report.whole && report.unchecked.length === 0;
}

function rulesOf({ since, until, grace = '10m' }: VerifyOptions): Rules {
  // The rules for times and durations are those of the settings.
  const first = option('--since', since, SETTINGS.source.since.parse);
  const end = option('--until', until, SETTINGS.source.since.parse);
  const graceSeconds = option('--grace', grace, SETTINGS.drainQuietSeconds.parse) ?? 0;
  const hours = {
    since: first === undefined ? -Infinity : Math.floor(first / HOUR_MS),
    until: end === undefined ? Infinity : Math.ceil(end / HOUR_MS),
  };
  if (hours.since >= hours.until) throw new UsageError('--until must be later than --since');
  return { hours, graceMs: graceSeconds * 1_000, now: Date.now() };
}

function option<T>(name: string, text: string | undefined, parse: (text: string) => T): T | undefined {
  try {
    return text === undefined ? undefined : parse(text);
  } catch (error) {
    const rule = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${name} ${rule}; it is ${JSON.stringify(text)}`);
  }
}

async function audit(
  { pipeline, s3 }: Pick<Context, 'pipeline' | 's3'>,
  rules: Rules,
  { screen = process.stderr, pause = delay }: Surroundings,
): Promise<LakeReport> {
  const { bucket, prefix, columns } = pipeline.lake;
  const { batches, kept, resent, ...found } = await list(s3, pipeline.lake, rules.hours);
  const read = <T extends ListedObject>(objects: readonly T[], what = 'objects read') =>
    withProgress(readObjects(s3, bucket, objects), { screen, what, total: objects.length });

  const paths = rowPathsOf(pipeline.source);
  const lake = new LakeAudit(columns, paths, rules);
  const addKept = ({ object, content }: { object: KeptObject; content: ObjectContent | undefined }) => {
    // Gone since it was listed: somebody sent it again just now.
    if (!content) return;
    const event = readKeptEvent(content.body);
    if (event) lake.addKept(object, placeOf(event, paths));
    else lake.addBroken(object, 'it is not the JSON of an event that was kept whole');
  };
  for await (const { object, content } of read(batches)) lake.addBatch(object, csvOf(content));
  for await (const one of read(kept)) addKept(one);
  const all = [...batches];
  for (const waitMs of LOOK_AGAIN_MS) {
    // What is no longer young is not waited for, however short a grace was given.
    if (waitMs > rules.graceMs || !(lake.mayComeYet() || mayComeYet(all, rules))) break;
    await pause(waitMs);
    const late = await listLate(s3, pipeline.lake, { batches: all, kept });
    for await (const { object, content } of read(late.batches, 'late objects read')) {
      lake.addLate(object, csvOf(content));
    }
    for await (const one of read(late.kept, 'late objects read')) addKept(one);
    all.push(...late.batches);
    kept.push(...late.kept);
  }
  if (lake.hasHoles()) {
    for await (const one of read(resent)) addKept(one);
  }
  if (lake.wantsMore()) {
    for await (const { object, content } of read(batches, 'objects read again')) {
      lake.lookForRepeats(object, csvOf(content));
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
  unknown: Findings<{ object: string }>;
  others: Findings<{ prefix: string }>;
  gaps: Findings<{ from: string; to: string }>;
  claimed: boolean;
}

type Objects = Omit<Listing, 'unknown' | 'others'>;

async function list(
  s3: Context['s3'],
  { bucket, prefix }: { bucket: string; prefix: string },
  hours: Rules['hours'],
): Promise<Listing> {
  const listing: Objects = { batches: [], kept: [], resent: [], gaps: new Findings(), claimed: false };
  const strangers = new Strangers();
  for (const { end, ...part } of partsOf(prefix, hours)) {
    for await (const listed of listObjects(s3, bucket, part)) {
      if (end !== undefined && listed.key >= end) break;
      const object = classify(prefix, listed);
      if (object.kind === 'unknown') strangers.add(object);
      else addListed(listing, object, hours);
    }
  }
  return { ...listing, ...strangers.found() };
}

/** What came since it was listed. Nothing comes in another hour than that of the newest objects, or a later one. */
async function listLate(
  s3: Context['s3'],
  lake: { bucket: string; prefix: string },
  known: Pick<Listing, 'batches' | 'kept'>,
): Promise<Pick<Listing, 'batches' | 'kept'>> {
  const newest = known.batches.reduce((hour, batch) => Math.max(hour, batch.hour), 0);
  const { batches, kept } = await list(s3, lake, { since: newest, until: Infinity });
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

function csvOf(content: ObjectContent | undefined): ReadCsv {
  return content ? readCsv(content.body) : { ok: false, problem: 'it was listed, and is gone' };
}

/** Where an event stood by its source's count. */
function placeOf({ text, record }: KeptEvent, { isOfRecords }: RowPaths): EventPlace | undefined {
  if (isOfRecords) {
    const found = readRecord(text, record);
    if (!found) return undefined;
    const { topic, partition, ...offsets } = found;
    return { partition: partitionName(topic, partition), ...offsets };
  }
  const event = readPayload(text);
  if (!event.ok || event.partition === '' || event.offset === undefined) return undefined;
  return { partition: event.partition, offset: event.offset };
}

function countOf(objects: readonly KeptObject[], kind: KeptObject['kind']): number {
  return objects.filter((object) => object.kind === kind).length;
}
