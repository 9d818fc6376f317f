/**
 * The single checks of admission, each of which answers one question and fails closed. The order in which they are
 * asked is told in `admission.ts`.
 */
import { kindOf, trustDomainOf, type SpiffeId } from './agent-id.ts';
import { matchBaseline } from './baseline.ts';
import type { AdmissionPorts, Candidate, CertificateFacts, Standing, TrustedKeys } from './candidate.ts';
import type { VerifiedToken } from './identity-token.ts';
import type { Measurement } from './measurement.ts';
import type { MeshState } from './mesh-state.ts';
import { DRIFT_CODES, rejection, type Rejection } from './rejection.ts';

/** Allowed difference between two clocks when a token's time is judged, in milliseconds. */
export const CLOCK_LEEWAY_MS = 30_000;

export function checkRightPeer(
  { relation, expected, certificate }: Candidate,
  ports: AdmissionPorts,
): Rejection | undefined {
  const { spiffeId } = certificate;
  if (relation !== 'accepted' && spiffeId !== expected) {
    return rejection('UNEXPECTED_PEER', `expected ${expected ?? 'nobody'}, but ${spiffeId} answered`);
  }
  if (kindOf(spiffeId) !== 'agent') {
    return rejection('UNEXPECTED_PEER', `${spiffeId} is not an agent and takes no part in an exchange`);
  }
  if (!ports.acceptedTrustDomains.has(trustDomainOf(spiffeId))) {
    return rejection('TRUST_DOMAIN_NOT_ACCEPTED', `the trust domain ${trustDomainOf(spiffeId)} is not accepted here`);
  }
  return undefined;
}

export function checkState(state: MeshState | undefined, now: number): Rejection | undefined {
  if (state === undefined) return rejection('STATE_MISSING', 'no signed state has arrived from the authority yet');
  const { notAfter } = state.head;
  if (now >= notAfter) {
    return rejection('STATE_STALE', 'the signed state is past its end', {
      clocks: { ours: now, theirs: notAfter, what: 'end of the signed state' },
    });
  }
  return undefined;
}

/**
 * Whether what was believed when the peer was admitted is still in the trust bundle of its domain: the key that signed
 * its token, and the root that its certificate hangs on.
 */
export function checkTrust(
  { certificate, token }: Pick<Standing, 'certificate' | 'token'>,
  trusts: TrustedKeys,
): Rejection | undefined {
  const domain = trustDomainOf(certificate.spiffeId);
  if (!trusts.aitKey(domain, token.keyId)) {
    return rejection(
      'TRUST_WITHDRAWN',
      `the key ${token.keyId} that signed the token is not in the bundle of ${domain}`,
    );
  }
  if (!trusts.root(domain, certificate.issuer)) {
    return rejection('TRUST_WITHDRAWN', `the root that issued the certificate is not in the bundle of ${domain}`);
  }
  return undefined;
}

export function checkAudience({ claims }: VerifiedToken, self: SpiffeId): Rejection | undefined {
  if (claims.aud.includes(trustDomainOf(self))) return undefined;
  return rejection(
    'AIT_AUDIENCE_MISMATCH',
    `the token is meant for ${claims.aud.join(', ')}, not for ${trustDomainOf(self)}`,
  );
}

export function checkTime({ claims }: VerifiedToken, now: number): Rejection | undefined {
  const [notBefore, expires] = [claims.nbf * 1000, claims.exp * 1000];
  if (now + CLOCK_LEEWAY_MS < notBefore) {
    return rejection('AIT_NOT_YET_VALID', 'the token is not valid yet', {
      clocks: { ours: now, theirs: notBefore, what: 'start of the token (nbf)' },
    });
  }
  if (now - CLOCK_LEEWAY_MS >= expires) {
    return rejection('AIT_EXPIRED', 'the token has expired', {
      clocks: { ours: now, theirs: expires, what: 'end of the token (exp)' },
    });
  }
  return undefined;
}

export function checkSubject({ claims }: VerifiedToken, { certificate, instance }: Candidate): Rejection | undefined {
  const { spiffeId } = certificate;
  if (claims.sub !== spiffeId) {
    return rejection('AIT_SUBJECT_MISMATCH', `the token is about ${claims.sub}, the certificate about ${spiffeId}`);
  }
  if (claims.iss !== `spiffe://${trustDomainOf(spiffeId)}`) {
    return rejection('AIT_ISSUER_UNKNOWN', `${claims.iss} may not speak for ${spiffeId}`);
  }
  if (claims.agent.instance !== instance) {
    return rejection(
      'AIT_SUBJECT_MISMATCH',
      `the token is about instance ${claims.agent.instance}, the peer says it is another`,
    );
  }
  return undefined;
}

export function checkBinding({ claims }: VerifiedToken, { thumbprint }: CertificateFacts): Rejection | undefined {
  if (claims.cnf['x5t#S256'] === thumbprint) return undefined;
  return rejection('AIT_BINDING_MISMATCH', 'the token is bound to another certificate than the one on this connection');
}

/** A renewed token may change times and measurement, never who it is about. */
export function checkContinuity(
  { claims }: VerifiedToken,
  permit: { readonly peer: SpiffeId; readonly instance: string },
): Rejection | undefined {
  if (claims.sub === permit.peer && claims.agent.instance === permit.instance) return undefined;
  return rejection(
    'AIT_SUBJECT_MISMATCH',
    `the renewed token is about ${claims.sub}, instance ${claims.agent.instance}`,
  );
}

export function checkCertificateTime({ notAfter }: CertificateFacts, now: number): Rejection | undefined {
  if (now < notAfter) return undefined;
  return rejection('CERTIFICATE_EXPIRED', "the peer's certificate expired while the session was open", {
    clocks: { ours: now, theirs: notAfter, what: 'end of the certificate' },
  });
}

export function checkRevocation(
  { certificate, token, earlier = [] }: Standing,
  { revoked }: MeshState,
): Rejection | undefined {
  const shown = [certificate.thumbprint, ...earlier].find((thumbprint) => revoked.certificate.has(thumbprint));
  const found =
    revoked.agent.get(certificate.spiffeId) ??
    revoked.instance.get(token.claims.agent.instance) ??
    revoked.certificate.get(shown ?? '');
  if (found === undefined) return undefined;
  return rejection('REVOKED', `${found.kind} ${found.subject} was revoked (${found.id}): ${found.reason}`);
}

export function checkLifecycle(id: SpiffeId, { agents }: Pick<MeshState, 'agents'>): Rejection | undefined {
  const agent = agents.get(id);
  if (agent === undefined) return rejection('AGENT_UNKNOWN', `${id} is not in the signed state`);
  if (agent.lifecycle !== 'active') return rejection('AGENT_NOT_ACTIVE', `${id} is ${agent.lifecycle}`);
  if (agent.sponsor === undefined || agent.sponsor === '') {
    return rejection('AGENT_NOT_ACTIVE', `${id} has no accountable sponsor`);
  }
  return undefined;
}

export function checkBaseline(
  measurement: Measurement,
  { baselines }: Pick<MeshState, 'baselines'>,
  { spiffeId, now, heldUnder }: { spiffeId: SpiffeId; now: number; heldUnder: string | undefined },
): { readonly id: string } | Rejection {
  const match = matchBaseline(measurement, baselines.get(spiffeId) ?? [], { now, heldUnder });
  switch (match.outcome) {
    case 'match':
      return { id: match.baseline.id };
    case 'none_in_force':
      return rejection('BASELINE_MISSING', `no approved baseline is in force for ${spiffeId}`);
    case 'assurance_too_low':
      return rejection(
        'ASSURANCE_TOO_LOW',
        match.dimensions
          .map(
            (d) =>
              `${d} is ${measurement[d]?.assurance}, baseline ${match.baseline.id} demands ${match.baseline.minimumAssurance[d]}`,
          )
          .join('; '),
      );
    case 'drift': {
      const { differences, nearest } = match;
      const [first] = differences;
      if (first === undefined) return rejection('BASELINE_MISSING', 'drift without a difference');
      const dimensions = [...new Set(differences.map((difference) => difference.dimension))];
      return rejection(
        DRIFT_CODES[first.dimension],
        `differs from baseline ${nearest.id} in ${dimensions.join(', ')}`,
        {
          differences,
          nearestBaseline: nearest.id,
        },
      );
    }
  }
}

/** The dialler calls, the acceptor is called: the grant goes from the one to the other. */
export function checkGrant(
  { relation, certificate }: Standing,
  { grantPolicy }: MeshState,
  self: SpiffeId,
): Rejection | undefined {
  if (relation === 'self') return undefined;
  const peer = certificate.spiffeId;
  const request = relation === 'dialled' ? { from: self, to: peer } : { from: peer, to: self };
  if (grantPolicy.decide(request).allowed) return undefined;
  return rejection('GRANT_MISSING', `no grant lets ${request.from} connect to ${request.to}`);
}

export function isRejection(value: object): value is Rejection {
  return 'code' in value;
}
