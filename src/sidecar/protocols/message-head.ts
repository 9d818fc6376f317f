import type { ExchangeHead } from '../../dataplane/http1/body-watch.ts';
import type { ReadBodies } from './protocols-section.ts';

type Headers = ExchangeHead['requestHeaders'];

/** What the head of a request says of its body, and of the answers it takes. */
export interface MessageHead {
  /** Whether the sender says that a body is JSON, or leaves open what it is. */
  readonly mayBeJson: boolean;
  /** Whether the body is neither compressed, nor in another encoding than UTF-8, nor of two types at once. */
  readonly isReadable: boolean;
  readonly host: string;
  /** Whether it is what clients of MCP send: both forms of answer are taken, or one of MCP's own headers is there. */
  readonly isMcp: boolean;
  readonly takesEvents: boolean;
  /** MCP's own session, to which pages of a list belong; empty where there is none. */
  readonly mcpSession: string;
  /** Whether A2A's own headers or media type are there. */
  readonly isA2a: boolean;
}

/** JSON is UTF-8 (RFC 8259, section 8.1), but servers decode what a sender claims, UTF-7 included. */
const OTHER_CHARSET = /;\s*charset\s*=(?!\s*"?(?:utf-8|us-ascii)"?\s*(?:;|$))/;
const JSON_TYPE = /^(?:application|text)\/(?:[a-z0-9.+-]+\+)?json$/;

/** Reads what matters of the headers, once for each request. */
export function readMessageHead(headers: Headers): MessageHead {
  const types: string[] = [];
  let [accept, host, mcpSession, encoding] = ['', '', '', ''];
  let [hasMcp, isA2a] = [false, false];
  for (const [name, value] of headers) {
    switch (name.toLowerCase()) {
      case 'content-type':
        types.push(value.toLowerCase());
        break;
      case 'content-encoding':
        encoding = value;
        break;
      case 'accept':
        accept += `,${value}`;
        break;
      case 'host':
      case ':authority':
        host = value;
        break;
      case 'mcp-session-id':
        mcpSession = value;
        hasMcp = true;
        break;
      case 'mcp-protocol-version':
        hasMcp = true;
        break;
      case 'a2a-version':
      case 'a2a-extensions':
      case 'x-a2a-extensions':
        isA2a = true;
        break;
    }
  }
  const media = types.map((type) => (type.split(';', 1)[0] ?? '').trim());
  const takesEvents = /text\/event-stream/i.test(accept);
  return {
    mayBeJson: media.every((type) => type === '') || media.some((type) => JSON_TYPE.test(type)),
    isReadable: types.length <= 1 && /^(?:identity)?$/i.test(encoding) && !OTHER_CHARSET.test(types[0] ?? ''),
    host,
    isMcp: hasMcp || (takesEvents && /application\/json/i.test(accept)),
    takesEvents,
    mcpSession,
    isA2a: isA2a || media.includes('application/a2a+json'),
  };
}

/** Whether a request body is to be read. */
export function isToBeRead({ mayBeJson, isMcp, isA2a }: MessageHead, bodies: ReadBodies): boolean {
  return bodies === 'all' || (bodies === 'json' && (mayBeJson || isMcp || isA2a));
}

/** Only a name or address and a port: it is written into cards. */
const AUTHORITY = /^(?:[A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;

/** By what our agent called the peer; `otherwise` where it did not say, or said it in a way that no URL takes. */
export function authorityOf({ host }: MessageHead, otherwise: string): string {
  return AUTHORITY.test(host) ? host : otherwise;
}
