import type { Socket } from 'node:net';
import type { SpiffeId } from '../domain/agent-id.ts';
import { rejection, type Rejection } from '../domain/rejection.ts';
import { recognise } from '../dataplane/first-words.ts';
import { GatedConnection } from '../dataplane/gate/gated-connection.ts';
import { resetSocket } from '../platform/reset-socket.ts';
import type { GateTerms } from './calls/gate-terms.ts';
import { placeConnection, type PlacingDeps } from './data/connection-placing.ts';
import type { DecisionLog } from './decision-log.ts';
import type { PeerBudget } from './session/peer-budget.ts';
import type { SidecarMetrics } from './sidecar-metrics.ts';

export interface OutboundDeps extends PlacingDeps {
  readonly budget: PeerBudget;
  readonly metrics: SidecarMetrics;
  readonly calls: GateTerms;
  readonly decisions: DecisionLog;
}

/** Carries the connections of our agent to its peers. */
export class Outbound {
  readonly #deps: OutboundDeps;

  constructor(deps: OutboundDeps) {
    this.#deps = deps;
  }

  /**
   * One connection to a peer, unread until the peer has accepted it. Where it cannot be had, the agent gets a connection
   * error at once, which gRPC reports as UNAVAILABLE; the reason is in the log.
   *
   * @param at where the agent connected to, for the log
   */
  async carry(agent: Socket, peer: SpiffeId, at: string): Promise<void> {
    await this.#place(agent, peer, undefined, (cause, correlationId) => {
      this.#note({ peer, at, cause, correlationId });
      resetSocket(agent);
    });
  }

  /**
   * One connection whose first call says which peer it is for. Where that peer cannot be had, each call gets a status that
   * says why.
   */
  async carryRouted(agent: Socket, at: string): Promise<void> {
    const protocol = await recognise(agent);
    if (protocol !== 'http2') {
      const cause = rejection('OPAQUE_NOT_GRANTED', 'the common port takes HTTP/2; use the port of the peer');
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
      if (calls.peer !== undefined) placing = this.#place(agent, calls.peer, gated, refuse);
    };
    const gated: GatedConnection = new GatedConnection({ client, server: undefined }, { ...options, onFirstCall });
    this.#deps.calls.remember(gated, calls);
    await gated.over;
    await placing;
  }

  async #place(
    agent: Socket,
    peer: SpiffeId,
    gated: GatedConnection | undefined,
    refuse: (cause: Rejection, correlationId: string) => void,
  ): Promise<void> {
    const { budget, registry, metrics, decisions, calls } = this.#deps;
    const share = budget.open(peer);
    if ('code' in share) {
      refuse(share, '');
      return;
    }
    try {
      const placed = await placeConnection(agent, peer, this.#deps);
      share.placed();
      if (!placed.ok) refuse(placed.cause, placed.correlationId);
      else {
        const how = { registry, metrics, decisions, calls, direction: 'outbound', gated } as const;
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
