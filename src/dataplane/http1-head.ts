import { isFieldValue, isFieldName, parseLength } from './gate/field-rules.ts';

/** The head of an HTTP/1.1 request, as far as it says where the request is to go (RFC 9112, section 3). */
export interface Http1Head {
  readonly method: string;
  /** The request target as it came. */
  readonly target: string;
  /** `Host`, in lower case; `undefined`: there is none. */
  readonly host: string | undefined;
  /** Whether content follows, or may. */
  readonly hasContent: boolean;
}

export type Http1HeadResult =
  { readonly ok: true; readonly head: Http1Head } | { readonly ok: false; readonly problem: string };

const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}) ([\x21-\x7e]{1,8192}) HTTP\/1\.[01]$/;
const MAX_FIELDS = 100;

/**
 * Reads the head of a request. Strictly: what two readers could understand differently is no head (bare LF or CR, folded
 * lines, blanks before a colon, `Host` twice, both lengths).
 *
 * @param text octets as latin1, without the empty line that ends the head
 */
export function parseHttp1Head(text: string): Http1HeadResult {
  const malformed = (problem: string) => ({ ok: false, problem }) as const;
  const [first = '', ...lines] = text.split('\r\n');
  const [, method, target] = REQUEST_LINE.exec(first) ?? [];
  if (method === undefined || target === undefined) return malformed('the request line is none of HTTP/1.1');
  if (lines.length > MAX_FIELDS) return malformed(`more than ${MAX_FIELDS} fields`);
  let host: string | undefined;
  let length: number | undefined;
  let isChunked = false;
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    if (!isFieldName(name)) return malformed('a field name with characters that it may not have');
    const value = line.slice(colon + 1).replaceAll(/^[ \t]+|[ \t]+$/g, '');
    if (!isFieldValue(value)) return malformed(`the value of ${name} has characters that it may not have`);
    if (name === 'host') {
      if (host !== undefined) return malformed('host twice');
      host = value.toLowerCase();
    } else if (name === 'content-length') {
      const stated = parseLength(value);
      if (stated === undefined || length !== undefined) return malformed('content-length that is no length, or two');
      length = stated;
    } else if (name === 'transfer-encoding') isChunked = true;
  }
  if (isChunked && length !== undefined) return malformed('transfer-encoding and content-length');
  return { ok: true, head: { method, target, host, hasContent: isChunked || (length ?? 0) > 0 } };
}
