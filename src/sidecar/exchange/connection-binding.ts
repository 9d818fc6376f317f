import { createHash } from 'node:crypto';
import type { SpiffeId } from '../../domain/agent-id.ts';
import type { ProofCheck } from '../../domain/admission.ts';
import type { ProofClaims, Role, VerifiedToken } from '../../domain/identity-token.ts';
import { checkProof } from '../../crypto/proof.ts';
import type { PresentedIdentity, Statement } from '../identity/presented-identity.ts';
import type { PeerIdentity } from '../../crypto/svid.ts';

export const NONCE_BYTES = 32;

/** What ties proofs to one control connection: both nonces, both certificates, and who is who. */
export interface ConnectionBinding {
  readonly ourRole: Role;
  readonly ours: PresentedIdentity;
  readonly peer: PeerIdentity;
  readonly ourNonce: Uint8Array;
  readonly peerNonce: Uint8Array;
}

/** The session's id, which both sides derive and nobody has to send: 16 bytes, hexadecimal. */
export function sessionIdOf({ ourRole, ourNonce, peerNonce }: ConnectionBinding): string {
  const [dialler, acceptor] = ourRole === 'dialler' ? [ourNonce, peerNonce] : [peerNonce, ourNonce];
  return createHash('sha256').update('ait-session-1').update(dialler).update(acceptor).digest('hex').slice(0, 32);
}

function bothSides(binding: ConnectionBinding): Pick<ProofClaims, 'nonce' | 'x5t'> {
  const { ourRole, ours, peer } = binding;
  const nonces = { ours: base64url(binding.ourNonce), theirs: base64url(binding.peerNonce) };
  return ourRole === 'dialler'
    ? {
        nonce: { dialler: nonces.ours, acceptor: nonces.theirs },
        x5t: { dialler: ours.thumbprint, acceptor: peer.thumbprint },
      }
    : {
        nonce: { dialler: nonces.theirs, acceptor: nonces.ours },
        x5t: { dialler: peer.thumbprint, acceptor: ours.thumbprint },
      };
}

/** Makes our proofs of one connection, each with the next sequence number. */
export class ProofMaker {
  readonly #binding: ConnectionBinding;
  readonly #shared: Pick<ProofClaims, 'nonce' | 'x5t'>;
  #seq = 0;

  constructor(binding: ConnectionBinding) {
    this.#binding = binding;
    this.#shared = bothSides(binding);
  }

  /** @param now milliseconds since the epoch. */
  next(statement: Statement, now: number): string {
    const { peer, ourRole } = this.#binding;
    return statement.signProof({
      aud: peer.spiffeId,
      iat: Math.floor(now / 1000),
      role: ourRole,
      seq: this.#seq++,
      ...this.#shared,
    });
  }
}

/** Checks the peer's proofs of one connection, each against the next sequence number. */
export class ProofChecker {
  readonly #self: SpiffeId;
  readonly #binding: ConnectionBinding;
  readonly #shared: Pick<ProofClaims, 'nonce' | 'x5t'>;
  #seq = 0;

  constructor(self: SpiffeId, binding: ConnectionBinding) {
    this.#self = self;
    this.#binding = binding;
    this.#shared = bothSides(binding);
  }

  check(compact: string, token: VerifiedToken): ProofCheck {
    const { peer, ourRole } = this.#binding;
    return checkProof({
      compact,
      publicKey: peer.publicKey,
      expected: {
        aud: this.#self,
        role: ourRole === 'dialler' ? 'acceptor' : 'dialler',
        seq: this.#seq++,
        ...this.#shared,
        ath: token.hash,
      },
    });
  }
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
