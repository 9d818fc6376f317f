import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { recognise } from '../../dataplane/first-words.ts';
import { FinishingTunnel } from '../../dataplane/finishing-tunnel.ts';
import { GatedConnection } from '../../dataplane/gate/gated-connection.ts';
import type { TunnelOutcome } from '../../dataplane/tunnel.ts';
import type { Rejection } from '../../domain/rejection.ts';
import { resetSocket } from '../../platform/reset-socket.ts';
import type { GateTerms } from '../calls/gate-terms.ts';
import { closeReasonOf } from '../close-reason.ts';
import type { DecisionLog } from '../decision-log.ts';
import type { Direction, SidecarMetrics } from '../sidecar-metrics.ts';
import type { Session, SessionConnection } from '../session/session.ts';
import type { SessionRegistry } from '../session/session-registry.ts';

/** What carries the bytes: a gate where it can see calls, else a tunnel. */
interface Carrier {
  readonly over: Promise<TunnelOutcome>;
  finish(): void;
}

interface Gated {
  readonly connection: GatedConnection;
  /** Which end of the gate is our agent's. */
  readonly agentIs: 'client' | 'server';
  readonly session: Session;
}

/**
 * One data connection and the agent's socket behind it, owned by a session from before the first byte: the session can
 * end both at any moment, whatever they are doing.
 */
export class DataConnection implements SessionConnection {
  readonly #raw: Socket;
  readonly #mesh: TLSSocket;
  #agent: Socket | undefined;
  #carrier: Carrier | undefined;
  #gated: Gated | undefined;
  /** Whether the session still permits a connection whose calls nobody can see. */
  #opaque: (() => Rejection | undefined) | undefined;
  #reset = false;
  #finishing = false;

  constructor({ raw, socket, agent }: { raw: Socket; socket: TLSSocket; agent?: Socket }) {
    this.#raw = raw;
    this.#mesh = socket;
    this.#agent = agent;
  }

  /** False once it was reset; nothing may be done with it then. */
  get usable(): boolean {
    return !this.#reset && !this.#raw.destroyed;
  }

  reset(cause?: Rejection): void {
    if (this.#reset) return;
    this.#reset = true;
    // Resetting the TCP socket, not the TLS one: a peer that stalls must not go on reading what we had buffered.
    this.#raw.resetAndDestroy();
    // Our own agent is told of each call why it ended.
    if (this.#gated !== undefined && cause !== undefined) {
      const { connection, agentIs, session } = this.#gated;
      connection.cut(cause, { agentIs, correlationId: session.correlationId });
    } else if (this.#agent !== undefined) resetSocket(this.#agent);
  }

  finish(): void {
    this.#finishing = true;
    this.#carrier?.finish();
  }

  reconsider(): void {
    this.#gated?.connection.reconsider();
    const refused = this.#opaque?.();
    if (refused !== undefined) this.reset(refused);
  }

  /** The agent's side of an inbound connection is known only after it was dialled. */
  attach(agent: Socket): void {
    this.#agent = agent;
    if (this.#reset) resetSocket(agent);
  }

  /** Carries bytes until both ends are closed. */
  async carry(session: Session, { registry, metrics, decisions, calls, direction, gated }: CarryDeps): Promise<void> {
    const agent = this.#agent;
    if (agent === undefined || !this.usable) {
      registry.release(session, this);
      this.reset();
      return;
    }
    metrics.connections.add({ direction }, 1);
    const outcome = await this.#carry(session, agent, { calls, decisions, direction, gated });
    metrics.connections.add({ direction }, -1);
    registry.release(session, this);
    const byUs = this.#reset || session.state === 'ended';
    metrics.connectionsClosed.add({
      reason: byUs
        ? closeReasonOf(session.cause)
        : outcome === 'reset'
          ? 'error'
          : this.#finishing
            ? 'drain'
            : 'finished',
    });
  }

  async #carry(
    session: Session,
    agent: Socket,
    { calls, decisions, direction, gated }: Pick<CarryDeps, 'calls' | 'decisions' | 'direction' | 'gated'>,
  ): Promise<TunnelOutcome> {
    const peersEnd = { stream: this.#mesh, reset: () => this.#raw.resetAndDestroy() };
    const agentsEnd = { stream: agent, reset: () => resetSocket(agent) };
    const called = direction === 'inbound';
    if (gated !== undefined) {
      calls.placed(gated, session);
      gated.attach(peersEnd);
      return this.#gate({ connection: gated, agentIs: 'client', session });
    }
    const ends = { client: called ? peersEnd : agentsEnd, server: called ? agentsEnd : peersEnd };
    const protocol = await recognise(ends.client.stream, ends.server.stream);
    if (!this.usable) {
      // The peer went while nothing had been said: our agent's side goes, too.
      this.reset();
      return 'reset';
    }
    if (protocol === 'http2') {
      const connection = new GatedConnection(ends, calls.gateOptions(session, direction));
      return this.#gate({ connection, agentIs: called ? 'server' : 'client', session });
    }
    const opaque = () => calls.opaqueRejection(session, direction);
    const cause = protocol === 'other' ? opaque() : undefined;
    if (cause !== undefined) {
      const { correlationId, peer: subject, remoteAddress } = session;
      decisions.refused({ correlationId, subject, direction, remoteAddress, cause });
      this.reset();
      return 'reset';
    }
    this.#opaque = opaque;
    return this.#start(new FinishingTunnel(ends));
  }

  #gate(gated: Gated): Promise<TunnelOutcome> {
    this.#gated = gated;
    return this.#start(gated.connection);
  }

  #start(carrier: Carrier): Promise<TunnelOutcome> {
    this.#carrier = carrier;
    if (this.#finishing) carrier.finish();
    return carrier.over;
  }
}

export interface CarryDeps {
  readonly registry: SessionRegistry;
  readonly metrics: SidecarMetrics;
  readonly decisions: DecisionLog;
  /** What is decided of the calls of a session. */
  readonly calls: GateTerms;
  readonly direction: Direction;
  /** The gate that the agent's side stands in already, waiting for the peer's. Default: one is made if it fits. */
  readonly gated?: GatedConnection | undefined;
}
