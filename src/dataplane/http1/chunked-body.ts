import { isReserved } from '../gate/reserved-fields.ts';
import { isTrailer } from './field-names.ts';
import { readHeaderLines, type FlatFields } from './header-lines.ts';

type State = 'size' | 'data' | 'data-end' | 'trailers';

const LF = 10;
/** A size of at most 2⁵² in hexadecimal. Extensions mean nothing to anybody here, and are where two readers differ. */
const SIZE_LINE = /^([0-9A-Fa-f]{1,13})[ \t]*(?:;[\t\x20-\x7e]*)?\r$/;
const MAX_SIZE_LINE = 256;

/** Reads a chunked body strictly (RFC 9112, section 7.1). Extensions are read over, up to a bound. */
export class ChunkedBody {
  readonly #maxTrailerBytes: number;
  #state: State = 'size';
  #left = 0;
  /** Of a line that is not whole yet, as latin1. */
  #line = '';
  #trailers = '';
  /** Set when all of it has been read: those that may go on. */
  trailers: FlatFields | undefined;

  constructor(maxTrailerBytes: number) {
    this.#maxTrailerBytes = maxTrailerBytes;
  }

  /** @returns where it ends in these bytes, or what is wrong, in one line */
  read(bytes: Buffer, from: number, body: (chunk: Buffer) => void): number | string {
    let at = from;
    while (at < bytes.length && this.trailers === undefined) {
      if (this.#state === 'data') {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        body(bytes.subarray(at, end));
        at = end;
        if (this.#left === 0) this.#state = 'data-end';
        continue;
      }
      const end = bytes.indexOf(LF, at);
      this.#line += bytes.toString('latin1', at, end < 0 ? bytes.length : end);
      const limit = this.#state === 'trailers' ? this.#maxTrailerBytes : MAX_SIZE_LINE;
      if (this.#line.length > limit) return 'a chunk, or its trailers, with too long a line';
      if (end < 0) return bytes.length;
      at = end + 1;
      const line = this.#line;
      this.#line = '';
      const problem = this.#takeLine(line);
      if (problem !== undefined) return problem;
    }
    return at;
  }

  #takeLine(line: string): string | undefined {
    if (this.#state === 'size') {
      const size = SIZE_LINE.exec(line)?.[1];
      if (size === undefined) return 'a chunk whose size is none';
      this.#left = Number.parseInt(size, 16);
      this.#state = this.#left === 0 ? 'trailers' : 'data';
      return undefined;
    }
    if (this.#state === 'data-end') {
      this.#state = 'size';
      return line === '\r' ? undefined : 'a chunk that is longer than its size';
    }
    if (line !== '\r') {
      if (!line.endsWith('\r')) return 'a trailer that does not end with CRLF';
      this.#trailers += `${line}\n`;
      return this.#trailers.length > this.#maxTrailerBytes ? 'trailers that are too large' : undefined;
    }
    return this.#finish();
  }

  #finish(): string | undefined {
    const kept: FlatFields = [];
    const problem = readHeaderLines(this.#trailers.slice(0, -2), 0, {
      take: (lower, name, value) => {
        if (isTrailer(lower) && !isReserved(lower)) kept.push(name, value);
        return undefined;
      },
    });
    this.trailers = kept;
    return problem;
  }
}
