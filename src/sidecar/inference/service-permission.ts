import { kindOf, parseSpiffeId, trustDomainOf, type SpiffeId } from '../../domain/agent-id.ts';
import { checkState } from '../../domain/admission-checks.ts';
import type { TrustedKeys } from '../../domain/candidate.ts';
import type { InferenceService } from '../../domain/inference/evidence.ts';
import type { MeshState } from '../../domain/mesh-state.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { InspectedPeer } from '../../membership/peer-inspection.ts';

export interface ServicePermissionDeps {
  readonly self: SpiffeId;
  readonly state: () => MeshState | undefined;
  readonly trusts: () => TrustedKeys;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** @param name as in `inference.service.name`. @throws MeshError `SPIFFE_ID_INVALID` */
export function inferenceIdOf(self: SpiffeId, name: string): SpiffeId {
  const id = parseSpiffeId(`spiffe://${trustDomainOf(self)}/inference/${name}`);
  if (kindOf(id) !== 'inference') throw new TypeError(`${id} is no inference service`);
  return id;
}

/** What the signed state that is in force says of one inference service, for this agent. Fails closed. */
export class ServicePermission {
  readonly #id: SpiffeId;
  readonly #deps: ServicePermissionDeps;

  constructor(id: SpiffeId, deps: ServicePermissionDeps) {
    this.#id = id;
    this.#deps = deps;
  }

  /** What policy approves of the service; or why this agent may not use it. */
  check(): InferenceService | Rejection {
    const { self, state, now } = this.#deps;
    const known = state();
    const stale = checkState(known, now());
    if (stale !== undefined || known === undefined) {
      return stale ?? rejection('STATE_MISSING', 'no signed state has arrived from the authority yet');
    }
    const revoked = known.revoked.agent.get(this.#id);
    if (revoked !== undefined) return rejection('REVOKED', `${this.#id} was revoked: ${revoked.reason}`);
    const service = known.inferenceServices.get(this.#id);
    if (service === undefined) {
      return rejection('INFERENCE_NOT_PERMITTED', `the signed state has no ${this.#id} that ${self} may use`);
    }
    if (!service.agents.includes(self)) {
      return rejection('INFERENCE_NOT_PERMITTED', `${self} is not among the agents of ${this.#id}`);
    }
    return service;
  }

  /** What stands against a certificate that the service has shown, and that was in order then. */
  checkPeer({ spiffeId, thumbprint, notAfter, issuer }: InspectedPeer['identity']): Rejection | undefined {
    const { state, trusts, now } = this.#deps;
    if (spiffeId !== this.#id) return rejection('UNEXPECTED_PEER', `${spiffeId} answered, not ${this.#id}`);
    const revoked = state()?.revoked.certificate.get(thumbprint);
    if (revoked !== undefined) return rejection('REVOKED', `certificate ${thumbprint} was revoked: ${revoked.reason}`);
    if (!trusts().root(trustDomainOf(spiffeId), issuer)) {
      return rejection('TRUST_WITHDRAWN', `the root of the certificate of ${spiffeId} is trusted no more`);
    }
    const ours = now();
    if (ours <= notAfter) return undefined;
    const [end, here] = [notAfter, ours].map((at) => new Date(at).toISOString());
    return rejection('CERTIFICATE_EXPIRED', `the certificate was valid until ${end}, our clock says ${here}`, {
      clocks: { ours, theirs: notAfter, what: 'end of the certificate' },
    });
  }
}
