import { SETTINGS } from '../config';
import { Findings } from '../lake/findings';
import { LakeAudit, type LakeReport, type RowPaths, rowPathsOf } from '../lake/lake-report';
import { underPrefix } from '../lake/object-key';
import {
  type BatchObject,
  classify,
  HOUR_MS,
  hourFolder,
  type KeptEvent,
  type KeptObject,
  type LakeObject,
  type ListedObject,
  listObjects,
  type ObjectContent,
  type ReadCsv,
  readCsv,
  readKeptEvent,
  readObjects,
} from '../lake/reader';
import type { EventPlace, Rules } from '../lake/verification';
import { CANARIES_FOLDER, REJECTED_FOLDER, RESENT_FOLDER } from '../names';
import { partitionName } from '../sources/cursor';
import { readPayload } from '../sources/event';
import { readRecord } from '../sources/kafka/event';
import { type Context, UsageError } from './context';
import { explainingS3 } from './explain-s3';
import { describeReport } from './lake-report-text';
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

/** An event waits in the queue for 14 days at most (SQS), so a row may be that much later than the canary next to it. */
const LONGEST_WAIT_HOURS = 14 * 24;

/**
 * `sluice verify`: audits the lake from its objects alone: what is missing, what is there twice, what is not what it
 * should be.
 *
 * @returns whether nothing was found
 * @throws UsageError for options that can't be used, CommandError when S3 refuses
 */
export async function verify(
  { pipeline, s3, say }: Pick<Context, 'pipeline' | 's3' | 'say'>,
  { json = false, ...options }: VerifyOptions = {},
  screen: Screen = process.stderr,
): Promise<boolean> {
  const rules = rulesOf(options);
  const report = await explainingS3(pipeline.lake, () => audit({ pipeline, s3 }, rules, screen));
  if (json) say(JSON.stringify(report, undefined, 2));
  else for (const line of describeReport(report)) say(printable(line));
  return report.whole;
}

function rulesOf({ since, until, grace = '10m' }: VerifyOptions): Rules {
  // The rules for times and durations are those of the settings.
  const first = option('--since', since, SETTINGS.sourceSince.parse);
  const end = option('--until', until, SETTINGS.sourceSince.parse);
  const graceSeconds = option('--grace', grace, SETTINGS.drainQuiet.parse) ?? 0;
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
  screen: Screen,
): Promise<LakeReport> {
  const { bucket, prefix, columns } = pipeline.lake;
  const { batches, kept, resent, unknown } = await list(s3, pipeline.lake, rules.hours);
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
  return lake.report({ bucket, prefix, batches, unknown, ...counts });
}

interface Listing {
  batches: BatchObject[];
  /** Canary and rejected events. */
  kept: KeptObject[];
  resent: KeptObject[];
  unknown: Findings<{ object: string }>;
}

async function list(
  s3: Context['s3'],
  { bucket, prefix }: { bucket: string; prefix: string },
  hours: Rules['hours'],
): Promise<Listing> {
  const listing: Listing = { batches: [], kept: [], resent: [], unknown: new Findings() };
  for (const { end, ...part } of partsToList(prefix, hours)) {
    for await (const listed of listObjects(s3, bucket, part)) {
      if (end !== undefined && listed.key >= end) break;
      addListed(listing, classify(prefix, listed), hours);
    }
  }
  return listing;
}

/**
 * Without bounds all there is; else the hours asked for with one more on each side, since rows come a little out of order,
 * and the folders that have no hours.
 *
 * @returns `end`: the first key that is not wanted any more
 */
function partsToList(
  prefix: string,
  { since, until }: Rules['hours'],
): { prefix: string; startAfter?: string; end?: string }[] {
  if (since === -Infinity && until === Infinity) return [{ prefix: underPrefix(prefix, '') }];
  const hours = {
    prefix: underPrefix(prefix, 'date='),
    ...(since === -Infinity ? {} : { startAfter: hourFolder(prefix, since - 1) }),
    ...(until === Infinity ? {} : { end: hourFolder(prefix, until + 1) }),
  };
  const folders = [CANARIES_FOLDER, REJECTED_FOLDER, RESENT_FOLDER];
  return [hours, ...folders.map((folder) => ({ prefix: underPrefix(prefix, `${folder}/`) }))];
}

function addListed(listing: Listing, object: LakeObject, { since }: Rules['hours']): void {
  if (object.kind === 'batch') return void listing.batches.push(object);
  if (object.kind === 'unknown') return listing.unknown.add({ object: object.key });
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
