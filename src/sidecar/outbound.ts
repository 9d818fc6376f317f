import type { Socket } from 'node:net';
import type { SpiffeId } from '../domain/agent-id.ts';
import { rejection, type Rejection } from '../domain/rejection.ts';
import { recognise } from '../dataplane/first-words.ts';
import type { CallRequest } from '../dataplane/gate/call.ts';
import { GatedConnection } from '../dataplane/gate/gated-connection.ts';
import type { Http1Server } from '../dataplane/http1/http1-server.ts';
import type { Logger } from '../platform/logger.ts';
import { resetSocket } from '../platform/reset-socket.ts';
import type { GateTerms } from './calls/gate-terms.ts';
import { peerOfAuthority } from './calls/mesh-names.ts';
import { placeConnection, type PlacingDeps } from './data/connection-placing.ts';
import type { Carrier, CarryDeps, Http1Ends } from './data/data-connection.ts';
import type { DecisionLog } from './decision-log.ts';
import { AgentRequests } from './http1/agent-requests.ts';
import type { Peers } from './live-config.ts';
import type { PeerBudget } from './session/peer-budget.ts';
import type { Session } from './session/session.ts';
import type { SidecarMetrics } from './sidecar-metrics.ts';

export interface OutboundDeps extends PlacingDeps {
  readonly budget: PeerBudget;
  readonly metrics: SidecarMetrics;
  readonly calls: GateTerms;
  readonly decisions: DecisionLog;
  readonly logger: Logger;
  readonly http1: Http1Server;
  /** Those that our agent may name on the port for all. */
  readonly peers: () => Peers;
}

/**
 * So long a connection to a peer waits for its first words before the peer is asked to take it, ms: whoever speaks HTTP/1
 * needs no connection of its own. In some protocols the called one speaks first.
 */
const FIRST_WORDS_MS = 20;

/** Carries the connections of our agent to its peers. */
export class Outbound {
  readonly #deps: OutboundDeps;
  readonly #requests: AgentRequests;

  constructor(deps: OutboundDeps) {
    this.#deps = deps;
    const { registry, metrics, decisions, calls } = deps;
    const carrying = { registry, metrics, decisions, calls, http1: notHere };
    this.#requests = new AgentRequests({ ...deps, carrying, server: deps.http1 });
  }

  /**
   * One connection to a peer. Each request of HTTP/1 on it is carried by itself, and answered with the reason where it
   * cannot be. All else goes on one connection to the peer, and no byte of it before the peer has accepted it; where it
   * cannot be had, the agent gets a connection error at once, which gRPC reports as UNAVAILABLE; the reason is in the log.
   *
   * @param at where the agent connected to, for the log
   */
  async carry(agent: Socket, peer: SpiffeId, at: string): Promise<void> {
    if ((await recognise(agent, { withinMs: FIRST_WORDS_MS })) === 'http1') {
      await this.#requests.serve(agent, { at, route: () => peer }).over;
      return;
    }
    const refuse = (cause: Rejection, correlationId: string) => {
      this.#note({ peer, at, cause, correlationId });
      resetSocket(agent);
    };
    const http1 = (session: Session, ends: Http1Ends): Carrier => {
      const channel = this.#requests.adopt(session, ends.peer);
      this.#requests.serve(ends.agent, { at, route: () => peer });
      return channel;
    };
    await this.#place({ agent, peer, refuse, http1 });
  }

  /**
   * One connection whose first call says which peer it is for. Where that peer cannot be had, each call gets a status that
   * says why.
   */
  async carryRouted(agent: Socket, at: string): Promise<void> {
    const protocol = await recognise(agent);
    if (protocol === 'http1') {
      const route = ({ authority }: CallRequest) =>
        peerOfAuthority(authority, this.#deps.peers().keys()) ??
        rejection('AUTHORITY_MISDIRECTED', `no peer of this agent is called ${JSON.stringify(authority)}`);
      await this.#requests.serve(agent, { at, route }).over;
      return;
    }
    if (protocol !== 'http2') {
      const cause = rejection('OPAQUE_NOT_GRANTED', 'the common port takes HTTP; use the port of the peer');
      if (protocol === 'other') this.#note({ peer: '', at, cause, correlationId: '' });
      resetSocket(agent);
      return;
    }
    const client = { stream: agent, reset: () => resetSocket(agent) };
    const { calls, options } = this.#deps.calls.routed();
    const refuse = (cause: Rejection, correlationId: string) => {
      this.#note({ peer: calls.peer ?? '', at, cause, correlationId });
      calls.unplaced(cause);
      gated.refuse(cause, correlationId);
    };
    let placing: Promise<void> | undefined;
    const onFirstCall = () => {
      const { peer } = calls;
      if (peer !== undefined) placing = this.#place({ agent, peer, refuse, http1: notHere, gated });
    };
    const gated: GatedConnection = new GatedConnection({ client, server: undefined }, { ...options, onFirstCall });
    this.#deps.calls.remember(gated, calls);
    await gated.over;
    await placing;
  }

  async #place({ agent, peer, refuse, http1, gated }: Placement): Promise<void> {
    const { budget, registry, metrics, decisions, calls } = this.#deps;
    const share = budget.open(peer);
    if ('code' in share) {
      refuse(share, '');
      return;
    }
    try {
      const placed = await placeConnection(peer, this.#deps, () => agent.destroyed);
      share.placed();
      if (!placed.ok) refuse(placed.cause, placed.correlationId);
      else {
        placed.connection.attach(agent);
        const how = { registry, metrics, decisions, calls, direction: 'outbound', carrier: gated, http1 } as const;
        await placed.connection.carry(placed.session, how);
      }
    } finally {
      share.give();
    }
  }

  #note({
    peer,
    at,
    cause,
    correlationId,
  }: {
    peer: string;
    at: string;
    cause: Rejection;
    correlationId: string;
  }): void {
    this.#deps.decisions.refused({ correlationId, subject: peer, direction: 'outbound', remoteAddress: at, cause });
  }
}

interface Placement extends Pick<CarryDeps, 'http1'> {
  readonly agent: Socket;
  readonly peer: SpiffeId;
  readonly refuse: (cause: Rejection, correlationId: string) => void;
  /** The gate that the agent's side stands in already, waiting for the peer's. Default: what is said first tells. */
  readonly gated?: GatedConnection;
}

/** What carries these connections is known before they are placed. */
function notHere(): never {
  throw new Error('a connection that has a carrier was asked what it speaks');
}
