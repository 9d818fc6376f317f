import type { CertificateFacts, PeerPermit } from '../../domain/admission.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import type { Role } from '../../domain/identity-token.ts';
import type { Rejection } from '../../domain/rejection.ts';
import type { PeerEnding } from '../../wire/wire-reason.ts';

/** `proving`: the exchange is under way. `live`: both sides accepted. `ended`: over, with a cause; never comes back. */
export type SessionState = 'proving' | 'live' | 'ended';

/** A data connection, or the agent's socket behind it: what a session must be able to end at once. */
export interface SessionConnection {
  /** Both of its sockets, at once, so that neither side can read on. */
  reset(): void;
  /** In good order: what is under way on it may end, then it closes. */
  finish(): void;
}

/** The control connection, as far as the end of a session needs it. */
export interface ControlLink {
  /** Writes the last message of our direction. */
  sayGoodbye(ending: PeerEnding, refusal: boolean): void;
  /** Closes once everything written has left, or after 50 ms. */
  closeSoon(): void;
  /** Resolves when the connection is gone, and what was written with it has left or never will. */
  readonly closed: Promise<void>;
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
  readonly certificate: CertificateFacts;
  readonly control: ControlLink;
  readonly remoteAddress: string;
  /** Our monotonic clock at the first byte. */
  readonly startedAt: number;
  readonly connections = new Set<SessionConnection>();

  state: SessionState = 'proving';
  /** Hexadecimal; known once both nonces are. */
  id: string | undefined;
  permit: PeerPermit | undefined;
  /** Milliseconds since the epoch. */
  acceptedAt: number | undefined;
  /** Our monotonic clock at the peer's last valid proof, and at the last moment the session had a data connection. */
  heardAt: number;
  usedAt: number;
  /** Why it ended; the first cause wins. */
  cause: Rejection | undefined;

  constructor(input: {
    correlationId: string;
    role: Role;
    certificate: CertificateFacts;
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
}
