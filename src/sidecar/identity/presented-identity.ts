import type { TlsContext } from '../../crypto/tls-context.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import type { ProofClaims, Role } from '../../domain/identity-token.ts';
import type { Rejection } from '../../domain/rejection.ts';
import type { Measurement } from '../../domain/measurement.ts';

/** What a proof claims beyond what the identity itself knows. */
export type ConnectionClaims = Omit<ProofClaims, 'ath' | 'measurement'>;

/**
 * One SVID of this instance with everything that goes with it. A connection keeps the one that it began with; a session
 * goes over to the next when a new control connection continues it. The private key does not leave it.
 */
export interface PresentedIdentity {
  readonly spiffeId: SpiffeId;
  readonly instanceId: string;
  /** `x5t#S256` of the SVID. */
  readonly thumbprint: string;
  /** End of the SVID, milliseconds since the epoch. */
  readonly notAfter: number;
  readonly tls: TlsContext;
  /** Whether the newest statement's token says what its measurement says. */
  readonly caughtUp: boolean;
  /**
   * Signs that whoever shows another certificate goes on as we do in a session.
   *
   * @param to `x5t#S256` of that certificate
   */
  vouch(to: string, session: { readonly sid: string; readonly role: Role }): string;
  /** The newest. An exchange takes one when it begins and says nothing else until it is done. */
  statement(): Statement;
}

/** What we say of ourselves at one moment; a new object whenever any of it changes. */
export interface Statement {
  /** The newest AIT, a compact JWS. Its measurement may lag behind {@link measurement}. */
  readonly ait: string;
  /** The newest settled measurement. */
  readonly measurement: Measurement;
  /** A proof over this AIT and this measurement, signed by the SVID's key. */
  signProof(claims: ConnectionClaims): string;
}

/** Where sessions get their identity from. */
export interface IdentitySource {
  /**
   * The identity for a new exchange, once its AIT says what is measured now; waits for a token that is on its way.
   *
   * @param withinMs how long to wait for it at most, milliseconds
   * @param shown the certificate that a connection has shown already; default: the one in use
   * @returns why we cannot show ourselves, otherwise
   */
  forExchange(withinMs: number, shown?: string): Promise<PresentedIdentity | Rejection>;
}
