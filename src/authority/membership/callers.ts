import type { KeyObject } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { kindOf, type SpiffeId } from '../../domain/agent-id.ts';
import { isJoiningKind, type JoiningKind } from '../../domain/join-credential.ts';
import { verifyChain } from '../../crypto/chain.ts';
import type { Clock } from '../../platform/clock.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import type { CertificateAuthority } from '../keys/certificate-authority.ts';
import type { Instances } from './instances.ts';
import { checkRevoked, type PolicyIndex } from '../policy/policy-index.ts';
import { refusal, type Outcome, type Refusal } from '../refusal.ts';

/** A live, unrevoked instance on an open connection. */
export interface Caller {
  /** An agent; an inference service only where it was asked for. */
  readonly agent: SpiffeId;
  readonly instance: string;
  /** `x5t#S256` of the certificate of this very connection, its key, and its end in milliseconds since the epoch. */
  readonly thumbprint: string;
  readonly publicKey: KeyObject;
  readonly notAfter: number;
}

export interface CallersOptions {
  readonly authority: CertificateAuthority;
  readonly instances: Instances;
  readonly clock: Clock;
  readonly metrics: AuthorityMetrics;
  readonly policy: () => PolicyIndex;
}

const AGENTS: readonly JoiningKind[] = ['agent'];
/** What keeps an instance a member, whatever it is: its certificate, and whom to trust. */
export const ANY_MEMBER: readonly JoiningKind[] = ['agent', 'inference'];

/** What a grpc-js call tells of its connection. */
interface CallPeer {
  getPeer(): string;
}

/**
 * Who is calling, asked anew for every call: a connection outlives certificates and revocations. A client without a
 * certificate does get a connection (it may want to join), so nothing here relies on TLS having checked one.
 */
export class Callers {
  readonly #options: CallersOptions;
  readonly #sockets = new Map<string, TLSSocket>();

  constructor(options: CallersOptions) {
    this.#options = options;
  }

  /** Notes a connection for as long as it is open. @returns false, having destroyed it, if it cannot be told apart. */
  register(socket: TLSSocket): boolean {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    // grpc-js tells a call's remote address only. On two of our own addresses one remote port can be open twice, and a
    // stranger must never be taken for the member on the other: the second is turned away.
    if (this.#sockets.has(peer)) {
      socket.destroy();
      return false;
    }
    this.#sockets.set(peer, socket);
    socket.once('close', () => this.#sockets.delete(peer));
    return true;
  }

  /** Whether a new connection comes from somebody who may do more than join. */
  isMember(socket: TLSSocket): boolean {
    return this.#identify(socket, ANY_MEMBER).ok;
  }

  /**
   * Fails closed: no connection, no certificate, another root, another kind, unknown or revoked are all refused.
   *
   * @param kinds who may ask for this. Default: agents only.
   */
  authenticate(call: CallPeer, kinds: readonly JoiningKind[] = AGENTS): Outcome<Caller> {
    const outcome = this.#identify(this.#sockets.get(call.getPeer()), kinds);
    if (!outcome.ok) this.#options.metrics.callsRefused.add();
    return outcome;
  }

  /** Whether a caller whose stream is still open may go on. */
  recheck({ agent, instance, thumbprint, notAfter }: Caller): Refusal | undefined {
    const now = this.#options.clock.now();
    if (now > notAfter) {
      const [end, ours] = [notAfter, now].map((at) => new Date(at).toISOString());
      return refusal('UNAUTHENTICATED', 'CERTIFICATE_EXPIRED', `the certificate was valid until ${end}, it is ${ours}`);
    }
    return checkRevoked(this.#options.policy(), { agent, instance, thumbprint });
  }

  #identify(socket: TLSSocket | undefined, kinds: readonly JoiningKind[]): Outcome<Caller> {
    const { authority, instances, clock } = this.#options;
    // Not getPeerX509Certificate: on the server's side it loses memory with each call (Node 20.20).
    const leaf = socket?.getPeerCertificate(false).raw;
    if (leaf === undefined) {
      return refusal('UNAUTHENTICATED', 'CERTIFICATE_MISSING', 'this service is for instances; present your SVID');
    }
    const chain = verifyChain({ leaf, roots: authority.roots, at: clock.now() });
    if (!chain.ok) {
      const code = chain.untimely ? 'CERTIFICATE_NOT_VALID_NOW' : 'CERTIFICATE_REFUSED';
      return refusal('UNAUTHENTICATED', code, chain.detail);
    }
    const { spiffeId, thumbprint, publicKey, notAfter } = chain.identity;
    const kind = kindOf(spiffeId);
    if (!isJoiningKind(kind) || !kinds.includes(kind)) {
      return refusal('UNAUTHENTICATED', 'CERTIFICATE_REFUSED', `${spiffeId} may not ask for this`);
    }
    const instance = instances.byCertificate(thumbprint);
    if (instance?.agent !== spiffeId) {
      const detail = 'the certificate belongs to no instance that this authority knows; join again';
      return refusal('UNAUTHENTICATED', 'INSTANCE_UNKNOWN', detail);
    }
    const caller: Caller = { agent: spiffeId, instance: instance.id, thumbprint, publicKey, notAfter };
    return this.recheck(caller) ?? { ok: true, value: caller };
  }
}
