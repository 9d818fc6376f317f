import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { recognise, type Protocol } from '../../dataplane/first-words.ts';
import { guardFirstLine } from '../../dataplane/first-line-guard.ts';
import { FinishingTunnel } from '../../dataplane/finishing-tunnel.ts';
import { GatedConnection } from '../../dataplane/gate/gated-connection.ts';
import type { TunnelEnd, TunnelOutcome } from '../../dataplane/tunnel.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import { resetSocket } from '../../platform/reset-socket.ts';
import type { GateTerms } from '../calls/gate-terms.ts';
import { closeReasonOf } from '../close-reason.ts';
import type { DecisionLog } from '../decision-log.ts';
import type { AgentEntry } from '../entry/agent-entry.ts';
import type { Direction, SidecarMetrics } from '../sidecar-metrics.ts';
import type { Session, SessionConnection } from '../session/session.ts';
import type { SessionRegistry } from '../session/session-registry.ts';

/** What carries the bytes: what can see calls where it can, else a tunnel. */
export interface Carrier {
  /** How it ended, when all ends are closed; never rejects. */
  readonly over: Promise<TunnelOutcome>;
  finish(): void;
  /** What the session permits has changed: each call is judged again. Default: there are no calls. */
  reconsider?(): void;
  /** Ends each call for this reason, and our agent's side with them. Default: there are no calls. */
  cut?(cause: Rejection, terms: { readonly agentIs: 'client' | 'server'; readonly correlationId: string }): void;
}

/** The two ends of a connection, of which only so much was read as tells that it speaks HTTP/1. */
export interface Http1Ends {
  readonly peer: TunnelEnd;
  readonly agent: Socket;
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
  #session: Session | undefined;
  #agentIs: 'client' | 'server' = 'client';
  /** Whether the session still permits a connection whose calls nobody can see. */
  #opaque: (() => Rejection | undefined) | undefined;
  #reset = false;
  #finishing = false;

  constructor({ raw, socket }: { raw: Socket; socket: TLSSocket }) {
    this.#raw = raw;
    this.#mesh = socket;
  }

  /** False once it was reset; nothing may be done with it then. */
  get usable(): boolean {
    return !this.#reset && !this.#raw.destroyed;
  }

  /** The peer's end. */
  get end(): TunnelEnd {
    return { stream: this.#mesh, reset: () => this.#raw.resetAndDestroy() };
  }

  reset(cause?: Rejection): void {
    if (this.#reset) return;
    this.#reset = true;
    // Resetting the TCP socket, not the TLS one: a peer that stalls must not go on reading what we had buffered.
    this.#raw.resetAndDestroy();
    // Our own agent is told of each call why it ended.
    if (this.#carrier?.cut !== undefined && cause !== undefined && this.#session !== undefined) {
      this.#carrier.cut(cause, { agentIs: this.#agentIs, correlationId: this.#session.correlationId });
    } else if (this.#agent !== undefined) resetSocket(this.#agent);
  }

  finish(): void {
    this.#finishing = true;
    this.#carrier?.finish();
  }

  reconsider(): void {
    this.#carrier?.reconsider?.();
    const refused = this.#opaque?.();
    if (refused !== undefined) this.reset(refused);
  }

  /** The agent's side of it, which ends with it. */
  attach(agent: Socket): void {
    this.#agent = agent;
    if (this.#reset) resetSocket(agent);
  }

  /** Carries bytes until both ends are closed. */
  async carry(session: Session, deps: CarryDeps): Promise<void> {
    const { registry, metrics, direction } = deps;
    if (!this.usable) {
      registry.release(session, this);
      this.reset();
      return;
    }
    this.#session = session;
    this.#agentIs = direction === 'inbound' ? 'server' : 'client';
    metrics.connections.add({ direction }, 1);
    const outcome = await this.#carry(session, deps);
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

  async #carry(session: Session, deps: CarryDeps): Promise<TunnelOutcome> {
    const { calls, decisions, direction, carrier, http1, entering } = deps;
    const peer = this.end;
    if (carrier instanceof GatedConnection) {
      calls.placed(carrier, session);
      carrier.attach(peer);
    }
    if (carrier !== undefined) return this.#start(carrier);
    const agent = this.#agent;
    if (agent === undefined) {
      this.reset();
      return 'reset';
    }
    const agentsEnd = { stream: agent, reset: () => resetSocket(agent) };
    const called = direction === 'inbound';
    const ends = { client: called ? peer : agentsEnd, server: called ? agentsEnd : peer };
    const listen = (unclearMs?: number) => {
      const patience = unclearMs === undefined ? {} : { unclearMs };
      return entering === undefined
        ? recognise(ends.client.stream, { server: ends.server.stream, ...patience })
        : entering.entry.meet({ ...entering, ...patience, agent, server: this.#mesh, peer: session.peer });
    };
    const opaque = () => calls.opaqueRejection(session, direction);
    let protocol = await listen();
    // Where only calls are permitted, it can be nothing but a slow one.
    if (protocol === 'unclear' && this.usable && opaque() !== undefined) protocol = await listen(SLOW_MS);
    if (protocol === 'refused') {
      // It is being told why, and has no part in this connection any more.
      this.#agent = undefined;
      this.reset();
      return 'reset';
    }
    if (!this.usable) {
      // The peer went while nothing had been said: our agent's side goes, too.
      this.reset();
      return 'reset';
    }
    if (protocol === 'http2') return this.#start(new GatedConnection(ends, calls.gateOptions(session, direction)));
    if (protocol === 'http1' || protocol === 'connect') {
      this.#agent = undefined;
      return this.#start(http1(session, { peer, agent }));
    }
    const refuse = (cause: Rejection) => {
      const { correlationId, peer: subject, remoteAddress } = session;
      decisions.refused({ correlationId, subject, direction, remoteAddress, cause });
      this.reset();
    };
    const cause = OPAQUE.has(protocol) ? opaque() : undefined;
    if (cause !== undefined) {
      refuse(protocol === 'unclear' ? NOT_BEGUN : cause);
      return 'reset';
    }
    this.#opaque = opaque;
    const guard = protocol === 'unclear' ? guardFirstLine(() => refuse(BEGUN_LATE)) : undefined;
    return this.#start(new FinishingTunnel({ ...ends, guard }));
  }

  #start(carrier: Carrier): Promise<TunnelOutcome> {
    this.#carrier = carrier;
    if (this.#finishing) carrier.finish();
    return carrier.over;
  }
}

/** A peer's agent may speak TLS to ours where its sidecar let it: we cannot look into it. */
const OPAQUE: ReadonlySet<Protocol> = new Set(['other', 'tls', 'unclear']);
/** As long as a gate lets a client begin, ms. */
const SLOW_MS = 10_000;
const NOT_BEGUN = rejection('PREFACE_TIMEOUT', 'what was said could be the beginning of a request, and did not go on');
const BEGUN_LATE = rejection('PREFACE_TIMEOUT', 'a request whose first line came in pieces, with a pause between them');

export interface CarryDeps {
  readonly registry: SessionRegistry;
  readonly metrics: SidecarMetrics;
  readonly decisions: DecisionLog;
  /** What is decided of the calls of a session. */
  readonly calls: GateTerms;
  readonly direction: Direction;
  /** What carries it, where that is known. Default: what is said first tells. */
  readonly carrier?: Carrier | undefined;
  /** Makes what carries a connection that speaks HTTP/1. */
  readonly http1: (session: Session, ends: Http1Ends) => Carrier;
  /** Our agent's way in, where it is the caller. */
  readonly entering?: { readonly entry: AgentEntry; readonly at: string; readonly isTunnel: boolean };
}
