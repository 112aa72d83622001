import type { Found } from '../lake/findings';
import type { KeyReport, LakeReport } from '../lake/lake-report';
import type { MissingSpan, OffsetReport, SequenceReport, Span } from '../lake/verification';

/** A report for people: a summary, a line for each finding, and what else there is to know. */
export function describeReport(report: LakeReport): string[] {
  return [...scopeLines(report), summary(report), ...findingLines(report), ...noteLines(report)];
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
  const parts = [
    sequenceText(found.sequence),
    keysText(found.keys),
    `${offsetsText(found.offsets)} ${others}`,
  ];
  return `${amount(objects, 'object')}, ${amount(rows, 'row')}: ${parts.join('; ')}`;
}

function sequenceText({ extent, missing, onTheWay }: SequenceReport): string {
  const absent = missing.count + onTheWay;
  return `sequence ${extent ? span(extent) : ''}${absent === 0 ? ' without holes' : `, ${absent} missing`}`;
}

function keysText(keys: KeyReport | undefined): string {
  if (!keys) return 'keys not compared';
  const { count } = keys.repeated;
  return count === 0 ? 'no key twice' : `${amount(count, 'key')} more than once`;
}

function offsetsText(offsets: LakeReport['offsets']): string {
  if (!offsets) return 'offsets not checked';
  const { partitions, unexplained, onTheWay, lostAgain } = offsets;
  const absent = unexplained + onTheWay + lostAgain.count;
  const topics = amount(partitions.length, 'topic partition');
  return absent === 0 ? `${topics}, offsets without holes` : `${topics}, ${amount(absent, 'offset')} missing`;
}

function findingLines({ sequence, keys, offsets, broken, unknown }: LakeReport): string[] {
  const before = (missing: MissingSpan) => `${span(missing)} missing before ${missing.before}`;
  const lines = [
    ...linesOf('sequence', sequence.missing, before, size),
    ...linesOf(
      'sequence',
      sequence.repeated,
      (one) => `${one.sequence} stands in ${one.objects.join(' and in ')}`,
    ),
    ...linesOf('key', keys?.repeated, ({ key, times, places }) => {
      const where = places.map(({ object, row }) => `row ${row} of ${object}`);
      return `${JSON.stringify(key)} stands in ${times} rows: ${where.join(', ')}${places.length < times ? ', …' : ''}`;
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

function noteLines({ sequence, keys, offsets, wanted, graceSeconds }: LakeReport): string[] {
  const mayCome = `may still be on the way, since what follows is younger than ${graceSeconds} s`;
  const lines = [
    sequence.onTheWay > 0 && `missing sequence numbers: ${sequence.onTheWay} ${mayCome}`,
    offsets && offsets.onTheWay > 0 && `missing offsets: ${offsets.onTheWay} ${mayCome}`,
    ...jumpNotes(offsets),
    offsets && offsets.unexplained > 0 && offsets.unreadable > 0 && rejectedNote(offsets),
    !keys && `repeats can't be checked: that takes columns with the paths ${wanted.keys.join(', ')}`,
    keys &&
      keys.rowsWithout > 0 &&
      `not compared: ${amount(keys.rowsWithout, 'row')} without ${keys.paths.join(', ')}`,
    !offsets &&
      `missing rows can't be checked: that takes columns with the paths ${wanted.offsets.join(', ')}`,
    offsets &&
      offsets.rowsWithout > 0 &&
      `not counted: ${amount(offsets.rowsWithout, 'row')} without an offset`,
  ];
  return lines.filter((line) => typeof line === 'string');
}

function jumpNotes(offsets: LakeReport['offsets']): string[] {
  return linesOf('offset', offsets?.jumps, (one) => {
    const what = `${one.partition}: ${span(one)} before ${one.before}`;
    return `${what}: so far apart that another count begins, of another cluster or of a stream that began anew`;
  });
}

function rejectedNote({ unexplained, unreadable }: OffsetReport): string {
  const part = unreadable < unexplained ? unreadable : 'all';
  return `missing offsets: ${unexplained}; for ${part} of them rejected events may account, whose offsets can't be read`;
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
