import type { HeaderField } from '../hpack/header-field.ts';
import type { Http1Request } from './request-reading.ts';

export interface RequestHeadTerms {
  readonly traceparent: string;
  /** Fields that tell the callee who calls. */
  readonly identity: readonly HeaderField[];
  /** The body where it is at hand: then its length is stated, whatever the caller had stated. */
  readonly body?: Buffer | undefined;
  /** Whether somebody reads the answer: then it is asked for without a content coding. */
  readonly isWatched: boolean;
}

/** The head of a request as it goes on: written anew from what was understood, in one spelling (latin1). */
export function requestHead(
  request: Http1Request,
  { traceparent, identity, body, isWatched }: RequestHeadTerms,
): string {
  const { method, path, contentLength } = request;
  const lines = request.lines(isWatched ? 'identity' : undefined);
  let framing = '';
  if (body !== undefined) framing = `Content-Length: ${body.length}\r\n`;
  else if (request.framing === 'chunked') framing = 'Transfer-Encoding: chunked\r\n';
  else if (contentLength !== undefined) framing = `Content-Length: ${contentLength}\r\n`;
  if (request.expectsContinue && body === undefined) framing += 'Expect: 100-continue\r\n';
  return `${method} ${path} HTTP/1.1\r\n${lines}${framing}traceparent: ${traceparent}\r\n${linesOf(identity)}\r\n`;
}

/** The same lists come again and again, one for each connection. */
const known = new WeakMap<readonly HeaderField[], string>();

function linesOf(fields: readonly HeaderField[]): string {
  if (fields.length === 0) return '';
  const before = known.get(fields);
  if (before !== undefined) return before;
  const lines = fields.map(({ name, value }) => `${name}: ${value}\r\n`).join('');
  known.set(fields, lines);
  return lines;
}
