import { readAnswerHead, type AnswerHead, type AnswerTerms } from './answer-head.ts';
import { ChunkedBody } from './chunked-body.ts';
import type { FlatFields } from './header-lines.ts';

/** Is given an answer as it comes. */
export interface AnswerSink {
  /** Information ahead of the answer: 100 to 199. */
  interim(head: AnswerHead): void;
  head(head: AnswerHead): void;
  /** Some of the body, never empty. */
  body(chunk: Buffer): void;
  end(trailers: FlatFields): void;
}

type State = 'idle' | 'head' | 'length' | 'chunked' | 'close';

const END_OF_HEAD = Buffer.from('\r\n\r\n');
const NOTHING: FlatFields = [];
/** An interim answer is free to send, and each costs the caller work. */
const MAX_INTERIM = 16;

/**
 * Reads the answers of one callee, one after the other. What does not read as an answer in exactly one way is a problem,
 * and nothing on the connection can be trusted after it.
 */
export class AnswerReader {
  readonly #maxHeaderBytes: number;
  #state: State = 'idle';
  #terms: AnswerTerms = { method: '', fromSidecar: false };
  #sink: AnswerSink | undefined;
  /** What has come of a head, or of a line, that is not whole yet. */
  #rest: Buffer | undefined;
  #left = 0;
  #interims = 0;
  #chunks: ChunkedBody | undefined;

  constructor(maxHeaderBytes: number) {
    this.#maxHeaderBytes = maxHeaderBytes;
  }

  /** A request goes out; what comes from now on answers it. */
  expect(terms: AnswerTerms, sink: AnswerSink): void {
    this.#terms = terms;
    this.#sink = sink;
    this.#state = 'head';
    this.#interims = 0;
  }

  /** Whether nothing is expected. */
  get idle(): boolean {
    return this.#state === 'idle';
  }

  /** @returns what is wrong, in one line; `undefined`: nothing */
  read(bytes: Buffer): string | undefined {
    let at = 0;
    while (at < bytes.length) {
      switch (this.#state) {
        case 'idle':
          return 'bytes that answer nothing';
        case 'head': {
          const next = this.#readHead(bytes, at);
          if (typeof next === 'string') return next;
          at = next;
          break;
        }
        case 'length': {
          const end = Math.min(bytes.length, at + this.#left);
          this.#left -= end - at;
          this.#sink?.body(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
          at = end;
          if (this.#left === 0) this.#end(NOTHING);
          break;
        }
        case 'close':
          this.#sink?.body(at === 0 ? bytes : bytes.subarray(at));
          return undefined;
        case 'chunked': {
          const next = this.#chunks?.read(bytes, at, (chunk) => this.#sink?.body(chunk)) ?? bytes.length;
          if (typeof next === 'string') return next;
          at = next;
          if (this.#chunks?.trailers !== undefined) this.#end(this.#chunks.trailers);
          break;
        }
        default:
          return this.#state satisfies never;
      }
    }
    return undefined;
  }

  /** The callee has closed. @returns whether that was the proper end of what it had to say */
  closed(): boolean {
    if (this.#state !== 'close') return this.#state === 'idle';
    this.#end(NOTHING);
    return true;
  }

  #readHead(bytes: Buffer, at: number): number | string {
    const rest = this.#rest;
    const all = rest === undefined ? bytes : Buffer.concat([rest, bytes.subarray(at)]);
    const from = rest === undefined ? at : 0;
    const end = all.indexOf(END_OF_HEAD, from);
    if ((end < 0 ? all.length : end) - from > this.#maxHeaderBytes) return 'a head that is too large';
    if (end < 0) {
      this.#rest = from === 0 ? all : all.subarray(from);
      return bytes.length;
    }
    this.#rest = undefined;
    const reading = readAnswerHead(all.toString('latin1', from, end), this.#terms);
    if (!reading.ok) return reading.problem;
    return this.#begin(reading.head) ?? end + END_OF_HEAD.length - (rest === undefined ? 0 : rest.length - at);
  }

  #begin(head: AnswerHead): string | undefined {
    if (head.status < 200) {
      this.#interims += 1;
      if (this.#interims > MAX_INTERIM) return 'too many interim answers';
      this.#sink?.interim(head);
      return undefined;
    }
    this.#left = head.length;
    if (head.framing === 'chunked') this.#chunks = new ChunkedBody(this.#maxHeaderBytes);
    if (head.framing !== 'none') this.#state = head.framing;
    this.#sink?.head(head);
    if (head.framing === 'none') this.#end(NOTHING);
    return undefined;
  }

  #end(trailers: FlatFields): void {
    const sink = this.#sink;
    this.#state = 'idle';
    this.#sink = undefined;
    this.#chunks = undefined;
    sink?.end(trailers);
  }
}
