import {
  CreateBucketCommand,
  GetObjectCommand,
  paginateListObjectsV2,
  type S3Client,
} from '@aws-sdk/client-s3';
import { parse } from 'papaparse';

/** How many CSV objects a bucket holds. */
export async function countObjects(s3: S3Client, bucket: string): Promise<number> {
  return (await csvObjects(s3, bucket)).length;
}

export async function createBucket(s3: S3Client, bucket: string): Promise<void> {
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
}

/** A row as the benchmark looks at it. */
export interface LakeRow {
  object: string;
  /** `meta.id`. */
  key: string;
  /** Epoch milliseconds of publication. */
  publishedAt: number;
}

/**
 * All rows of a bucket, whoever wrote them.
 *
 * @throws Error when an object is not CSV, or has no column `event_id` or `dt`
 */
export async function readRows(s3: S3Client, bucket: string): Promise<LakeRow[]> {
  const rows: LakeRow[] = [];
  for (const object of await csvObjects(s3, bucket)) {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: object }));
    const text = (await Body?.transformToString('utf-8')) ?? '';
    // Told nothing, papaparse guesses the line end, and a CR in a field makes it guess wrong.
    const { data, errors } = parse<string[]>(text, { delimiter: ',', newline: '\n', skipEmptyLines: true });
    const [header = [], ...records] = data;
    const [key, dt] = [header.indexOf('event_id'), header.indexOf('dt')];
    if (errors.length > 0 || key < 0 || dt < 0) {
      throw new Error(`${object} is not the CSV that it should be: ${errors[0]?.message ?? header.join()}`);
    }
    for (const record of records) {
      rows.push({ object, key: record[key] ?? '', publishedAt: Date.parse(record[dt] ?? '') });
    }
  }
  return rows;
}

/** What is missing of so many published events, and what is there more than once. */
export function judge(rows: readonly LakeRow[], published: number): { lost: number; repeated: number } {
  const distinct = new Set(rows.map(({ key }) => key)).size;
  return { lost: published - distinct, repeated: rows.length - distinct };
}

async function csvObjects(s3: S3Client, bucket: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket: bucket })) {
    for (const { Key } of Contents) if (Key?.endsWith('.csv')) names.push(Key);
  }
  return names;
}
