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
    this.#rest.push(chunk);
    // What came before was looked through when it came: not again for every byte that follows.
    if (chunk.includes(LINE_FEED)) this.#lines(this.#rest.take(), take);
    if (this.#held + this.#rest.length > this.#maxBytes) throw this.#tooLarge();
  }

  #lines(bytes: Buffer, take: (event: ServerEvent) => void): void {
    let from = 0;
    for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, from)) {
      const end = at > from && bytes[at - 1] === CARRIAGE_RETURN ? at - 1 : at;
      const event = this.#line(bytes.subarray(from, end));
      from = at + 1;
      if (event !== undefined) take(event);
    }
    // Not an empty part of it: that would keep all of what was read last.
    if (from < bytes.length) this.#rest.push(bytes.subarray(from));
  }

  /** Whether the stream stops between two events. */
  get atRest(): boolean {
    return this.#rest.length === 0 && this.#data.length === 0 && this.#event === '';
  }

  #line(bytes: Buffer): ServerEvent | undefined {
    if (bytes.length === 0) return this.#dispatch();
    this.#held += bytes.length;
    if (this.#held > this.#maxBytes || this.#data.length > MAX_LINES) throw this.#tooLarge();
    // Whole lines can be checked one by one: no character spans two of them.
    if (!isUtf8(bytes)) throw new EventStreamError('bytes that are not UTF-8');
    const text = bytes.toString('utf8');
    if (text.includes('\r')) throw new EventStreamError('a carriage return within a line');
    if (text.startsWith(':')) return undefined;
    const [, name, value = ''] = FIELD.exec(text) ?? [];
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
    return data.length === 0 ? undefined : { event, data: data.join('\n') };
  }

  #tooLarge(): EventStreamError {
    return new EventStreamError(`an event of more than ${this.#maxBytes} bytes`);
  }
}

/** @returns an event as it goes over the wire. */
export function writeEvent({ event, data }: ServerEvent): string {
  const lines = data.includes('\n') ? data.replaceAll('\n', '\ndata: ') : data;
  return event === '' ? `data: ${lines}\n\n` : `event: ${event}\ndata: ${lines}\n\n`;
}
