import type { JsonValue } from '../canonical/strict-json.ts';
import { ShapeError } from '../json-shape.ts';

/**
 * Scheme, authority, and the rest from its first slash, question mark or hash on. Printable ASCII only, no user
 * information, no backslash: of everything else there are two readings.
 */
const ABSOLUTE =
  /^([A-Za-z][A-Za-z0-9+.-]{0,15}):\/\/([A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?([/?#][\x21-\x5b\x5d-\x7e]*)?$/;
/** What gRPC libraries take besides: `host:port`, or a name for DNS without an authority of its own. */
const GRPC_TARGET = /^(?:dns:(?:\/\/\/)?)?(?:[A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;
/** A path on the host that the card came from; `//` would name another host. */
const LOCAL_PATH = /^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/;
const MAX_URL = 2048;

/** Schemes by which A2A is spoken, as they are in the mesh: between agent and sidecar there is plaintext. */
const PLAIN: Readonly<Record<string, string>> = { http: 'http', https: 'http', grpc: 'grpc', grpcs: 'grpc' };
const PORT_OF_HTTP = 80;

/** A URL taken apart in the one way that all readers agree on. */
export interface PlainUrl {
  /** Lower case. */
  readonly scheme: string;
  /** Lower case, without a dot at its end. */
  readonly host: string;
  /** `undefined`: that of the scheme. */
  readonly port: number | undefined;
  /** From the first `/`, `?` or `#` on; may be empty. */
  readonly rest: string;
}

/** Reads an absolute URL of which there is only one reading. @returns `undefined` for every other */
export function readPlainUrl(url: string): PlainUrl | undefined {
  const found = url.length > MAX_URL ? null : ABSOLUTE.exec(url);
  if (found === null) return undefined;
  const [, scheme = '', host = '', port, rest = ''] = found;
  const number = port === undefined ? undefined : Number(port);
  if (number !== undefined && number > 65_535) return undefined;
  return { scheme: scheme.toLowerCase(), host: host.toLowerCase().replace(/\.$/, ''), port: number, rest };
}

/**
 * The same address at another authority. TLS of the agents themselves is left out: the sidecars speak it for them. A gRPC
 * target that is no URL stays none.
 *
 * @param authority `host` or `host:port`
 * @throws ShapeError with `path`, where it is no address that can be moved
 */
export function relocateUrl(
  url: JsonValue,
  { authority, isGrpc, path }: { readonly authority: string; readonly isGrpc: boolean; readonly path: string },
): string {
  if (typeof url !== 'string') throw new ShapeError(path, 'not a string');
  const plain = readPlainUrl(url);
  const scheme = plain === undefined ? undefined : PLAIN[plain.scheme];
  if (plain !== undefined && scheme !== undefined) return `${scheme}://${authority}${plain.rest}`;
  if (isGrpc && url.length <= MAX_URL && GRPC_TARGET.test(url)) return withPort(authority);
  if (url.length <= MAX_URL && LOCAL_PATH.test(url)) return `http://${authority}${url}`;
  throw new ShapeError(
    path,
    'not an address that can be reached through the mesh: expected http(s)://host[:port]/path',
  );
}

/** A gRPC library would take 443 where no port is. */
function withPort(authority: string): string {
  return /:\d{1,5}$/.test(authority) ? authority : `${authority}:${PORT_OF_HTTP}`;
}
