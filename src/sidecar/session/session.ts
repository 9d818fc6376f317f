import type { PeerIdentity } from '../../crypto/svid.ts';
import type { PeerPermit } from '../../domain/admission.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import type { Role } from '../../domain/identity-token.ts';
import type { Rejection, RejectionCode } from '../../domain/rejection.ts';
import type { PeerEnding } from '../../wire/wire-reason.ts';
import type { PresentedIdentity } from '../identity/presented-identity.ts';

/** `proving`: the exchange is under way. `live`: both sides accepted. `ended`: over, with a cause; never comes back. */
export type SessionState = 'proving' | 'live' | 'ended';

/** Endings after which open connections may finish what they are doing: nothing is wrong with the peer. */
export const IN_GOOD_ORDER: ReadonlySet<RejectionCode> = new Set(['PEER_DRAINING', 'IDLE']);

/** A data connection, or the agent's socket behind it: what a session must be able to end at once. */
export interface SessionConnection {
  /**
   * Both of its sockets, at once, so that neither side can read on.
   *
   * @param cause what our own agent is told of the calls that it ends. Default: nothing.
   */
  reset(cause?: Rejection): void;
  /** In good order: what is under way on it may end, then it closes. */
  finish(): void;
  /** What the session permits has changed: each call on it is judged again. */
  reconsider(): void;
}

/** The control connection, as far as a session needs it. */
export interface ControlLink {
  /** Asks the dialler to continue the session on a new connection. */
  askToReconnect(): void;
  /** Writes the last message of our direction. */
  sayGoodbye(ending: PeerEnding, refusal: boolean): void;
  /** Closes once everything written has left, or after 50 ms. */
  closeSoon(): void;
  /** Resolves when the connection is gone, and what was written with it has left or never will. */
  readonly closed: Promise<void>;
}

/** What one exchange has established, once both sides have accepted. */
export interface SessionTerms {
  readonly permit: PeerPermit;
  readonly ours: PresentedIdentity;
  /** `host:port` of the peer's very instance; empty where it takes no data connections. */
  readonly dataAddress: string;
}

/**
 * Two instances that accept each other, from the first TLS byte on. It owns every socket between them; its state is
 * changed by the {@link ./session-registry.ts registry} only.
 */
export class Session {
  /** Shared with the peer's log lines; the acceptor adopts the dialler's. */
  correlationId: string;
  /** Our end of the control connection. The dialler calls, the acceptor is called. */
  readonly role: Role;
  /** Our monotonic clock at the first byte. */
  readonly startedAt: number;
  readonly connections = new Set<SessionConnection>();

  /** The newest certificate that the peer showed, and the control connection that it showed it on. */
  certificate: PeerIdentity;
  control: ControlLink;
  remoteAddress: string;
  /** Certificates that the peer showed before, by thumbprint, with their ends; data connections may still show them. */
  readonly earlier = new Map<string, number>();
  /** The live session that this exchange wants to go on with. Once accepted it is that session. */
  continues: Session | undefined;

  state: SessionState = 'proving';
  /** Hexadecimal; known once both nonces are. */
  id: string | undefined;
  /** All known once the exchange is done. */
  terms: SessionTerms | undefined;
  permit: PeerPermit | undefined;
  /** Milliseconds since the epoch. */
  acceptedAt: number | undefined;
  /** Our monotonic clock when it last went on over another control connection; `undefined`: it never did. */
  continuedAt: number | undefined;
  /** Our monotonic clock at the peer's last valid proof, and at the last moment the session had a data connection. */
  heardAt: number;
  usedAt: number;
  /** Why it ended; the first cause wins. */
  cause: Rejection | undefined;

  constructor(input: {
    correlationId: string;
    role: Role;
    certificate: PeerIdentity;
    control: ControlLink;
    remoteAddress: string;
    monotonicNow: number;
  }) {
    this.correlationId = input.correlationId;
    this.role = input.role;
    this.certificate = input.certificate;
    this.control = input.control;
    this.remoteAddress = input.remoteAddress;
    this.startedAt = input.monotonicNow;
    this.heardAt = input.monotonicNow;
    this.usedAt = input.monotonicNow;
  }

  get peer(): SpiffeId {
    return this.certificate.spiffeId;
  }

  get peerInstance(): string | undefined {
    return this.permit?.instance;
  }

  /** Whether the peer has shown this certificate in this session. */
  hasShown(thumbprint: string): boolean {
    return this.certificate.thumbprint === thumbprint || this.earlier.has(thumbprint);
  }
}
