import { admit, reconsider, type AdmissionPorts, type Candidate, type PeerPermit } from '../domain/admission.ts';
import { trustDomainOf } from '../domain/agent-id.ts';
import { driftDimension, rejection, type Rejection } from '../domain/rejection.ts';
import type { Clock } from '../platform/clock.ts';
import type { RandomSource } from '../platform/random.ts';
import { NONCE_BYTES, ProofChecker, ProofMaker, type ConnectionBinding } from './exchange/connection-binding.ts';
import type { Generation } from './identity/generation.ts';
import type { TrustStore } from '../membership/trust-store.ts';
import type { MeasurementResult } from './measure/measurer.ts';
import { issuerOf } from '../crypto/chain.ts';
import { readSvid } from '../crypto/svid.ts';
import { readX509 } from '../crypto/certificate-fields.ts';

export interface SelfStandingDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly ports: AdmissionPorts;
  readonly trust: TrustStore;
  readonly generation: () => Generation;
  readonly measurement: () => MeasurementResult;
  /** What we think of ourselves has changed; `undefined`: in order. */
  readonly onChange: (rejection: Rejection | undefined, previous: Rejection | undefined) => void;
}

/**
 * What this sidecar would say of itself if it were its own peer: the same admission, run on our own token, proof and
 * measurement, before anybody else gets to see them.
 */
export class SelfStanding {
  readonly #deps: SelfStandingDeps;
  #rejection: Rejection | undefined = NO_TOKEN;
  /** Of the generation in use; survives a refusal, so that coming back needs no new token. */
  #permit: { readonly thumbprint: string; readonly permit: PeerPermit } | undefined;
  #admitting = false;
  /** Why the certificate in use was not admitted, if it was judged and was not. */
  #refusal: { readonly thumbprint: string; readonly cause: Rejection } | undefined;
  /** The last question that {@link #admit} answered. */
  #answered: string | undefined;

  constructor(deps: SelfStandingDeps) {
    this.#deps = deps;
  }

  /** Why we may have no sessions now; `undefined`: we may. */
  get rejection(): Rejection | undefined {
    return this.#rejection;
  }

  /** Whether there was ever a permit; then what it was given for goes on being judged, whatever changes. */
  get everAdmitted(): boolean {
    return this.#permit !== undefined;
  }

  /** The baseline we match. */
  get baseline(): string | undefined {
    return this.#rejection === undefined ? this.#permit?.permit.baseline : undefined;
  }

  /** The baseline that we were last admitted under, whatever stands against us now: being retired does not count for it. */
  get heldUnder(): string | undefined {
    return this.#permit?.permit.baseline;
  }

  /** Judges at once what can be judged at once. Called on every change, and every second. */
  evaluate(): Rejection | undefined {
    const measured = this.#deps.measurement();
    if (!measured.ok) return this.#settle(own(measured.rejection));
    const generation = this.#deps.generation();
    const known = this.#permit;
    const isCurrent = known?.thumbprint === generation.thumbprint;
    if (!isCurrent && generation.caughtUp) void this.#admit(generation);
    if (known === undefined) return this.#answered === undefined ? this.#settle(NO_TOKEN) : this.#rejection;
    // After a rotation the old certificate's permit goes on until the new one has its own: no change goes unjudged.
    const { ports, clock } = this.#deps;
    // Once the old certificate has ended, what stands against the new one is the reason, and not that end. Until the new
    // one is judged, what stood against us goes on to stand: a rotation is no reason of its own.
    if (!isCurrent && clock.now() >= known.permit.standing.certificate.notAfter) {
      if (this.#refusal?.thumbprint === generation.thumbprint) return this.#settle(this.#refusal.cause);
      if (this.#rejection !== undefined) return this.#rejection;
    }
    const { token } = generation;
    const change = { measurement: measured.measurement, ...(isCurrent && token !== undefined && { token }) };
    const judged = reconsider(known.permit, change, { ports, monotonicNow: clock.monotonic() });
    if (judged.admitted) this.#permit = { thumbprint: known.thumbprint, permit: judged.permit };
    return this.#settle(judged.admitted ? undefined : own(inUseOf(judged.rejection, measured)));
  }

  /**
   * Judges a certificate for the first time. A refusal counts only while there is no older permit: until its
   * certificate ends, that one speaks for us, and is judged on every change.
   */
  async #admit(generation: Generation): Promise<void> {
    const question = this.#question(generation);
    if (this.#admitting || question === this.#answered) return;
    this.#admitting = true;
    const measured = this.#deps.measurement();
    const verdict = await admit(this.#candidate(generation), this.#ports(generation));
    this.#admitting = false;
    this.#answered = question;
    this.#refusal = undefined;
    if (verdict.admitted) {
      this.#permit = { thumbprint: generation.thumbprint, permit: verdict.permit };
      // What changed while the signature was being checked is judged now.
      this.evaluate();
      return;
    }
    const cause = own(measured.ok ? inUseOf(verdict.rejection, measured) : verdict.rejection);
    this.#refusal = { thumbprint: generation.thumbprint, cause };
    if (this.#permit === undefined) this.#settle(cause);
  }

  /** Everything the answer depends on: the same question is not asked twice. */
  #question({ thumbprint, token }: Generation): string {
    const { ports, measurement } = this.#deps;
    const head = ports.state()?.head;
    return [thumbprint, token?.hash, measurement().serial, head?.epoch, head?.revision].join(' ');
  }

  #candidate(generation: Generation): Candidate {
    const { spiffeId, thumbprint, notAfter, membership } = generation;
    const leaf = membership.certificateDer;
    const roots = this.#deps.trust.roots.get(trustDomainOf(spiffeId)) ?? [];
    return {
      relation: 'self',
      expected: this.#deps.ports.self,
      certificate: { spiffeId, thumbprint, notAfter, issuer: issuerOf({ leaf, roots }) ?? '' },
      instance: generation.instanceId,
      token: { compact: generation.compactToken },
      proof: this.#proof(generation),
      heldUnder: this.#permit?.permit.baseline,
    };
  }

  #binding: ConnectionBinding | undefined;

  #proof(generation: Generation): string {
    const nonce = this.#deps.random.bytes(NONCE_BYTES);
    const peer = readSvid(readX509(generation.membership.certificateDer));
    this.#binding = { ourRole: 'dialler', ours: generation, peer, ourNonce: nonce, peerNonce: nonce };
    return new ProofMaker(this.#binding).next(generation.statement(), this.#deps.clock.now());
  }

  #ports(generation: Generation): AdmissionPorts {
    const { ports } = this.#deps;
    return {
      ...ports,
      checkProof: (proof, token) => {
        const binding = this.#binding;
        if (binding === undefined) return { ok: false, detail: 'there is no proof' };
        // Seen from the other end: what we made as the dialler is checked by the acceptor.
        return new ProofChecker(generation.spiffeId, { ...binding, ourRole: 'acceptor' }).check(proof, token);
      },
    };
  }

  #settle(next: Rejection | undefined): Rejection | undefined {
    const previous = this.#rejection;
    this.#rejection = next;
    if (!sameCause(previous, next)) this.#deps.onChange(next, previous);
    return next;
  }
}

const NO_TOKEN = own(rejection('AIT_MISSING', 'no token for the present measurement has arrived yet'));

function own(cause: Rejection): Rejection {
  return { ...cause, self: true };
}

/** Where it was the agent's own call that showed drift, the reason says so. */
function inUseOf(cause: Rejection, { inUse }: { readonly inUse?: { readonly correlationId: string } }): Rejection {
  return inUse === undefined || driftDimension(cause.code) === undefined ? cause : { ...cause, inUse };
}

function sameCause(a: Rejection | undefined, b: Rejection | undefined): boolean {
  return (
    a?.code === b?.code && a?.detail === b?.detail && JSON.stringify(a?.differences) === JSON.stringify(b?.differences)
  );
}
