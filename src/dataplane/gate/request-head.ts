import type { HeaderField } from '../hpack/header-field.ts';
import type { CallRequest } from './call.ts';
import { fieldProblem, isFieldValue, parseLength } from './field-rules.ts';

/** The head of a request: what was asked, and what its bytes must keep to. */
export interface RequestHead {
  readonly request: CallRequest;
  /** As stated; `undefined`: not stated. */
  readonly contentLength: number | undefined;
  /** `grpc-timeout` as it came. */
  readonly grpcTimeout: string | undefined;
}

export type RequestHeadResult =
  { readonly ok: true; readonly head: RequestHead } | { readonly ok: false; readonly problem: string };

/**
 * Reads the header block that opens a stream (RFC 9113, section 8.3.1). What is malformed there is a stream error, and
 * must not be passed on. So is CONNECT, which has no place between two agents.
 */
export function readRequestHead(headers: readonly HeaderField[]): RequestHeadResult {
  const malformed = (problem: string) => ({ ok: false, problem }) as const;
  const pseudo: { method?: string; scheme?: string; authority?: string; path?: string } = {};
  let regular = false;
  let host: string | undefined;
  let contentType = '';
  let contentLength: number | undefined;
  let grpcTimeout: string | undefined;
  for (const field of headers) {
    const { name, value } = field;
    if (name.charCodeAt(0) === COLON) {
      if (regular) return malformed('a pseudo-header after a regular field');
      const key = REQUEST_PSEUDO.get(name);
      if (key === undefined) return malformed('a pseudo-header that no request has');
      if (pseudo[key] !== undefined) return malformed(`${name} twice`);
      if (!isFieldValue(value)) return malformed(`${name} has characters that it may not have`);
      pseudo[key] = value;
      continue;
    }
    regular = true;
    const problem = fieldProblem(field);
    if (problem !== undefined) return malformed(problem);
    switch (name) {
      case 'host':
        if (host !== undefined) return malformed('host twice');
        host = value.toLowerCase();
        break;
      case 'content-type':
        contentType = value;
        break;
      case 'content-length': {
        const length = parseLength(value);
        if (length === undefined || (contentLength !== undefined && contentLength !== length)) {
          return malformed('content-length that is no length, or two of them');
        }
        contentLength = length;
        break;
      }
      case 'grpc-timeout':
        if (grpcTimeout !== undefined) return malformed('grpc-timeout twice');
        grpcTimeout = value;
        break;
      default:
    }
  }
  const { method, scheme, path } = pseudo;
  if (method === undefined || !METHOD.test(method)) return malformed(':method is missing, or is none');
  if (method === 'CONNECT') return malformed('CONNECT');
  if (scheme === undefined || !SCHEME.test(scheme)) return malformed(':scheme is missing, or is none');
  if (path === undefined || !(PATH.test(path) || (path === '*' && method === 'OPTIONS'))) {
    return malformed(':path is missing, or is none');
  }
  const authority = pseudo.authority?.toLowerCase();
  if (authority !== undefined && !AUTHORITY.test(authority)) return malformed(':authority is none');
  if (host !== undefined && authority !== undefined && host !== authority) {
    return malformed('host differs from :authority');
  }
  const isGrpc = contentType.startsWith('application/grpc') && !contentType.startsWith('application/grpc-web');
  return {
    ok: true,
    head: {
      request: { method, path, authority: authority ?? host ?? '', isGrpc, headers },
      contentLength,
      grpcTimeout,
    },
  };
}

const COLON = 58;
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
const SCHEME = /^https?$/;
/** No blank and no fragment: what speaks HTTP/1.1 behind the callee would end the path there. Other octets pass. */
const PATH = /^\/[^ \t#]*$/;
/** Host and port of RFC 3986, section 3.2, without user information. */
const AUTHORITY = /^[\w.~!$&'()*+,;=:%[\]-]*$/;
const REQUEST_PSEUDO: ReadonlyMap<string, 'method' | 'scheme' | 'authority' | 'path'> = new Map([
  [':method', 'method'],
  [':scheme', 'scheme'],
  [':authority', 'authority'],
  [':path', 'path'],
]);
