import { connect, type Socket } from 'node:net';
import type { Http1Server } from '../../dataplane/http1/http1-server.ts';
import { REJECTIONS, rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import { dataAnswerCodec, dataOpenCodec } from '../../wire/services.ts';
import { safeCorrelationId, toEnding } from '../../wire/wire-reason.ts';
import type { GateTerms } from '../calls/gate-terms.ts';
import type { DecisionLog } from '../decision-log.ts';
import { carryPeerRequests } from '../http1/peer-requests.ts';
import { parseLocalAddress } from '../local-address.ts';
import type { Session } from '../session/session.ts';
import type { SessionRegistry } from '../session/session-registry.ts';
import type { SidecarMetrics } from '../sidecar-metrics.ts';
import type { InboundPeer } from '../transport/inbound-listener.ts';
import { DataConnection } from './data-connection.ts';
import { framePreface, readPreface } from './preface.ts';

export interface DataAcceptorDeps {
  readonly registry: SessionRegistry;
  readonly metrics: SidecarMetrics;
  readonly decisions: DecisionLog;
  readonly calls: GateTerms;
  readonly clock: Clock;
  readonly http1: Http1Server;
  /** This instance's id. */
  readonly instanceId: () => string;
  /** Where the agent listens, `host:port` or `unix:path`; `undefined`: it takes no calls. */
  readonly appAddress: () => string | undefined;
  /** A call could not be handed to the agent. */
  readonly onAppUnreached: (detail: string) => void;
  readonly prefaceTimeoutMs: number;
  readonly appConnectTimeoutMs: number;
  /** How long a connection may wait, unread, for a session that is still proving itself. */
  readonly parkMs: number;
  /** Data connections that one session may have. */
  readonly maxPerSession: () => number;
  /** How many may wait so. */
  readonly maxParked: number;
}

/** A dialler may hear so much later than we that its session has gone on, ms. */
const NEWS_MS = 1000;

/** Takes data connections: each must name a live session of its own certificate before a byte of it is passed on. */
export class DataAcceptor {
  readonly #deps: DataAcceptorDeps;
  #parked = 0;
  #closed = false;

  constructor(deps: DataAcceptorDeps) {
    this.#deps = deps;
  }

  /** From now on every new connection is told that we are going away; those that are open go on. */
  refuseNew(): void {
    this.#closed = true;
  }

  async accept(peer: InboundPeer): Promise<void> {
    const { prefaceTimeoutMs } = this.#deps;
    const metRotation = this.#metRotation(peer);
    const preface = await readPreface(peer.socket, prefaceTimeoutMs);
    if (!preface.ok) {
      if (metRotation && preface.isUnused === true) {
        peer.socket.end(() => peer.socket.destroy());
        return;
      }
      this.#refuse(peer, '', rejection('DATA_PREFACE_INVALID', preface.detail));
      return;
    }
    const open = decodeOpen(preface.message);
    if (open === undefined) {
      this.#refuse(peer, '', rejection('DATA_PREFACE_INVALID', 'the preface is no DataOpen'));
      return;
    }
    const session = await this.#sessionFor(open, peer);
    if ('code' in session) {
      this.#refuse(peer, open.correlationId, session);
      return;
    }
    peer.authenticated();
    await this.#serve(session, peer, open.correlationId);
  }

  /**
   * Whether the peer was shown a certificate that a live session of it does not know yet, as far as it may have heard: then
   * it hangs up before it has said anything, and comes back when the session goes on under that one.
   */
  #metRotation({ identity, shown, connectedAt }: InboundPeer): boolean {
    const isBehind = ({ terms, continuedAt = -Infinity }: Session) =>
      terms?.ours.thumbprint !== shown || connectedAt < continuedAt + NEWS_MS;
    return this.#deps.registry
      .live()
      .some((session) => session.role === 'acceptor' && session.hasShown(identity.thumbprint) && isBehind(session));
  }

  /** The live session that this connection belongs to, or why there is none. */
  async #sessionFor(open: Open, peer: InboundPeer): Promise<Session | Rejection> {
    const { instanceId, registry } = this.#deps;
    if (this.#closed) return rejection('PEER_DRAINING', 'this sidecar is shutting down and takes no new connections');
    if (open.instanceId !== instanceId()) {
      return rejection('WRONG_INSTANCE', `meant for instance ${open.instanceId}, this is ${instanceId()}`);
    }
    const session = registry.find(open.sessionId);
    if (session === undefined || session.role !== 'acceptor') {
      return rejection(
        'DATA_SESSION_UNKNOWN',
        `no session ${open.sessionId} here that the caller may open connections of`,
      );
    }
    if (!session.hasShown(peer.identity.thumbprint)) {
      return rejection(
        'DATA_SESSION_FOREIGN',
        `session ${session.id} has not seen this certificate of ${peer.identity.spiffeId}`,
      );
    }
    if (session.state === 'proving' && !(await this.#park(session))) {
      return rejection('DATA_SESSION_UNKNOWN', `session ${open.sessionId} was not accepted in time`);
    }
    if (session.state !== 'live') return rejection('DATA_SESSION_UNKNOWN', `session ${open.sessionId} has ended`);
    const maxPerSession = this.#deps.maxPerSession();
    if (session.connections.size < maxPerSession) return session;
    return rejection('TOO_MANY_CONNECTIONS', `session ${open.sessionId} has ${maxPerSession} connections already`);
  }

  /** Waits, without reading, for the verdict. */
  async #park(session: Session): Promise<boolean> {
    const { registry, parkMs, maxParked } = this.#deps;
    if (this.#parked >= maxParked) return false;
    this.#parked += 1;
    return new Promise<boolean>((resolve) => {
      const done = (settled: boolean) => {
        clearTimeout(timer);
        cancel();
        this.#parked -= 1;
        resolve(settled);
      };
      const timer = setTimeout(() => done(false), parkMs);
      let cancel = (): void => undefined;
      cancel = registry.onceSettled(session, () => done(true));
    });
  }

  async #serve(session: Session, peer: InboundPeer, correlationId: string): Promise<void> {
    const { registry, metrics, decisions, calls } = this.#deps;
    const connection = new DataConnection(peer);
    if (!registry.own(session, connection)) return;
    const agent = await this.#connectAgent();
    if ('code' in agent) {
      registry.release(session, connection);
      this.#refuse(peer, correlationId, agent);
      return;
    }
    connection.attach(agent);
    if (!connection.usable) {
      registry.release(session, connection);
      connection.reset();
      return;
    }
    peer.socket.write(framePreface(dataAnswerCodec.encode({ accepted: {} })));
    const { http1 } = this.#deps;
    const connectApp = () => this.#connectAgent();
    const carrying = { registry, metrics, decisions, calls, direction: 'inbound' } as const;
    await connection.carry(session, {
      ...carrying,
      http1: (of, ends) => carryPeerRequests(of, ends, { server: http1, clock: this.#deps.clock, calls, connectApp }),
    });
  }

  #connectAgent(): Promise<Socket | Rejection> {
    const { appConnectTimeoutMs, onAppUnreached } = this.#deps;
    const appAddress = this.#deps.appAddress();
    if (appAddress === undefined) {
      return Promise.resolve(rejection('APP_UNREACHABLE', 'no app.address is configured: this agent takes no calls'));
    }
    return new Promise((resolve) => {
      const socket = connect({ ...parseLocalAddress(appAddress), allowHalfOpen: true, noDelay: true });
      const fail = (detail: string) => {
        clearTimeout(timer);
        socket.destroy();
        onAppUnreached(detail);
        resolve(rejection('APP_UNREACHABLE', `${appAddress}: ${detail}`));
      };
      const timer = setTimeout(() => fail(`no connection within ${appConnectTimeoutMs} ms`), appConnectTimeoutMs);
      const onError = (error: Error) => fail(error.message);
      socket.once('error', onError);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', onError);
        socket.on('error', () => undefined);
        resolve(socket);
      });
    });
  }

  /** Tells the coarse reason and closes. */
  #refuse(peer: InboundPeer, correlationId: string, cause: Rejection): void {
    const { decisions } = this.#deps;
    const { socket, remoteAddress, identity } = peer;
    decisions.refused({ correlationId, subject: identity.spiffeId, direction: 'inbound', remoteAddress, cause });
    const refusal = toEnding(REJECTIONS[cause.code].wire, correlationId === '' ? 'none' : correlationId);
    socket.end(framePreface(dataAnswerCodec.encode({ refusal })), () => socket.destroy());
    setTimeout(() => socket.destroy(), 50).unref();
  }
}

interface Open {
  readonly sessionId: string;
  readonly instanceId: string;
  readonly correlationId: string;
}

function decodeOpen(message: Buffer): Open | undefined {
  try {
    const { sessionId, instanceId, correlationId } = dataOpenCodec.decode(message);
    if (sessionId.length !== 16) return undefined;
    return {
      sessionId: sessionId.toString('hex'),
      instanceId: instanceId.slice(0, 64),
      correlationId: safeCorrelationId(correlationId) ?? '',
    };
  } catch {
    // Not a DataOpen: the caller refuses it by that name.
    return undefined;
  }
}
