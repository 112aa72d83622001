import { paginateListObjectsV2 } from '@aws-sdk/client-s3';
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

/** So many of a kind are named. */
const NAMED = 5;

/** Reads the objects of a bucket, and nothing else, against what was published. */
export async function examineLake(request: AuditRequest): Promise<LakeFindings> {
  const audit = await auditLake(request);
  return { ...audit, sequence: sequenceProblems(await sequenceNumbers(request)) };
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
