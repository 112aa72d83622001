/** Bytes kept of a line that has not ended. A longer one that begins as `retry:` is a large number in any case. */
const LINE_BYTES = 64;

/** In bytes as Latin-1: at the beginning of a line, or behind the byte order mark with which a stream may begin. */
const RETRY = /(?:^(?:\xEF\xBB\xBF)?|[\r\n])retry: ?(\d+)(?=[\r\n])/g;

/**
 * Reads the `retry:` field of one connection's bytes, as they pass. EventSource obeys the field, and tells nobody
 * what it says.
 */
export class RetryField {
  /** The beginning of the line that has not ended. */
  #line = Buffer.alloc(0);

  /** @returns the last time that these bytes state, in milliseconds: Infinity at most, undefined where they state none */
  read(chunk: Uint8Array): number | undefined {
    const bytes = Buffer.concat([this.#line, chunk]);
    const lineAt = Math.max(bytes.lastIndexOf('\n'), bytes.lastIndexOf('\r')) + 1;
    this.#line = bytes.subarray(lineAt, lineAt + LINE_BYTES);
    if (!bytes.includes('retry:')) return undefined;
    const stated = [...bytes.toString('latin1').matchAll(RETRY)].at(-1)?.[1];
    return stated === undefined ? undefined : Number(stated);
  }
}
