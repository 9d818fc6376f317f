import type { Duplex } from 'node:stream';
import { rejection, type Rejection } from '../domain/rejection.ts';
import { after } from '../platform/clock.ts';
import { parseHttp1Head } from './http1-head.ts';

/** `authority`: where the tunnel is to lead, `host:port` in lower case. `gone`: the client left before it had said so. */
export type ConnectResult =
  | { readonly ok: true; readonly authority: string; readonly host: string | undefined }
  | { readonly ok: false; readonly rejection: Rejection }
  | { readonly ok: false; readonly gone: true };

export interface ConnectLimits {
  /** Of the head, in bytes. */
  readonly maxBytes: number;
  /** For all of the head to be there, in ms. */
  readonly withinMs: number;
}

const END = '\r\n\r\n';
const BARE_LF = /(?<!\r)\n/;
/** Host and port (RFC 9110, section 9.3.6); an IPv6 address is in brackets. */
const AUTHORITY = /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,255}):[0-9]{1,5}$/;

/**
 * Takes the head of a CONNECT off a stream that begins with one. What comes after it stays in the stream, unread: it is
 * the first of what goes through the tunnel. Never rejects.
 *
 * @param client not read by anybody
 */
export function takeConnect(client: Duplex, { maxBytes, withinMs }: ConnectLimits): Promise<ConnectResult> {
  return new Promise((resolve) => {
    let said = '';
    const done = (result: ConnectResult, rest = '') => {
      cancel();
      client.off('readable', look);
      client.off('end', look);
      client.off('close', look);
      if (rest !== '' && !client.destroyed && !client.readableEnded) client.unshift(Buffer.from(rest, 'latin1'));
      resolve(result);
    };
    const refuse = (code: Rejection['code'], detail: string) => done({ ok: false, rejection: rejection(code, detail) });
    const look = () => {
      const more = client.destroyed ? null : (client.read() as Buffer | null);
      if (more !== null) said += more.toString('latin1');
      const end = said.indexOf(END);
      const head = end === -1 ? said.slice(0, maxBytes) : said.slice(0, end);
      if (BARE_LF.test(head)) refuse('HTTP1_MALFORMED', 'CONNECT: a line that does not end in CRLF');
      else if (end > maxBytes || (end === -1 && said.length > maxBytes)) {
        refuse('CALL_HEADERS_TOO_LARGE', `CONNECT: a head of more than ${maxBytes} bytes`);
      } else if (end >= 0) done(readConnect(head), said.slice(end + END.length));
      else if (client.destroyed || client.readableEnded) done({ ok: false, gone: true });
    };
    const cancel = after({
      delayMs: withinMs,
      run: () => refuse('PREFACE_TIMEOUT', `CONNECT: the head did not end within ${withinMs} ms`),
      keepAlive: false,
    });
    client.on('readable', look);
    client.on('end', look);
    client.on('close', look);
    look();
  });
}

/** A tunnel has no content of its own: what follows the head would be the tunnel's to one reader and not to another. */
function readConnect(text: string): ConnectResult {
  const malformed = (problem: string) =>
    ({ ok: false, rejection: rejection('HTTP1_MALFORMED', `CONNECT: ${problem}`) }) as const;
  const parsed = parseHttp1Head(text);
  if (!parsed.ok) return malformed(parsed.problem);
  const { method, target, host, hasContent } = parsed.head;
  const authority = target.toLowerCase();
  if (method !== 'CONNECT') return malformed('another method');
  if (!AUTHORITY.test(authority)) return malformed('the target is no host:port');
  if (hasContent) return malformed('it announces content');
  return { ok: true, authority, host };
}
