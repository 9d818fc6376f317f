import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { resetSocket } from '../../platform/reset-socket.ts';
import { FinishingTunnel } from '../../dataplane/finishing-tunnel.ts';
import { closeReasonOf } from '../close-reason.ts';
import type { Direction, SidecarMetrics } from '../sidecar-metrics.ts';
import type { Session, SessionConnection } from '../session/session.ts';
import type { SessionRegistry } from '../session/session-registry.ts';

/**
 * One data connection and the agent's socket behind it, owned by a session from before the first byte: the session can
 * reset both at any moment, whatever they are doing.
 */
export class DataConnection implements SessionConnection {
  readonly #raw: Socket;
  readonly #mesh: TLSSocket;
  #agent: Socket | undefined;
  #tunnel: FinishingTunnel | undefined;
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

  reset(): void {
    this.#reset = true;
    // Resetting the TCP socket, not the TLS one: a peer that stalls must not go on reading what we had buffered.
    this.#raw.resetAndDestroy();
    if (this.#agent !== undefined) resetSocket(this.#agent);
  }

  finish(): void {
    this.#finishing = true;
    this.#tunnel?.finish();
  }

  /** The agent's side of an inbound connection is known only after it was dialled. */
  attach(agent: Socket): void {
    this.#agent = agent;
    if (this.#reset) resetSocket(agent);
  }

  /** Carries bytes until both ends are closed. */
  async carry(session: Session, { registry, metrics, direction }: CarryDeps): Promise<void> {
    const agent = this.#agent;
    if (agent === undefined || !this.usable) {
      registry.release(session, this);
      this.reset();
      return;
    }
    metrics.connections.add({ direction }, 1);
    const peersEnd = { stream: this.#mesh, reset: () => this.#raw.resetAndDestroy() };
    const agentsEnd = { stream: agent, reset: () => resetSocket(agent) };
    const called = direction === 'inbound';
    const carried = new FinishingTunnel({
      client: called ? peersEnd : agentsEnd,
      server: called ? agentsEnd : peersEnd,
    });
    this.#tunnel = carried;
    if (this.#finishing) carried.finish();
    const outcome = await carried.over;
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
}

export interface CarryDeps {
  readonly registry: SessionRegistry;
  readonly metrics: SidecarMetrics;
  readonly direction: Direction;
}
