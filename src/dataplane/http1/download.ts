import type { ServerResponse } from 'node:http';
import type { Rejection } from '../../domain/rejection.ts';
import { rejection as reject } from '../../domain/rejection.ts';
import type { AnswerHead } from './answer-head.ts';
import type { ExchangeWatch } from './body-watch.ts';
import type { FlatFields } from './header-lines.ts';
import { WatchedAnswer } from './watched-answer.ts';

/** Up to so many bytes go out as one text with the head: one write costs more than the copy. */
const SMALL_BYTES = 4096;
/** Early Hints and what else may come ahead; 100 is answered as such, and 101 never comes here. */
const PROCESSING = 102;
const EARLY_HINTS = 103;

/** One answer on its way to the caller. A whole one that comes at once goes out in one piece; nothing waits for more. */
export class Download {
  /** Bytes of the body that have come. */
  bytes = 0;
  readonly #response: ServerResponse;
  readonly #watch: ExchangeWatch | undefined;
  /** Has come, and has not gone out. */
  #head: AnswerHead | undefined;
  #held: Buffer | undefined;
  #watched: WatchedAnswer | undefined;

  constructor(response: ServerResponse, watch: ExchangeWatch | undefined) {
    this.#response = response;
    this.#watch = watch;
  }

  /** Whether the caller has been sent any of it: then it is too late for another answer. */
  get begun(): boolean {
    return this.#response.headersSent;
  }

  /** Whether the caller takes nothing at the moment. */
  get stalled(): boolean {
    return this.#response.writableNeedDrain;
  }

  interim({ status, fields }: AnswerHead, expectsContinue: boolean): void {
    if (status === 100) {
      if (expectsContinue) this.#response.writeContinue();
    } else if (status === PROCESSING) this.#response.writeProcessing();
    else if (status === EARLY_HINTS) {
      const links = valuesOf(fields, 'link');
      if (links.length > 0 && links.every((link) => LINK.test(link))) this.#response.writeEarlyHints({ link: links });
    }
  }

  /** @returns why it does not go on; `undefined`: it does */
  head(head: AnswerHead): Rejection | undefined {
    this.#head = head;
    if (this.#watch === undefined) return undefined;
    const { status, fields } = head;
    const watch = this.#watch.response({ status, headers: pairsOf(fields) });
    if (watch === undefined) return undefined;
    if (head.isEncoded) {
      return reject('CALL_ANSWER_UNREADABLE', 'the answer has a content coding, though none was asked for');
    }
    this.#watched = new WatchedAnswer(watch);
    return undefined;
  }

  /** @returns why it does not go on; `undefined`: it does */
  body(chunk: Buffer): Rejection | undefined {
    this.bytes += chunk.length;
    const verdict = this.#watched?.take(chunk);
    if (verdict?.ok === false) return verdict.rejection;
    this.#hold(verdict?.body ?? chunk);
    return undefined;
  }

  /** All that came at once has been told. @returns whether the caller takes more */
  flush(): boolean {
    if (this.#watched?.isWhole === true) return true;
    const held = this.#takeHeld();
    this.#sendHead();
    if (held !== undefined) this.#response.write(held);
    else if (!this.#response.writableEnded) this.#response.flushHeaders();
    return !this.#response.writableNeedDrain;
  }

  /** @returns why it does not go on; `undefined`: it does */
  end(trailers: FlatFields): Rejection | undefined {
    const verdict = this.#watched?.end();
    if (verdict?.ok === false) return verdict.rejection;
    if (verdict !== undefined) this.#hold(verdict.body);
    const last = this.#takeHeld();
    this.#sendHead(this.#watched?.isWhole === true ? (last?.length ?? 0) : undefined);
    if (trailers.length > 0) this.#response.addTrailers(pairsOf(trailers));
    if (last === undefined) this.#response.end();
    else if (last.length <= SMALL_BYTES) this.#response.end(last.toString('latin1'), 'latin1');
    else this.#response.end(last);
    return undefined;
  }

  #hold(chunk: Buffer): void {
    if (chunk.length === 0) return;
    const before = this.#takeHeld();
    this.#held = chunk;
    if (before === undefined) return;
    if (this.#watched?.isWhole === true) this.#held = Buffer.concat([before, chunk]);
    else {
      this.#sendHead();
      this.#response.write(before);
    }
  }

  #takeHeld(): Buffer | undefined {
    const held = this.#held;
    this.#held = undefined;
    return held;
  }

  /** @param length of the body, where it may be another than the callee said */
  #sendHead(length?: number): void {
    const head = this.#head;
    if (head === undefined) return;
    this.#head = undefined;
    let { fields } = head;
    if (this.#watched !== undefined) {
      fields = withoutLength(fields);
      if (length !== undefined) fields.push('Content-Length', String(length));
    }
    // As raw fields they go out in their order and spelling; a date is the callee's to give.
    this.#response.sendDate = false;
    this.#response.writeHead(head.status, head.reason, fields);
  }
}

/** As Node's server wants it to be, which throws at all else. */
const LINK = /^<[^>]*>(?:\s*;\s*[^;"\s]+(?:=(")?[^;"\s]*\1)?)*$/;

function pairsOf(fields: FlatFields): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) pairs.push([fields[i] ?? '', fields[i + 1] ?? '']);
  return pairs;
}

function valuesOf(fields: FlatFields, lowerCaseName: string): string[] {
  return pairsOf(fields)
    .filter(([name]) => name.toLowerCase() === lowerCaseName)
    .map(([, value]) => value);
}

function withoutLength(fields: FlatFields): FlatFields {
  return pairsOf(fields)
    .filter(([name]) => name.toLowerCase() !== 'content-length')
    .flat();
}
