import type { TLSSocket } from 'node:tls';
import { verifyChain } from '../crypto/chain.ts';
import { kindOf, type TrustDomain } from '../domain/agent-id.ts';
import type { TrustStore } from '../membership/trust-store.ts';
import { derOf } from '../membership/peer-inspection.ts';
import type { Clock } from '../platform/clock.ts';

export interface CallerInspectionDeps {
  readonly trustDomain: TrustDomain;
  readonly trust: TrustStore;
  readonly clock: Clock;
}

/**
 * Who may ask: agents of our own trust domain, by a certificate that a root we trust now has issued and that is in its
 * time now. Asked for every request, since a connection outlives both. Fails closed.
 */
export class CallerInspection {
  readonly #deps: CallerInspectionDeps;
  /** Asking a socket again and again for its certificate is dear. */
  readonly #shown = new WeakMap<TLSSocket, Uint8Array>();

  constructor(deps: CallerInspectionDeps) {
    this.#deps = deps;
  }

  /** What is against the caller; `undefined`: nothing. */
  problem(socket: TLSSocket): string | undefined {
    const { trustDomain, trust, clock } = this.#deps;
    const leaf = this.#shown.get(socket) ?? derOf(socket);
    if (!socket.authorized || leaf === undefined) return 'no certificate that TLS could verify';
    this.#shown.set(socket, leaf);
    const chain = verifyChain({ leaf, roots: trust.roots.get(trustDomain) ?? [], at: clock.now() });
    if (!chain.ok) return chain.detail;
    const { spiffeId } = chain.identity;
    return kindOf(spiffeId) === 'agent' ? undefined : `${spiffeId} is not an agent`;
  }
}
