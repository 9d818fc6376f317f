/** A place at which the agent calls somebody: `unix:/path` or `host:port`. */
export type Place = string;

export interface PeerWay {
  /** Name without the trust domain, as `team/web-search`. */
  readonly peer: string;
  /** As it is called at the common port: `team.web-search.mesh`. */
  readonly meshName: string;
  /** `undefined`: it has no address of its own. */
  readonly at: Place | undefined;
}

/** Where the agent finds what its sidecar has for it, and where its sidecar finds the agent. */
export interface Ways {
  readonly peers: readonly PeerWay[];
  /** The port for all peers. */
  readonly common: Place | undefined;
  readonly inference: Place | undefined;
  readonly app: { readonly address: Place; readonly allowReachable: boolean } | undefined;
}

/** Host and port of a place that is one; `undefined` for a unix socket. */
export function portOf(place: Place): { readonly host: string; readonly port: number } | undefined {
  if (place.startsWith('unix:')) return undefined;
  const at = place.lastIndexOf(':');
  return { host: place.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(place.slice(at + 1)) };
}

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1']);

/** Whether both lead to the same port of this machine, however it is called. */
export function isSamePlace(a: Place, b: Place): boolean {
  const [left, right] = [portOf(a), portOf(b)];
  if (left === undefined || right === undefined) return a === b;
  const sameHost = left.host === right.host || (LOOPBACK.has(left.host) && LOOPBACK.has(right.host));
  return sameHost && left.port === right.port;
}

/** The port that a URL leads to; `undefined`: it is none. */
export function placeOfUrl(text: string): Place | undefined {
  // Most clients take a proxy without a scheme, too.
  const complete = text.includes('://') ? text : `http://${text}`;
  if (!URL.canParse(complete)) return undefined;
  const url = new URL(complete);
  if (url.hostname === '') return undefined;
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return `${url.hostname}:${port}`;
}
