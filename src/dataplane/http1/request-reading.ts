import type { IncomingMessage } from 'node:http';
import { rejection as reject, type Rejection } from '../../domain/rejection.ts';
import type { CallRequest } from '../gate/call.ts';
import { isFieldValue, parseLength } from '../gate/field-rules.ts';
import { isReserved } from '../gate/reserved-fields.ts';
import { isTraceparent } from '../gate/trace-context.ts';
import type { HeaderField } from '../hpack/header-field.ts';
import type { HeaderPairs } from './body-watch.ts';
import { HOP_BY_HOP, isHiddenFraming, NOT_FOR_CONNECTION } from './field-names.ts';

/** How the end of a body is told; `none`: there is no body. */
export type BodyFraming = 'none' | 'length' | 'chunked';

/** One request, checked for form and not yet for permission. */
export class Http1Request implements CallRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly isGrpc = false;
  readonly isProxied: boolean;
  readonly isFromPage: boolean;
  readonly framing: BodyFraming;
  /** As stated; `undefined`: not stated. */
  readonly contentLength: number | undefined;
  /** The caller waits for a 100 before it sends the body. */
  readonly expectsContinue: boolean;
  /** The caller's, if it goes on; `undefined`: this call starts a trace. */
  readonly traceparent: string | undefined;
  readonly #rawHeaders: readonly string[];
  readonly #dropped: ReadonlySet<string> | undefined;
  readonly #lines: string;

  constructor(parts: RequestParts) {
    this.method = parts.method;
    this.path = parts.path;
    this.authority = parts.authority;
    this.isProxied = parts.isProxied;
    this.isFromPage = parts.isFromPage;
    this.framing = parts.framing;
    this.contentLength = parts.contentLength;
    this.expectsContinue = parts.expectsContinue;
    this.traceparent = parts.traceparent;
    this.#rawHeaders = parts.rawHeaders;
    this.#dropped = parts.dropped;
    this.#lines = parts.lines;
  }

  get headers(): readonly HeaderField[] {
    return this.headerPairs.map(([name, value]) => ({ name: name.toLowerCase(), value }));
  }

  get headerPairs(): HeaderPairs {
    const pairs: [string, string][] = [];
    const raw = this.#rawHeaders;
    for (let i = 0; i + 1 < raw.length; i += 2) pairs.push([raw[i] ?? '', raw[i + 1] ?? '']);
    return pairs;
  }

  /**
   * The fields that go on, each as a line: without those of the connection, of the body's length, of the trace, and those
   * that only sidecars may set.
   *
   * @param acceptEncoding stands in for the caller's. Default: the caller's
   */
  lines(acceptEncoding?: string): string {
    if (this.#dropped === undefined && acceptEncoding === undefined) return this.#lines;
    let lines = '';
    for (const [name, value] of this.headerPairs) {
      const lower = name.toLowerCase();
      const isDropped =
        this.#dropped?.has(lower) === true || (acceptEncoding !== undefined && lower === 'accept-encoding');
      if (!isDropped && goesOn(lower, value, this.traceparent !== undefined)) lines += `${name}: ${value}\r\n`;
    }
    return acceptEncoding === undefined ? lines : `${lines}Accept-Encoding: ${acceptEncoding}\r\n`;
  }
}

interface RequestParts {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly isProxied: boolean;
  readonly isFromPage: boolean;
  readonly framing: BodyFraming;
  readonly contentLength: number | undefined;
  readonly expectsContinue: boolean;
  readonly traceparent: string | undefined;
  readonly rawHeaders: readonly string[];
  /** Further fields that the sender declared to be the connection's. */
  readonly dropped: ReadonlySet<string> | undefined;
  readonly lines: string;
}

export type RequestReading =
  { readonly ok: true; readonly request: Http1Request } | { readonly ok: false; readonly rejection: Rejection };

/**
 * Reads the head of a request that Node's parser has taken, more strictly than that has to be: what two servers could
 * read differently is refused (RFC 9112, sections 3.2, 6.1 and 11.2). Fails closed.
 *
 * @param maxHeaderBytes of all fields, counted as HTTP/2 does: many small ones cost more than their bytes
 */
export function readRequest(message: IncomingMessage, maxHeaderBytes: number): RequestReading {
  const { rawHeaders, httpVersionMajor, httpVersionMinor } = message;
  const method = message.method ?? '';
  if (httpVersionMajor !== 1 || httpVersionMinor > 1) return malformed(`HTTP/${message.httpVersion}`);
  const head = new HeadReading(httpVersionMinor === 0);
  let bytes = 0;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = [rawHeaders[i], rawHeaders[i + 1]];
    bytes += name.length + value.length + FIELD_OVERHEAD;
    if (bytes > maxHeaderBytes) return refused(reject('CALL_HEADERS_TOO_LARGE', `more than ${maxHeaderBytes} bytes`));
    const problem = head.take(name, value);
    if (problem !== undefined) return refused(problem);
  }
  return head.finish(method, message.url ?? '', rawHeaders);
}

/** What each field counts beyond its bytes (RFC 9113, section 6.5.2). */
const FIELD_OVERHEAD = 32;

/** A rejection, or what is malformed. */
type Problem = string | Rejection;

class HeadReading {
  readonly #isOld: boolean;
  #host: string | undefined;
  #length: number | undefined;
  #chunked = false;
  #expects = false;
  #upgrade: string | undefined;
  #isFromPage = false;
  #traceparent: string | undefined;
  #traces = 0;
  #tracestate = '';
  #listed: Set<string> | undefined;
  #lines = '';

  constructor(isOld: boolean) {
    this.#isOld = isOld;
  }

  take(name: string, value: string): Problem | undefined {
    const lower = name.toLowerCase();
    if (!isFieldValue(value)) return `the value of ${lower} has characters that it may not have`;
    switch (lower) {
      case 'host':
        if (this.#host !== undefined) return 'Host twice';
        if (!HOST.test(value)) return 'Host that names no host';
        this.#host = value.toLowerCase();
        break;
      case 'content-length':
        if (this.#length !== undefined) return 'Content-Length twice';
        this.#length = parseLength(value);
        return this.#length === undefined ? 'Content-Length that is no length' : undefined;
      case 'transfer-encoding':
        if (this.#chunked) return 'Transfer-Encoding twice';
        if (value.toLowerCase() !== 'chunked') return 'Transfer-Encoding other than chunked';
        if (this.#isOld) return 'Transfer-Encoding in HTTP/1.0';
        this.#chunked = true;
        return undefined;
      case 'expect':
        if (value.toLowerCase() !== '100-continue') return reject('EXPECTATION_REFUSED', 'Expect: only 100-continue');
        this.#expects = !this.#isOld;
        return undefined;
      case 'connection':
      case 'proxy-connection':
        return this.#takeConnection(value);
      case 'upgrade':
        this.#upgrade = value;
        return undefined;
      case 'origin':
        this.#isFromPage = true;
        break;
      case 'sec-fetch-site':
        if (value !== 'none') this.#isFromPage = true;
        break;
      case 'traceparent':
        this.#traces += 1;
        this.#traceparent = value;
        return undefined;
      case 'tracestate':
        this.#tracestate += `${name}: ${value}\r\n`;
        return undefined;
      default:
        if (isHiddenFraming(lower)) return `${lower}, which some servers read as another field`;
        if (!goesOn(lower, value, true)) return undefined;
    }
    this.#lines += `${name}: ${value}\r\n`;
    return undefined;
  }

  #takeConnection(value: string): Problem | undefined {
    for (const token of value.toLowerCase().split(',')) {
      const option = token.trim();
      if (option === '' || option === 'close' || option === 'keep-alive') continue;
      if (NOT_FOR_CONNECTION.has(option)) return `Connection that lists ${option}`;
      (this.#listed ??= new Set()).add(option);
    }
    return undefined;
  }

  finish(method: string, target: string, rawHeaders: readonly string[]): RequestReading {
    if (this.#chunked && this.#length !== undefined) return malformed('both Content-Length and Transfer-Encoding');
    const host = this.#host;
    if (host === undefined) return malformed('no Host');
    if (this.#upgrade !== undefined && !isHarmlessUpgrade(this.#upgrade)) {
      return refused(reject('UPGRADE_REFUSED', 'Upgrade: what would follow is no HTTP, and its calls cannot be seen'));
    }
    const path = readTarget(target, { method, host });
    if (typeof path !== 'string') return refused(path.problem);
    const traceparent = this.#traces === 1 && isTraceparent(this.#traceparent) ? this.#traceparent : undefined;
    const length = this.#length ?? 0;
    const request = new Http1Request({
      method,
      path,
      authority: host,
      isProxied: target.includes('://') && !target.startsWith('/'),
      isFromPage: this.#isFromPage,
      framing: this.#chunked ? 'chunked' : length > 0 ? 'length' : 'none',
      contentLength: this.#length,
      expectsContinue: this.#expects && (this.#chunked || length > 0),
      traceparent,
      rawHeaders,
      dropped: this.#listed,
      lines: traceparent === undefined ? this.#lines : this.#lines + this.#tracestate,
    });
    return { ok: true, request };
  }
}

/** Host and port (RFC 3986, section 3.2.2), as narrow as names of hosts are. */
const HOST = /^(?:[\w.~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
/** Octets of a target: no blank, no fragment, nothing that is not ASCII. */
const TARGET = /^[\x21\x22\x24-\x7e]+$/;
const ABSOLUTE = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?]*)(.*)$/;

/** The path that goes on, in origin form. */
function readTarget(
  target: string,
  { method, host }: { readonly method: string; readonly host: string },
): string | { readonly problem: Problem } {
  if (!TARGET.test(target)) return { problem: 'a target with characters that it may not have' };
  if (target.startsWith('/')) return target;
  if (target === '*') return method === 'OPTIONS' ? target : { problem: 'the target * of another method than OPTIONS' };
  const [, scheme = '', authority = '', rest = ''] = ABSOLUTE.exec(target) ?? [];
  if (scheme.toLowerCase() !== 'http') {
    const hint = scheme.toLowerCase() === 'https' ? ': call http://, the mesh encrypts by itself' : '';
    return { problem: `a target that is neither a path nor an http URL${hint}` };
  }
  if (withoutPort80(authority.toLowerCase()) !== withoutPort80(host))
    return { problem: 'Host differs from the target' };
  if (rest === '') return method === 'OPTIONS' ? '*' : '/';
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function withoutPort80(authority: string): string {
  return authority.endsWith(':80') ? authority.slice(0, -3) : authority;
}

/** Whether a field goes on by its name. */
function goesOn(lower: string, value: string, hasTrace: boolean): boolean {
  if (HOP_BY_HOP.has(lower) || isReserved(lower)) return false;
  switch (lower) {
    case 'te':
      return value === 'trailers';
    case 'content-length':
    case 'expect':
    case 'traceparent':
      return false;
    case 'tracestate':
      return hasTrace;
    default:
      return true;
  }
}

/** A server may ignore it, and clients that offer HTTP/2 this way go on with HTTP/1.1 (RFC 9110, section 7.8). */
function isHarmlessUpgrade(value: string): boolean {
  return value.split(',').every((each) => each.trim().toLowerCase() === 'h2c');
}

function malformed(problem: string): RequestReading {
  return refused(problem);
}

function refused(problem: Problem): RequestReading {
  return { ok: false, rejection: typeof problem === 'string' ? reject('HTTP1_MALFORMED', problem) : problem };
}
