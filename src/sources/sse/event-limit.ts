/**
 * Bytes of one event that are kept: four times what a queue takes. Without a bound, a line or an event that does not
 * end fills the memory [ran: 400 MB of it took 0.6 to 0.9 GB].
 */
export const LARGEST_EVENT_BYTES = 4 * 1024 * 1024;

/** Ends the kept part of a larger event. A line of its own, whatever line was cut, makes it no JSON in any case. */
const CUT_OFF = Buffer.from(`:\ndata: (cut off: the event goes on after ${LARGEST_EVENT_BYTES} bytes)\n\n`);

/** Tells EventSource that the CR before it is a line's end. A LF that follows only ends one more empty line. */
const EMPTY_COMMENT = Buffer.from(':\n');

/**
 * Keeps the beginning of an event that is too large, and drops the rest of it: so its neighbours come, and a reconnect
 * gets past it. What is kept is no JSON, and ends under `rejected/`. An event is counted from its first line of data on. Lines before
 * that, such as comments, make no event, however long they are: of each the beginning is kept, and no more.
 */
export class EventLimit {
  /** Of the event that has not ended, from its first data on; before that, of its line that has not. Infinity once it is cut off. */
  #bytes = 0;
  /** The rest of a line without data is dropped. */
  #isDropping = false;
  readonly #data = new DataLine();
  /** An event may end between two chunks. */
  #lastByte: Uint8Array = Buffer.of();

  /** @returns what the parser may have of these bytes */
  pass(chunk: Uint8Array): Uint8Array {
    const bytes = Buffer.concat([this.#lastByte, chunk]);
    const ends = eventEnds(bytes);
    const endsAt = ends ? ends.first - this.#lastByte.length : chunk.length;
    const event = chunk.subarray(0, endsAt);
    const kept = this.#keep(event);
    this.#lastByte = bytes.subarray(-1);
    if (ends) this.#begin(bytes.subarray(ends.last));
    const settled = endsWithEmptyLine(bytes) ? [EMPTY_COMMENT] : [];
    if (kept[0] === event && settled.length === 0) return chunk;
    return Buffer.concat([...kept, chunk.subarray(endsAt), ...settled]);
  }

  /** @returns what is kept of these bytes of one event */
  #keep(bytes: Uint8Array): Uint8Array[] {
    const dataAt = this.#data.find(bytes);
    const from = this.#isDropping ? bytes.findIndex(isLineEnd) : 0;
    if (from === -1) return [];
    this.#isDropping = false;
    if (dataAt !== undefined) this.#bytes = from - dataAt;
    const rest = from === 0 ? bytes : bytes.subarray(from);
    return this.#data.isFound ? this.#keepOfEvent(rest) : this.#keepOfLine(rest);
  }

  #keepOfEvent(bytes: Uint8Array): Uint8Array[] {
    const room = LARGEST_EVENT_BYTES - this.#bytes;
    this.#bytes = bytes.length > room ? Infinity : this.#bytes + bytes.length;
    if (bytes.length <= room) return [bytes];
    return room < 0 ? [] : [bytes.subarray(0, room), CUT_OFF];
  }

  #keepOfLine(bytes: Uint8Array): Uint8Array[] {
    const lineAt = bytes.findLastIndex(isLineEnd) + 1;
    const before = lineAt === 0 ? this.#bytes : 0;
    this.#bytes = Math.min(before + bytes.length - lineAt, LARGEST_EVENT_BYTES);
    const room = LARGEST_EVENT_BYTES - before;
    if (bytes.length - lineAt <= room) return [bytes];
    this.#isDropping = true;
    return [bytes.subarray(0, lineAt + room)];
  }

  /** Of the next event these bytes have come, and were passed. */
  #begin(bytes: Uint8Array): void {
    this.#bytes = 0;
    this.#isDropping = false;
    this.#data.forget();
    this.#keep(bytes);
    this.#bytes = Math.min(this.#bytes, LARGEST_EVENT_BYTES);
    this.#isDropping = false;
  }
}

/** In bytes as Latin-1: behind the end of a line, or the byte order mark with which a stream may begin. */
const DATA_LINE = /[\r\n](?:\xEF\xBB\xBF)?(?=data[:\r\n])/;

/** The longest part of a match that a chunk may end with. */
const TAIL = 8;

/** Finds the first line of data of an event, whose bytes come in pieces. */
class DataLine {
  isFound = false;
  #tail = '\n';

  forget(): void {
    this.isFound = false;
    this.#tail = '\n';
  }

  /** @returns where it begins in these bytes; less than 0 where it began before them; undefined where it does not, or did before */
  find(bytes: Uint8Array): number | undefined {
    if (this.isFound) return undefined;
    const text = this.#tail + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    const found = DATA_LINE.exec(text);
    const begins = found && found.index + found[0].length - this.#tail.length;
    this.isFound = found !== null;
    this.#tail = text.slice(-TAIL);
    return begins ?? undefined;
  }
}

function isLineEnd(byte: number): boolean {
  return byte === 0x0a || byte === 0x0d;
}

/** An empty line that ends with CR. EventSource waits whether LF follows, though the event is over in either case. */
function endsWithEmptyLine(bytes: Buffer): boolean {
  const end = bytes.toString('latin1', Math.max(0, bytes.length - 2));
  return end === '\r\r' || end === '\n\r';
}

/** Behind the empty lines with which events end: the first and the last. */
function eventEnds(bytes: Buffer): { first: number; last: number } | undefined {
  const emptyLines = bytes.includes('\r') ? ['\n\n', '\r\r', '\n\r'] : ['\n\n'];
  const found = emptyLines.filter((end) => bytes.includes(end));
  if (found.length === 0) return undefined;
  return {
    first: Math.min(...found.map((end) => bytes.indexOf(end) + end.length)),
    last: Math.max(...found.map((end) => bytes.lastIndexOf(end) + end.length)),
  };
}
