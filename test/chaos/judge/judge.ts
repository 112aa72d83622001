import { GetObjectCommand, ListObjectsV2Command, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { type Audit, type AuditRequest, auditLake } from '../../../local/audit';

/** What an examination of the lake found. Empty lists mean a lake as it should be. */
export interface LakeFindings extends Audit {
  /** Numbers that no object of a lane has, or more than one. */
  sequence: string[];
}

/** What happened besides: how often, by name. */
export type Happenings = Readonly<Record<string, number>>;

/** Lane and incarnation, and the number that it gave. */
const BATCH_NAME = /\/batch-((?:l\d+-)?[0-9a-f]{8})-(\d{10})-[0-9a-f]{16}\.csv$/;

/** Of {@link BATCH_NAME} the lane and incarnation, and its numbers that no object has. */
interface ClosedNumbers {
  life: string;
  missing: readonly number[];
}

interface WrittenAdoption {
  closed: readonly { lane: number; incarnation: string; missing: readonly number[] }[];
}

const MOST_CLOSED = 4;

/** So many of a kind are named. */
const NAMED = 5;

/** Reads the objects of a bucket, and nothing else, against what was published. */
export async function examineLake(request: AuditRequest): Promise<LakeFindings> {
  const audit = await auditLake(request);
  const numbers = await sequenceNumbers(request);
  for (const { life, missing } of await closedNumbers(request)) {
    const known = numbers.get(life) ?? [];
    numbers.set(life, [...known, ...missing.filter((number) => !known.includes(number))]);
  }
  return { ...audit, sequence: sequenceProblems(numbers) };
}

/**
 * What lanes wrote down that took over from others: which numbers of those will never be there. Whether their rows are is seen by the rows
 * themselves. A lane had four uploads under way at most.
 */
async function closedNumbers({ s3, bucket, prefix }: AuditRequest): Promise<ClosedNumbers[]> {
  const closed: ClosedNumbers[] = [];
  const { Contents = [] } = await s3.send(
    new ListObjectsV2Command({ Bucket: bucket, Prefix: `${prefix}/_sluice/adoptions/` }),
  );
  for (const { Key } of Contents) {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
    const adoption = JSON.parse((await Body?.transformToString()) ?? '') as WrittenAdoption;
    for (const { lane, incarnation, missing } of adoption.closed) {
      const life = lane === 0 ? incarnation : `l${lane}-${incarnation}`;
      if (missing.length <= MOST_CLOSED) closed.push({ life, missing });
    }
  }
  return closed;
}

/** Sentences about what is wrong; none for a lake in which every event has its one place. */
export function lakeProblems({ missing, repeated, unknown, changed, sequence }: LakeFindings): string[] {
  const fields = changed.map(
    ({ key, column, expected, actual }) =>
      `${key} ${column}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`,
  );
  return [
    ...listed('lost', missing),
    ...listed('repeated', repeated),
    ...listed('unknown', unknown),
    ...listed('changed', fields),
    ...listed('wrong in the sequence', sequence),
  ];
}

/** Sentences about what was to happen and did not: a run that was spared proves nothing. */
export function idleProblems(wanted: Iterable<string>, happened: Happenings): string[] {
  const spared = [...new Set(wanted)].filter((name) => !((happened[name] ?? 0) > 0));
  return spared.length === 0 ? [] : [`idle: no ${spared.join(', no ')}`];
}

async function sequenceNumbers({ s3, bucket, prefix }: AuditRequest): Promise<Map<string, number[]>> {
  const numbers = new Map<string, number[]>();
  for await (const { Contents = [] } of paginateListObjectsV2(
    { client: s3 },
    { Bucket: bucket, Prefix: prefix },
  )) {
    for (const { Key = '' } of Contents) {
      const [, lane = '', number] = BATCH_NAME.exec(Key) ?? [];
      if (number !== undefined) numbers.set(lane, [...(numbers.get(lane) ?? []), Number(number)]);
    }
  }
  return numbers;
}

function sequenceProblems(numbersOfLane: ReadonlyMap<string, readonly number[]>): string[] {
  const isOne = numbersOfLane.size === 1;
  return [...numbersOfLane].flatMap(([lane, numbers]) =>
    problemsIn(numbers).map((problem) => (isOne ? problem : `${lane}: ${problem}`)),
  );
}

function problemsIn(numbers: readonly number[]): string[] {
  const times = new Map<number, number>();
  for (const number of numbers) times.set(number, (times.get(number) ?? 0) + 1);
  const last = Math.max(0, ...numbers);
  return Array.from({ length: last }, (_, index) => index + 1)
    .filter((number) => times.get(number) !== 1)
    .map((number) => (times.has(number) ? `${number} is there twice` : `${number} is missing`));
}

function listed(what: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const rest = items.length > NAMED ? `, and ${items.length - NAMED} more` : '';
  return [`${items.length} ${what}: ${items.slice(0, NAMED).join('; ')}${rest}`];
}
