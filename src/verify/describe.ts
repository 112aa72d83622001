import type { Found } from './findings';
import { countFindings, type KeyReport, type LakeReport, type Unchecked } from './lake-audit';
import type { MissingSpan, SequenceReport } from './verification';
import type { Span } from '../event/intervals';
import { KEY_COLUMN } from '../pipeline/names';
import type { LaneLife } from '../lake/layout';

/** Of so many lanes the summary tells the numbers. */
const MOST_EXTENTS = 4;

/**
 * A report for people: a summary, a line for each finding, one for each check that could not be made, what else there is to know,
 * and a verdict.
 */
export function describeReport(report: LakeReport): string[] {
  return [
    ...scopeLines(report),
    summary(report),
    ...findingLines(report),
    ...uncheckedLines(report),
    ...noteLines(report),
    verdict(report),
  ];
}

/** The layout knows hours only, which is worth saying to who asked for minutes. */
function scopeLines({ hours: { since, until } }: LakeReport): string[] {
  if (since === undefined && until === undefined) return [];
  const from = since === undefined ? 'the first one' : hourOf(since);
  const to = until === undefined ? 'the last one' : `before ${hourOf(until)}`;
  return [`whole hours (UTC) in which objects were frozen, from ${from} to ${to}`];
}

function hourOf(time: string): string {
  return `${time.slice(0, 13)}:00Z`;
}

function summary({ bucket, prefix, objects, rows, canaries, rejected, ...found }: LakeReport): string {
  const others = `(${amount(canaries, 'canary', 'canaries')}, ${rejected} rejected)`;
  if (objects === 0) return `s3://${bucket}/${prefix}: no rows ${others}`;
  const parts = [sequenceText(found.sequence), keysText(found.keys), `${offsetsText(found)} ${others}`];
  return `${amount(objects, 'object')}, ${amount(rows, 'row')}: ${parts.join('; ')}`;
}

function sequenceText({ extents, missing, onTheWay }: SequenceReport): string {
  const absent = missing.count + onTheWay;
  const all =
    extents.length > 1 ? extents.map((one) => `${span(one)} of ${laneName(one)}`) : extents.map(span);
  const more = all.length > MOST_EXTENTS ? ` and ${all.length - MOST_EXTENTS} more` : '';
  const named = `${all.slice(0, MOST_EXTENTS).join(', ')}${more}`;
  return `sequence ${named}${absent === 0 ? ' without holes' : `, ${absent} missing`}`;
}

/** `lane 0 (1a2b3c4d)`: a lane that was removed and begun again is another one, and counts from 1. */
function laneName({ lane, incarnation }: LaneLife): string {
  return `lane ${lane} (${incarnation})`;
}

function keysText(keys: KeyReport | undefined): string {
  if (!keys) return 'keys not compared';
  const { count } = keys.repeated;
  return count === 0 ? 'no key twice' : `${amount(count, 'key')} more than once`;
}

function offsetsText({ offsets, unchecked }: Pick<LakeReport, 'offsets' | 'unchecked'>): string {
  if (!offsets)
    return unchecked.some(({ check }) => check === 'offsets') ? 'offsets not checked' : 'no offsets';
  const { partitions, unexplained, onTheWay, lostAgain } = offsets;
  const absent = unexplained + onTheWay + lostAgain.count;
  const topics = amount(partitions.length, 'topic partition');
  return absent === 0 ? `${topics}, offsets without holes` : `${topics}, ${amount(absent, 'offset')} missing`;
}

function findingLines({ sequence, keys, offsets, broken, unknown }: LakeReport): string[] {
  const before = (missing: MissingSpan) => `${span(missing)} missing before ${missing.before}`;
  const isOneLane = sequence.extents.length <= 1;
  const ofLane = (one: LaneLife) => (isOneLane ? '' : `of ${laneName(one)}: `);
  const lines = [
    ...linesOf('sequence', sequence.missing, (one) => `${ofLane(one)}${before(one)}`, size),
    ...linesOf(
      'sequence',
      sequence.repeated,
      (one) => `${ofLane(one)}${one.sequence} stands in ${one.objects.join(' and in ')}`,
    ),
    ...linesOf('key', keys?.repeated, ({ key, times, places }) => {
      const where = places.map(({ object, row }) => `row ${row} of ${object}`);
      return `${key} stands in ${times} rows: ${where.join(', ')}${places.length < times ? ', …' : ''}`;
    }),
    ...linesOf('offset', offsets?.missing, (one) => `${one.partition}: ${before(one)}`, size),
    ...linesOf(
      'offset',
      offsets?.lostAgain,
      ({ partition, offset, digest }) =>
        `${partition}: ${offset} was sent to the queue again and never came: ` +
        `\`sluice rejected again ${digest.slice(0, 12)} --force\``,
    ),
    ...linesOf('object', broken, ({ object, problem }) => `${object}: ${problem}`),
    ...linesOf('object', unknown, ({ object }) => `${object} is none that a pipeline writes`),
  ];
  return lines.map((line) => `FINDING ${line}`);
}

/** @param size how much of the count a finding stands for; default: one */
function linesOf<T>(
  what: string,
  found: Found<T> | undefined,
  describe: (finding: T) => string,
  size: (finding: T) => number = () => 1,
): string[] {
  if (!found) return [];
  const rest = found.named.reduce((left, finding) => left - size(finding), found.count);
  const lines = found.named.map((finding) => `${what} ${describe(finding)}`);
  return rest === 0 ? lines : [...lines, `${what} … and ${rest} more`];
}

/** What could not be checked, and what to do where something can be done. */
function uncheckedLines(report: LakeReport): string[] {
  return report.unchecked.map((one) => `NOT CHECKED ${one.check}: ${WHY_UNCHECKED[one.reason](one, report)}`);
}

const WHY_UNCHECKED: Readonly<Record<Unchecked['reason'], (one: Unchecked, report: LakeReport) => string>> = {
  'nothing-there': (_, { bucket, prefix }) =>
    `nothing lies under s3://${bucket}/${prefix}, and no pipeline has claimed it: see SLUICE_BUCKET and SLUICE_PREFIX`,
  'too-young': ({ check, count }, { graceSeconds }) =>
    `${amount(count, check === 'sequence' ? 'sequence number' : 'offset')} missing, and may be on the way, since what follows is ` +
    `younger than ${graceSeconds} s: run this again later, or with --grace 0s where nothing is on its way`,
  'no-metadata': ({ check, count }) =>
    check === 'bodies'
      ? `${amount(count, 'object')} without what Sluice states in the metadata of each: somebody copied the bodies alone, so that ` +
        'what was changed since it was written does not show'
      : `missing rows can't be looked for in ${amount(count, 'row')}, whose objects do not state which columns hold topic, partition and offset`,
  'no-key-column': ({ count }) =>
    `repeats can't be looked for in ${amount(count, 'row')} without the column ${KEY_COLUMN}, which SLUICE_KEY_COLUMN=off leaves out`,
  'no-columns': ({ count }, { wanted }) =>
    `missing rows can't be looked for in ${amount(count, 'row')} without columns that have the paths ${wanted.offsets.join(', ')}`,
  'rows-without': ({ count }) =>
    `${amount(count, 'row')} without topic, partition and offset not counted: an offset that is missing may be one of theirs`,
  'rejected-unreadable': ({ count }) =>
    `${amount(count, 'offset')} missing for which rejected events may account, whose offsets can't be read: ` +
    '`sluice rejected list` shows these',
  'another-count': ({ count }) =>
    `what is missing can't be told at ${amount(count, 'jump')} of the offsets, named below: with --since of an hour behind it ` +
    'the rest is judged',
};

/** What there is to know besides. */
function noteLines({ offsets, gaps, others, adoptions, sequence }: LakeReport): string[] {
  const gapNotes = linesOf(
    'possible gap',
    gaps,
    ({ from, to }) => `from ${from} to ${to}: nobody listened to the source, which can't be resumed`,
  );
  return [
    ...adoptionNotes(adoptions, sequence.closed),
    ...jumpNotes(offsets),
    ...gapNotes,
    ...(others.count > 0 ? [othersNote(others)] : []),
  ];
}

function adoptionNotes(
  adoptions: LakeReport['adoptions'],
  closed: LakeReport['sequence']['closed'],
): string[] {
  return [
    ...linesOf(
      'adoption',
      adoptions,
      (one) => `by ${laneName(one)} at ${one.time}: it goes on where another one ended`,
    ),
    ...linesOf(
      'sequence',
      closed,
      (one) =>
        `${one.sequence} of ${laneName(one)} was never written: its lane died before, and its rows are in objects of another`,
    ),
  ];
}

/** Whether everything was checked, and what came of it: what stays on the screen when all else has scrolled away. */
function verdict(report: LakeReport): string {
  const findings = countFindings(report);
  const found = findings === 0 ? 'nothing was found' : `${amount(findings, 'finding')}, listed above`;
  return report.unchecked.length === 0
    ? `Everything was checked: ${found}.`
    : `Not everything could be checked, as said above. In the rest ${found}.`;
}

function othersNote({ count, named }: LakeReport['others']): string {
  const names = named.map(({ prefix }) => prefix).join(', ');
  const more = count > named.length ? ` and ${count - named.length} more` : '';
  return `not judged: what lies under ${names}${more}, which belongs to other pipelines (SLUICE_PREFIX)`;
}

function jumpNotes(offsets: LakeReport['offsets']): string[] {
  return linesOf('offset', offsets?.jumps, (one) => {
    const what = `${one.partition}: ${span(one)} before ${one.before}`;
    return `${what}: so far apart that another count begins, of another cluster or of a stream that began anew`;
  });
}

function span({ from, to }: Span): string {
  return from === to ? String(from) : `${from}–${to}`;
}

function size({ from, to }: Span): number {
  return to - from + 1;
}

function amount(count: number, one: string, several = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}
