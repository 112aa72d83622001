import { stringify } from 'csv-stringify/sync';

/**
 * One batch as RFC 4180 in UTF-8: a header, LF between records, quotes where needed, new lines inside a
 * field kept. A lone surrogate, which UTF-8 can't hold, becomes U+FFFD.
 *
 * @param header column names
 * @param rows one text per column
 */
export function writeCsv(header: readonly string[], rows: readonly (readonly string[])[]): Uint8Array {
  const csv = stringify([header, ...rows] as string[][], {
    record_delimiter: '\n',
    // csv-stringify quotes the record delimiter only, but readers take a lone CR for a line's end too.
    quoted_match: '\r',
    // A record of one empty field would be an empty line, which readers skip.
    quoted_empty: header.length === 1,
  });
  return Buffer.from(csv, 'utf8');
}
