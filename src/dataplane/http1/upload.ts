import type { IncomingMessage } from 'node:http';
import { isReserved } from '../gate/reserved-fields.ts';
import type { Channel } from './channel.ts';
import { isTrailer } from './field-names.ts';
import type { Http1Request } from './request-reading.ts';

/** Up to so many bytes are copied into the text that goes before them: one write costs more than the copy. */
const SMALL_BYTES = 4096;
/** So much of a body that nobody wants is read, for the sake of the connection; then the connection ends. */
const MAX_DISCARDED = 1024 * 1024;

type Mode = 'waiting' | 'sending' | 'collecting' | 'discarding';

/** Whose body it is. There is one for each request: an object costs less than a function for each event. */
export interface UploadOwner {
  /** More came of a body that nobody wants than is worth reading. */
  tooMuchToDiscard(): void;
}

/** The body of one request on its way to the callee. */
export class Upload {
  /** Bytes of the body that have come. */
  bytes = 0;
  /** Whether all of it has gone out. */
  sent = false;
  readonly #owner: UploadOwner;
  readonly #message: IncomingMessage;
  readonly #request: Pick<Http1Request, 'framing' | 'contentLength'>;
  #mode: Mode = 'waiting';
  #channel: Channel | undefined;
  /** What has to go out before the next bytes of the body. */
  #head = '';
  #isAttending = false;
  #collected: Buffer[] | undefined;
  #collect: { readonly limit: number; readonly onBody: (body: Buffer | undefined) => void } | undefined;
  #discarded = 0;

  constructor(owner: UploadOwner, message: IncomingMessage, request: Pick<Http1Request, 'framing' | 'contentLength'>) {
    this.#owner = owner;
    this.#message = message;
    this.#request = request;
  }

  /** Whether more of the body has to come from the caller, and nothing keeps it from coming. */
  get isAwaited(): boolean {
    const wanted = this.#mode === 'collecting' || (this.#mode === 'sending' && !this.sent);
    return wanted && !this.#message.isPaused();
  }

  /** Sends the head, and the body as it comes. */
  send(head: string, channel: Channel): void {
    this.#channel = channel;
    if (this.#request.framing === 'none') {
      channel.write(head);
      this.sent = true;
      return;
    }
    this.#head = head;
    this.#mode = 'sending';
    // Mostly the body has come with the head, and is there when all that came has been read: then both go out as one.
    process.nextTick(sendAtHand, this);
  }

  /** Sends a body that is at hand. With a length it has no place for trailers, which anybody may leave out. */
  sendWhole(head: string, body: Buffer, channel: Channel): void {
    channel.write(joined(head, body));
    this.sent = true;
  }

  /** Holds the body back. @param onBody is given it, or `undefined` where it is longer than that */
  collect(limit: number, onBody: (body: Buffer | undefined) => void): void {
    this.#collect = { limit, onBody };
    this.#mode = 'collecting';
    // As in `send`: a body that is there already is not listened for.
    process.nextTick(collectAtHand, this);
  }

  /** Takes as much of the body as has come; the rest is waited for. */
  collectAtHand(): void {
    if (this.#mode !== 'collecting') return;
    const chunk = this.#message.read() as Buffer | null;
    if (chunk !== null) this.#data(chunk);
    if (this.#collect === undefined) return;
    if (this.#request.framing === 'length' && this.bytes === this.#request.contentLength) this.#end();
    else this.#attend();
  }

  /** The callee takes more. */
  resume(): void {
    this.#message.resume();
  }

  /** Nobody wants the rest: it is read and thrown away, so that the caller can hear why. */
  discard(): void {
    if (this.#request.framing === 'none' || this.#message.readableEnded) return;
    this.#mode = 'discarding';
    this.#attend();
    this.#message.resume();
  }

  #attend(): void {
    if (this.#isAttending) return;
    this.#isAttending = true;
    this.#message.on('data', (chunk: Buffer) => this.#data(chunk));
    // Where the length is known, so is the end.
    if (this.#request.framing === 'chunked' || this.#mode === 'collecting') this.#message.on('end', () => this.#end());
  }

  #data(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.#mode === 'sending') this.#forward(chunk);
    else if (this.#mode === 'collecting') this.#take(chunk);
    else {
      this.#discarded += chunk.length;
      if (this.#discarded > MAX_DISCARDED) this.#owner.tooMuchToDiscard();
    }
  }

  #end(): void {
    if (this.#mode === 'collecting') {
      const onBody = this.#collect?.onBody;
      this.#collect = undefined;
      this.#mode = 'waiting';
      onBody?.(Buffer.concat(this.#collected ?? []));
    } else if (this.#mode === 'sending' && !this.sent) {
      this.#channel?.write(`${this.#takeHead()}0\r\n${keptTrailers(this.#message.rawTrailers)}\r\n`);
      this.sent = true;
    }
  }

  #forward(chunk: Buffer): void {
    const head = this.#takeHead();
    const bytes =
      this.#request.framing === 'chunked'
        ? joined(`${head}${chunk.length.toString(16)}\r\n`, chunk, '\r\n')
        : joined(head, chunk);
    if (this.#channel?.write(bytes) === false) this.#message.pause();
    if (this.#request.framing === 'length' && this.bytes === this.#request.contentLength) this.sent = true;
  }

  #take(chunk: Buffer): void {
    (this.#collected ??= []).push(chunk);
    if (this.#collect === undefined || this.bytes <= this.#collect.limit) return;
    const { onBody } = this.#collect;
    this.#collect = undefined;
    this.#collected = undefined;
    this.discard();
    onBody(undefined);
  }

  /** Sends the head, with as much of the body as has come. */
  sendAtHand(): void {
    if (this.#mode !== 'sending') return;
    const chunk = this.#message.read() as Buffer | null;
    if (chunk !== null) this.#data(chunk);
    else this.#channel?.write(this.#takeHead());
    if (!this.sent) this.#attend();
  }

  #takeHead(): string {
    const head = this.#head;
    this.#head = '';
    return head;
  }
}

function sendAtHand(upload: Upload): void {
  upload.sendAtHand();
}

function collectAtHand(upload: Upload): void {
  upload.collectAtHand();
}

function joined(head: string, body: Buffer, tail = ''): Buffer | string {
  if (body.length <= SMALL_BYTES) return `${head}${body.toString('latin1')}${tail}`;
  if (head === '' && tail === '') return body;
  return Buffer.concat([Buffer.from(head, 'latin1'), body, Buffer.from(tail, 'latin1')]);
}

/** @param raw name, value, name, value …, as Node's parser took them */
function keptTrailers(raw: readonly string[]): string {
  let lines = '';
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const lower = (raw[i] ?? '').toLowerCase();
    if (isTrailer(lower) && !isReserved(lower)) lines += `${raw[i]}: ${raw[i + 1]}\r\n`;
  }
  return lines;
}
