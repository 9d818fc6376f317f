import type { Socket } from 'node:net';
import type { CallRequest } from '../../dataplane/gate/call.ts';
import type { Channel } from '../../dataplane/http1/channel.ts';
import type { Http1Server } from '../../dataplane/http1/http1-server.ts';
import type { ServedConnection } from '../../dataplane/http1/served-connection.ts';
import type { TunnelEnd } from '../../dataplane/tunnel.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import { rejection } from '../../domain/rejection.ts';
import { resetSocket } from '../../platform/reset-socket.ts';
import type { Route } from '../entry/routes.ts';
import type { Session } from '../session/session.ts';
import { PeerChannels, type PeerChannelsDeps } from './peer-channels.ts';

export interface AgentRequestsDeps extends Omit<PeerChannelsDeps, 'peer'> {
  readonly server: Http1Server;
}

export interface AgentConnection {
  /** Where the agent connected to, for the log. */
  readonly at: string;
  readonly route: Route;
}

/** Stands in for a request that could not be read: it names nobody. */
const UNREAD: CallRequest = { method: '', path: '', authority: '', isGrpc: false, headers: [] };

const PAGE_REFUSED = rejection('PAGE_REFUSED', 'the request has the marks of a page in a browser');

/** The requests of HTTP/1 that our agent makes, each carried to the peer that it is for. */
export class AgentRequests {
  readonly #deps: AgentRequestsDeps;
  readonly #peers = new Map<SpiffeId, PeerChannels>();

  constructor(deps: AgentRequestsDeps) {
    this.#deps = deps;
  }

  /** Serves one connection of our agent, until it is closed. */
  serve(agent: Socket, { at, route }: AgentConnection): ServedConnection {
    const { server, calls } = this.#deps;
    const end = { stream: agent, reset: () => resetSocket(agent) };
    return server.serve(end, {
      ...calls.http1Terms('own agent'),
      find: (request, terms) => {
        // Whoever runs a browser on this machine visits pages of anybody; to a unix socket no page leads.
        if (request.isFromPage === true && !at.startsWith('unix:')) {
          return { ok: false, rejection: PAGE_REFUSED, correlationId: '' };
        }
        const peer = route(request);
        if (typeof peer !== 'string') return { ok: false, rejection: peer, correlationId: '' };
        return this.#channelsTo(peer).find(request, terms);
      },
      refused: ({ request, ...refusal }) => {
        const peer = route(request ?? UNREAD);
        const subject = typeof peer === 'string' ? peer : undefined;
        calls.unreadRefused({ ...refusal, direction: 'outbound', peer: subject, remoteAddress: at });
      },
    });
  }

  /** A data connection to a peer that was placed before it was known to be for HTTP/1. */
  adopt(session: Session, end: TunnelEnd): Channel {
    return this.#channelsTo(session.peer).adopt(session, end);
  }

  #channelsTo(peer: SpiffeId): PeerChannels {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const channels = new PeerChannels({ ...this.#deps, peer });
    this.#peers.set(peer, channels);
    return channels;
  }
}
