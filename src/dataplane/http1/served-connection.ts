import type { IncomingMessage, ServerResponse } from 'node:http';
import { rejection as reject, type Rejection } from '../../domain/rejection.ts';
import { after } from '../../platform/clock.ts';
import type { TunnelEnd, TunnelOutcome } from '../tunnel.ts';
import { Exchange } from './exchange.ts';
import { lastAnswer, problemAnswer } from './problem-answer.ts';
import { readRequest } from './request-reading.ts';
import type { Http1Terms } from './terms.ts';

/** How long a head may take to come, from its first byte on, ms. */
const HEAD_MS = 10_000;
/** So long may the last words to a caller take to leave, ms. */
const LAST_WORDS_MS = 50;
/** Silence after which a connection with nothing under way may be closed, and that of one not used yet, ms. */
const QUIET_MS = 250;
const UNUSED_MS = 2000;
/** Requests that a caller may send ahead; while there are so many, nothing more is read. */
const MAX_AHEAD = 16;
const LOOK_MS = 1000;

interface Waiting {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
}

/** Every connection that is open: one timer looks after all. */
const open = new Set<ServedConnection>();
let looking: NodeJS.Timeout | undefined;

/** One connection of a caller: its requests, one after the other. Node's server reads and writes it. */
export class ServedConnection {
  /** How it ended, when it is closed; never rejects. */
  readonly over: Promise<TunnelOutcome>;
  readonly #end: TunnelEnd & { readonly stream: { readonly bytesRead?: number } };
  readonly #terms: Http1Terms;
  readonly #ahead: Waiting[] = [];
  #current: Exchange | undefined;
  #isBusy = false;
  #used = false;
  #failed = false;
  #finishing = false;
  /** Bytes read when the last request was over; more than that, and another has begun. */
  #readBefore = 0;
  #headSince: number | undefined;
  #quietSince: number;
  #cancelLook = (): void => undefined;

  constructor(end: TunnelEnd, terms: Http1Terms) {
    this.#end = end;
    this.#terms = terms;
    // That it speaks HTTP/1 is known from its first bytes: the first head has begun.
    this.#quietSince = this.#headSince = terms.clock.monotonic();
    open.add(this);
    looking ??= setInterval(lookAtAll, LOOK_MS).unref();
    this.over = new Promise((resolve) => {
      end.stream.once('close', () => {
        open.delete(this);
        this.#cancelLook();
        resolve(this.#failed ? 'reset' : 'finished');
      });
    });
  }

  /** The exchange that is under way, if one is. */
  get current(): Exchange | undefined {
    return this.#current;
  }

  /** Node's server has read a head. */
  take(message: IncomingMessage, response: ServerResponse): void {
    this.#used = true;
    this.#headSince = undefined;
    response.on('error', ignore);
    if (this.#isBusy) {
      this.#ahead.push({ message, response });
      if (this.#ahead.length >= MAX_AHEAD) this.#end.stream.pause();
    } else this.#start({ message, response });
  }

  /** Node's server could not read on. */
  failed(error: NodeJS.ErrnoException): void {
    const { stream } = this.#end;
    if (!String(error.code).startsWith('HPE_')) {
      stream.destroy();
      return;
    }
    const rejection = parserRejection(error);
    if (this.#current !== undefined) {
      this.#current.cut(rejection);
      this.#failed = true;
      stream.end();
      this.#closeSoon();
    } else if (this.#isBusy) this.reset();
    else this.#lastWords(rejection);
  }

  /** The caller wants a tunnel. */
  connect(): void {
    if (this.#isBusy) this.reset();
    else
      this.#lastWords(reject('UPGRADE_REFUSED', 'CONNECT: what would follow is no HTTP, and its calls cannot be seen'));
  }

  reset(): void {
    this.#failed = true;
    this.#end.reset();
  }

  /** Lets what is under way finish, takes nothing new, then closes. A second call changes nothing. */
  finish(): void {
    if (this.#finishing) return;
    this.#finishing = true;
    this.#quietSince = this.#terms.clock.monotonic();
    this.#look();
  }

  timePassed(): void {
    const now = this.#terms.clock.monotonic();
    this.#current?.timePassed(now);
    if (this.#isBusy || this.#end.stream.destroyed) return;
    if (this.#headSince === undefined && this.#bytesRead > this.#readBefore) this.#headSince = now;
    if (this.#headSince === undefined || now - this.#headSince <= HEAD_MS) return;
    this.#headSince = undefined;
    this.#lastWords(reject('PREFACE_TIMEOUT', `the head of a request took more than ${HEAD_MS} ms to come`));
  }

  get #bytesRead(): number {
    return this.#end.stream.bytesRead ?? 0;
  }

  #start({ message, response }: Waiting): void {
    this.#isBusy = true;
    response.on('close', this.#onClosed);
    if (this.#finishing) response.shouldKeepAlive = false;
    const reading = readRequest(message, this.#terms.limits.maxHeaderBytes);
    if (!reading.ok) {
      this.#refuse(reading.rejection, response);
      return;
    }
    const { request } = reading;
    this.#current = new Exchange({ request, message, response, terms: this.#terms, caller: this });
    this.#current.start();
  }

  /** A request that nobody is asked about: how its body ends is as unclear as the rest, so it is the last one. */
  #refuse(rejection: Rejection, response: ServerResponse): void {
    const correlationId = this.#terms.newCorrelationId();
    const { status, fields, body } = problemAnswer({ rejection, correlationId, audience: this.#terms.audience });
    response.shouldKeepAlive = false;
    response.writeHead(status, fields);
    response.end(body);
    this.#terms.refused({ request: undefined, rejection, correlationId, httpStatus: status });
  }

  /** Tells why on a connection that Node's server does not serve any more, and closes it. */
  #lastWords(rejection: Rejection): void {
    const { audience, newCorrelationId, refused } = this.#terms;
    const { stream } = this.#end;
    const correlationId = newCorrelationId();
    const httpStatus = problemAnswer({ rejection, correlationId, audience }).status;
    refused({ request: undefined, rejection, correlationId, httpStatus });
    if (!stream.writable) {
      this.reset();
      return;
    }
    stream.end(lastAnswer({ rejection, correlationId, audience }));
    this.#closeSoon();
  }

  /** What the caller still sends is read over, so that it can read why. */
  #closeSoon(): void {
    const { stream } = this.#end;
    stream.resume();
    const timer = setTimeout(() => this.#end.reset(), LAST_WORDS_MS);
    stream.once('close', () => clearTimeout(timer));
    stream.once('end', () => stream.destroy());
  }

  /** One for all responses of the connection. */
  readonly #onClosed = (): void => {
    this.#current?.callerClosed();
    this.#next();
  };

  #next(): void {
    this.#current = undefined;
    this.#isBusy = false;
    this.#quietSince = this.#terms.clock.monotonic();
    this.#readBefore = this.#bytesRead;
    const next = this.#ahead.shift();
    if (next === undefined) return;
    if (this.#ahead.length === MAX_AHEAD - 1) this.#end.stream.resume();
    if (!next.response.destroyed) this.#start(next);
  }

  #look(): void {
    this.#cancelLook();
    const { stream } = this.#end;
    if (stream.destroyed) return;
    const leftMs = this.#quietSince + (this.#used ? QUIET_MS : UNUSED_MS) - this.#terms.clock.monotonic();
    if (leftMs <= 0 && !this.#isBusy && stream.writableLength === 0) {
      stream.end();
      this.#closeSoon();
      return;
    }
    const { clock } = this.#terms;
    const delayMs = Math.max(QUIET_MS / 2, leftMs);
    this.#cancelLook = after({ delayMs, run: () => this.#look(), keepAlive: false, clock });
  }
}

function parserRejection({ code, message }: NodeJS.ErrnoException): Rejection {
  if (code === 'HPE_HEADER_OVERFLOW') return reject('CALL_HEADERS_TOO_LARGE', 'the head of a request is too large');
  const reason = message.replace(/^Parse Error: /, '');
  return reject('HTTP1_MALFORMED', `${reason} (${code})`);
}

function lookAtAll(): void {
  for (const connection of open) connection.timePassed();
  if (open.size > 0) return;
  clearInterval(looking);
  looking = undefined;
}

/** A caller that goes away is told of by the end of its connection. */
function ignore(): void {
  return undefined;
}
