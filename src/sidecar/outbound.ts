import type { Socket } from 'node:net';
import type { SpiffeId } from '../domain/agent-id.ts';
import { rejection, type Rejection } from '../domain/rejection.ts';
import { recognise } from '../dataplane/first-words.ts';
import { GatedConnection } from '../dataplane/gate/gated-connection.ts';
import type { Http1Server } from '../dataplane/http1/http1-server.ts';
import type { Logger } from '../platform/logger.ts';
import { resetSocket } from '../platform/reset-socket.ts';
import type { GateTerms } from './calls/gate-terms.ts';
import { placeConnection, type PlacingDeps } from './data/connection-placing.ts';
import type { Carrier, CarryDeps, Http1Ends } from './data/data-connection.ts';
import type { DecisionLog } from './decision-log.ts';
import { TLS_REFUSED, type AgentEntry } from './entry/agent-entry.ts';
import { routeByName, routeTo } from './entry/routes.ts';
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
  readonly entry: AgentEntry;
  /** Those that our agent may name on the port for all. */
  readonly peers: () => Peers;
}

/**
 * So long a connection to a peer waits for its first words before the peer is asked to take it, ms: whoever speaks HTTP/1
 * needs no connection of its own. In some protocols the called one speaks first.
 */
const FIRST_WORDS_MS = 20;

/** On the port for all nothing else than calls can begin: they may be slow to, ms. */
const BEGIN_MS = 10_000;

const OPAQUE_REFUSED = rejection(
  'OPAQUE_NOT_GRANTED',
  'the common port takes HTTP; use the port of the peer, or CONNECT',
);

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
    const protocol = await recognise(agent, { withinMs: FIRST_WORDS_MS });
    if (protocol === 'http1') {
      await this.#requests.serve(agent, { at, route: routeTo(peer) }).over;
      return;
    }
    if (protocol === 'connect') {
      await this.#carryTunnel(agent, [peer], at);
      return;
    }
    if (protocol === 'tls') {
      this.#deps.entry.refuse({ agent, peer, at, cause: TLS_REFUSED });
      return;
    }
    const refuse = (cause: Rejection, correlationId: string) => {
      this.#note({ peer, at, cause, correlationId });
      resetSocket(agent);
    };
    await this.#place({ agent, peer, at, refuse, http1: this.#adopt(peer, at) });
  }

  /**
   * One connection that says itself whom it is for: each request of HTTP/1, the first call of HTTP/2, or a CONNECT before
   * anything else. Where that peer cannot be had, the agent gets a status that says why.
   */
  async carryRouted(agent: Socket, at: string): Promise<void> {
    const { entry, peers } = this.#deps;
    const protocol = await recognise(agent, { unclearMs: BEGIN_MS });
    switch (protocol) {
      case 'http1':
        await this.#requests.serve(agent, { at, route: routeByName(() => peers().keys()) }).over;
        break;
      case 'http2':
        await this.#carryCalls(agent, at);
        break;
      case 'connect':
        await this.#carryTunnel(agent, [...peers().keys()], at);
        break;
      case 'tls':
        entry.refuse({ agent, at, cause: TLS_REFUSED });
        break;
      case 'other':
      case 'unclear':
        entry.refuse({ agent, at, cause: OPAQUE_REFUSED });
        break;
      case 'nothing':
      case 'silent':
        resetSocket(agent);
    }
  }

  /** After a CONNECT the connection is as one to the port of that peer, whatever is spoken on it. */
  async #carryTunnel(agent: Socket, peers: readonly SpiffeId[], at: string): Promise<void> {
    const { entry } = this.#deps;
    const peer = await entry.target({ agent, peers, at });
    if (peer === undefined) return;
    const refuse = (cause: Rejection, correlationId: string) => entry.refuse({ agent, peer, at, cause, correlationId });
    await this.#place({ agent, peer, at, isTunnel: true, refuse, http1: this.#adopt(peer, at) });
  }

  /** For a connection that was placed before it was known to speak HTTP/1. */
  #adopt(peer: SpiffeId, at: string) {
    return (session: Session, ends: Http1Ends): Carrier => {
      const channel = this.#requests.adopt(session, ends.peer);
      this.#requests.serve(ends.agent, { at, route: routeTo(peer) });
      return channel;
    };
  }

  async #carryCalls(agent: Socket, at: string): Promise<void> {
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
      if (peer !== undefined) placing = this.#place({ agent, peer, at, refuse, http1: notHere, gated });
    };
    const gated: GatedConnection = new GatedConnection({ client, server: undefined }, { ...options, onFirstCall });
    this.#deps.calls.remember(gated, calls);
    await gated.over;
    await placing;
  }

  async #place({ agent, peer, at, refuse, http1, gated, isTunnel = false }: Placement): Promise<void> {
    const { budget, registry, metrics, decisions, calls, entry } = this.#deps;
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
        if (isTunnel) entry.establish(agent);
        const deps = { registry, metrics, decisions, calls, http1, entering: { entry, at, isTunnel } };
        await placed.connection.carry(placed.session, { ...deps, direction: 'outbound', carrier: gated });
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
  readonly at: string;
  readonly refuse: (cause: Rejection, correlationId: string) => void;
  /** The gate that the agent's side stands in already, waiting for the peer's. Default: what is said first tells. */
  readonly gated?: GatedConnection;
  /** Whether a CONNECT waits for its answer. Default false. */
  readonly isTunnel?: boolean;
}

/** What carries these connections is known before they are placed. */
function notHere(): never {
  throw new Error('a connection that has a carrier was asked what it speaks');
}
