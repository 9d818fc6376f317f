import { isUtf8 } from 'node:buffer';
import { ByteCollector } from '../../platform/byte-collector.ts';

/** One event of a `text/event-stream` (WHATWG HTML, section 9.2), as far as the API uses it. */
export interface ServerEvent {
  /** The field `event`; empty where there is none. */
  readonly event: string;
  readonly data: string;
}

/** Why a stream is not one of events. Never repeats what came. */
export class EventStreamError extends Error {
  override readonly name = 'EventStreamError';
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** As many lines make one event at most: the API's have two or three. */
const MAX_LINES = 1000;
const FIELD = /^([a-z]+)(?:: ?(.*))?$/s;
/** How nearly every line begins: it need not be taken apart. */
const DATA = 'data: ';
/** What a decoder puts in the place of bytes that are not UTF-8. */
const REPLACEMENT = '\ufffd';

/**
 * Takes a stream of events apart, whatever the chunks it comes in. Stricter than a browser: bytes that are not UTF-8, a
 * carriage return within a line, and fields that are none are errors, because two readers could understand them
 * differently. Comments, which servers send to keep a connection open, are left out. Holds at most one event.
 */
export class EventReader {
  readonly #maxBytes: number;
  /** Of a line that has not ended. */
  readonly #rest = new ByteCollector();
  #event = '';
  #data: string[] = [];
  #held = 0;

  /** @param maxBytes the largest event, in bytes. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Gives each event as soon as it is whole: those before an error are good. @throws EventStreamError, or what `take` threw */
  push(chunk: Buffer, take: (event: ServerEvent) => void): void {
    // What came before was looked through when it came: not again for every byte that follows.
    const end = chunk.lastIndexOf(LINE_FEED) + 1;
    if (end === 0) this.#rest.push(chunk);
    else {
      this.#lines(this.#upTo(chunk, end), take);
      // Not an empty part of it: that would keep all of what was read last.
      if (end < chunk.length) this.#rest.push(chunk.subarray(end));
    }
    if (this.#held + this.#rest.length > this.#maxBytes) throw this.#tooLarge();
  }

  #upTo(chunk: Buffer, end: number): Buffer {
    const whole = end === chunk.length ? chunk : chunk.subarray(0, end);
    if (this.#rest.length === 0) return whole;
    this.#rest.push(whole);
    return this.#rest.take();
  }

  /** Whole lines are decoded all at once: most often they are one event, and each call into Node costs more than a line. */
  #lines(bytes: Buffer, take: (event: ServerEvent) => void): void {
    const text = bytes.toString('utf8');
    // It stands for bytes that are not UTF-8. Where it is not, all are; where it is, it may have been sent as such.
    if (text.includes(REPLACEMENT) && !isUtf8(bytes)) {
      this.#lines(bytes.subarray(0, lengthOfUtf8Lines(bytes)), take);
      throw new EventStreamError('bytes that are not UTF-8');
    }
    const isAscii = text.length === bytes.length;
    let from = 0;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
      const end = at > from && text.charCodeAt(at - 1) === CARRIAGE_RETURN ? at - 1 : at;
      const line = text.slice(from, end);
      const event = this.#line(line, isAscii ? line.length : Buffer.byteLength(line));
      from = at + 1;
      if (event !== undefined) take(event);
    }
  }

  /** Whether the stream stops between two events. */
  get atRest(): boolean {
    return this.#rest.length === 0 && this.#data.length === 0 && this.#event === '';
  }

  #line(line: string, bytes: number): ServerEvent | undefined {
    if (line === '') return this.#dispatch();
    this.#held += bytes;
    if (this.#held > this.#maxBytes || this.#data.length > MAX_LINES) throw this.#tooLarge();
    if (line.includes('\r')) throw new EventStreamError('a carriage return within a line');
    if (line.startsWith(DATA)) {
      this.#data.push(line.slice(DATA.length));
      return undefined;
    }
    if (line.startsWith(':')) return undefined;
    const [, name, value = ''] = FIELD.exec(line) ?? [];
    if (name === 'data') this.#data.push(value);
    else if (name === 'event') this.#event = value;
    // A client of the API does not come back to a stream: these two have no meaning for it.
    else if (name !== 'id' && name !== 'retry') throw new EventStreamError('a line that is no field of an event');
    return undefined;
  }

  #dispatch(): ServerEvent | undefined {
    const [event, data] = [this.#event, this.#data];
    this.#event = '';
    this.#data = [];
    this.#held = 0;
    if (data.length === 0) return undefined;
    return { event, data: data.length === 1 ? (data[0] ?? '') : data.join('\n') };
  }

  #tooLarge(): EventStreamError {
    return new EventStreamError(`an event of more than ${this.#maxBytes} bytes`);
  }
}

/** Of whole lines: how many bytes the lines before the first one take that is not UTF-8. No character spans two lines. */
function lengthOfUtf8Lines(bytes: Buffer): number {
  let from = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, from)) {
    if (!isUtf8(bytes.subarray(from, at))) return from;
    from = at + 1;
  }
  return from;
}

/** @returns an event as it goes over the wire. */
export function writeEvent({ event, data }: ServerEvent): string {
  const lines = data.includes('\n') ? data.replaceAll('\n', '\ndata: ') : data;
  return event === '' ? `data: ${lines}\n\n` : `event: ${event}\ndata: ${lines}\n\n`;
}
