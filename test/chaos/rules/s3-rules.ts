import type { IncomingHttpHeaders } from 'node:http';
import { crc32 } from 'node:zlib';
import type { Rule } from './faults';

export interface S3Error {
  status: number;
  code: string;
  message: string;
}

export interface S3Refusal extends S3Error {
  rule: Rule;
}

/** What a request of S3 asks for, by its name in the API reference where the lake uses it. */
export function s3Operation(method: string, url: string): string {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const hasKey = /^\/[^/]+\/./.test(pathname);
  const [aspect] = [...searchParams.keys()].filter((name) => name !== 'x-id');
  if (hasKey && aspect === undefined) return `${NAMES[method] ?? method}Object`;
  if (method === 'GET' && (aspect === undefined || aspect === 'list-type')) return 'ListObjects';
  return `${method} ${aspect ?? 'bucket'}`;
}

const NAMES: Record<string, string> = { PUT: 'Put', GET: 'Get', HEAD: 'Head', DELETE: 'Delete' };

/**
 * Why S3 refuses an object that moto takes.
 *
 * Source: "Checking object integrity" and "Controlling ownership of objects" in the S3 user guide: with ACLs off, as on
 * new buckets, only `bucket-owner-full-control` is taken.
 *
 * @param acls `taken`: the bucket has its ACLs turned on
 */
export function objectRefusal(
  headers: IncomingHttpHeaders,
  body: Buffer,
  acls: 'refused' | 'taken',
): S3Refusal | undefined {
  const acl = headers['x-amz-acl'];
  const grants = Object.keys(headers).some((name) => name.startsWith('x-amz-grant-'));
  if (acls === 'refused' && (grants || (acl !== undefined && acl !== 'bucket-owner-full-control'))) {
    const message = 'The bucket does not allow ACLs';
    return { rule: 'aclRefused', status: 400, code: 'AccessControlListNotSupported', message };
  }
  const { content, trailers } = decodeBody(headers, body);
  const promised = headers['x-amz-checksum-crc32'] ?? trailers['x-amz-checksum-crc32'];
  if (promised === undefined || promised === crc32Base64(content)) return undefined;
  const message = 'The CRC32 you specified did not match the calculated checksum.';
  return { rule: 'badDigest', status: 400, code: 'BadDigest', message };
}

export function crc32Base64(content: Uint8Array): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(content));
  return bytes.toString('base64');
}

/** Bodies of unknown length come as `aws-chunked`: chunks with their sizes in hexadecimal, then trailers. */
function decodeBody(
  headers: IncomingHttpHeaders,
  body: Buffer,
): { content: Buffer; trailers: Record<string, string> } {
  if (!headers['content-encoding']?.includes('aws-chunked')) return { content: body, trailers: {} };
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = body.indexOf('\r\n', at);
    const size = parseInt(body.toString('latin1', at, lineEnd), 16);
    at = lineEnd + 2;
    if (!(size > 0)) break;
    chunks.push(body.subarray(at, at + size));
    at += size + 2;
  }
  const lines = body.toString('latin1', at).split('\r\n').filter(Boolean);
  const trailers = lines.map((line) => line.split(/:(.*)/s, 2) as [string, string]);
  return { content: Buffer.concat(chunks), trailers: Object.fromEntries(trailers) };
}
