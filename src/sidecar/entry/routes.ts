import type { CallRequest } from '../../dataplane/gate/call.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import { meshNames, peerOfAuthority } from '../calls/mesh-names.ts';

/** Whom a request of our agent is for, or why it is for nobody. */
export type Route = (request: CallRequest) => SpiffeId | Rejection;

/** At the port for all peers: the name that the request gives. */
export function routeByName(peers: () => Iterable<SpiffeId>): Route {
  return ({ authority, isProxied = false }) => {
    const known = [...peers()];
    const detail = `no peer of this agent is called ${JSON.stringify(authority)}`;
    return peerOfAuthority(authority, known) ?? refused({ isProxied, detail, known });
  };
}

/** At the port of one peer, and in a tunnel to it. A name in `Host` is for the peer; one that is told a proxy, for us. */
export function routeTo(peer: SpiffeId): Route {
  return ({ authority, isProxied = false }) => {
    if (!isProxied || peerOfAuthority(authority, [peer]) === peer) return peer;
    const detail = `this port leads to ${peer}, and the request is for ${JSON.stringify(authority)}`;
    return refused({ isProxied, detail, known: [peer] });
  };
}

interface Misdirected {
  readonly isProxied: boolean;
  readonly detail: string;
  readonly known: readonly SpiffeId[];
}

/** A proxy must not answer 421 (RFC 9110, section 15.5.20). */
function refused({ isProxied, detail, known }: Misdirected): Rejection {
  const code = isProxied ? 'PROXY_TARGET_UNKNOWN' : 'AUTHORITY_MISDIRECTED';
  return rejection(code, detail, { known: meshNames(known) });
}
