/**
 * Admission: the one story that decides whether a peer may have a session.
 *
 * The checks run in one order and the first that fails is *the* reason. The result is a value, never an exception, and
 * only this file can make a {@link PeerPermit}. A sidecar runs the same story on itself before it shows itself to
 * anybody. {@link reconsider} re-runs what can change while a session is open.
 *
 * Every check fails closed: what is missing, empty, unknown or unreadable is refused.
 */
import { kindOf, trustDomainOf, type SpiffeId, type TrustDomain } from './agent-id.ts';
import { matchBaseline } from './baseline.ts';
import type { ProofClaims, Role, UnverifiedToken, VerifiedToken } from './identity-token.ts';
import { sameMeasurement, type Measurement } from './measurement.ts';
import type { MeshState } from './mesh-state.ts';
import { DRIFT_CODES, rejection, type Rejection } from './rejection.ts';

/** Allowed difference between two clocks when a token's time is judged, in milliseconds. */
export const CLOCK_LEEWAY_MS = 30_000;

/** How long the token may lag behind a changed measurement while a session is open, in milliseconds. */
export const AIT_CATCH_UP_MS = 10_000;

/** What the TLS layer has established about the other end of the control connection. */
export interface CertificateFacts {
  readonly spiffeId: SpiffeId;
  /** base64url SHA-256 of the certificate in DER, as `x5t#S256` (RFC 8705). */
  readonly thumbprint: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/** Who asks for admission, and what they brought. */
export interface Candidate {
  /** `self`: a sidecar judging its own standing; no grant is needed for that. */
  readonly relation: 'dialled' | 'accepted' | 'self';
  /** The identity of the route, where we dialled, or our own, for `self`. */
  readonly expected: SpiffeId | undefined;
  readonly certificate: CertificateFacts;
  /** The instance id that the peer stated. */
  readonly instance: string;
  readonly token: UnverifiedToken;
  /** Compact JWS. */
  readonly proof: string;
}

/** What admission needs from the outside. */
export interface AdmissionPorts {
  readonly self: SpiffeId;
  readonly acceptedTrustDomains: ReadonlySet<TrustDomain>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The state in force at the moment of the call; `undefined` before the first one arrived. */
  readonly state: () => MeshState | undefined;
  readonly verifyToken: (token: UnverifiedToken) => Promise<VerifiedToken | Rejection> | VerifiedToken | Rejection;
  readonly checkProof: (proof: string, token: VerifiedToken) => ProofCheck;
}

export type ProofCheck =
  { readonly ok: true; readonly claims: ProofClaims } | { readonly ok: false; readonly detail: string };

export type Admission =
  | { readonly admitted: true; readonly permit: PeerPermit }
  | { readonly admitted: false; readonly rejection: Rejection };

/** What is known of an admitted peer, all of it verified. */
export interface Standing {
  readonly relation: Candidate['relation'];
  readonly certificate: CertificateFacts;
  readonly token: VerifiedToken;
  /** The newest proven measurement. */
  readonly measurement: Measurement;
  /** Since when the token has lagged behind the measurement, on our monotonic clock; `undefined`: it does not. */
  readonly tokenLagsSince?: number;
}

const MINT = Symbol('only admission makes permits');

/** Evidence that admission was passed. Nobody else can construct one. */
export class PeerPermit {
  readonly standing: Standing;
  /** The baseline that matched; `undefined` in observe mode, where none did. */
  readonly baseline: string | undefined;
  /** What would have been refused, had observe mode not waived it. */
  readonly waived: readonly Rejection[];

  constructor(mint: typeof MINT, standing: Standing, judgement: Judgement) {
    if (mint !== MINT) throw new TypeError('a PeerPermit is made by admission only');
    this.standing = standing;
    this.baseline = judgement.baseline;
    this.waived = judgement.waived;
  }

  get peer(): SpiffeId {
    return this.standing.certificate.spiffeId;
  }

  get instance(): string {
    return this.standing.token.claims.agent.instance;
  }
}

/** Judges a candidate: right peer → token → time → subject → binding → proof → measurement → standing. */
export async function admit(candidate: Candidate, ports: AdmissionPorts): Promise<Admission> {
  const early = checkRightPeer(candidate, ports) ?? checkState(ports.state(), ports.now());
  if (early !== undefined) return denied(early);

  const token = await ports.verifyToken(candidate.token);
  if (isRejection(token)) return denied(token);

  const mismatch =
    checkAudience(token, ports.self) ??
    checkTime(token, ports.now()) ??
    checkSubject(token, candidate) ??
    checkBinding(token, candidate.certificate);
  if (mismatch !== undefined) return denied(mismatch);

  const proof = ports.checkProof(candidate.proof, token);
  if (!proof.ok) return denied(rejection('PROOF_INVALID', proof.detail));
  const { measurement } = proof.claims;
  if (!sameMeasurement(measurement, token.claims.agent.measurement)) {
    return denied(rejection('PROOF_MEASUREMENT_MISMATCH', 'the proof carries another measurement than the token'));
  }

  const { relation, certificate } = candidate;
  return judgeStanding({ relation, certificate, token, measurement }, ports, false);
}

/** What may have changed of an admitted peer; the rest stays as it was. */
export interface StandingChange {
  readonly token?: VerifiedToken;
  readonly measurement?: Measurement;
}

/**
 * Judges an open session again, synchronously, so that nothing can slip between the check and the act: on every change
 * of state, token or measurement, and every second for what only time changes.
 *
 * @param monotonicNow milliseconds on a clock that never steps; bounds how long the token may lag.
 */
export function reconsider(
  permit: PeerPermit,
  change: StandingChange,
  { ports, monotonicNow }: { ports: AdmissionPorts; monotonicNow: number },
): Admission {
  const { relation, certificate, tokenLagsSince } = permit.standing;
  const token = change.token ?? permit.standing.token;
  const measurement = change.measurement ?? permit.standing.measurement;
  const lags = !sameMeasurement(measurement, token.claims.agent.measurement);
  const since = lags ? (tokenLagsSince ?? monotonicNow) : undefined;
  const standing: Standing = {
    relation,
    certificate,
    token,
    measurement,
    ...(since !== undefined && { tokenLagsSince: since }),
  };

  const early =
    checkState(ports.state(), ports.now()) ??
    checkAudience(token, ports.self) ??
    checkTime(token, ports.now()) ??
    checkContinuity(token, permit) ??
    checkBinding(token, certificate) ??
    checkCertificateTime(certificate, ports.now());
  if (early !== undefined) return denied(early);
  const judged = judgeStanding(standing, ports, true);
  if (!judged.admitted) return judged;
  if (since !== undefined && monotonicNow - since > AIT_CATCH_UP_MS) {
    return denied(
      rejection(
        'AIT_STALE',
        `the measurement changed ${Math.round(monotonicNow - since)} ms ago and the token still has the old one`,
      ),
    );
  }
  return judged;
}

function checkRightPeer({ relation, expected, certificate }: Candidate, ports: AdmissionPorts): Rejection | undefined {
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

function checkState(state: MeshState | undefined, now: number): Rejection | undefined {
  if (state === undefined) return rejection('STATE_MISSING', 'no signed state has arrived from the authority yet');
  const { notAfter } = state.head;
  if (now >= notAfter) {
    return rejection('STATE_STALE', 'the signed state is past its end', {
      clocks: { ours: now, theirs: notAfter, what: 'end of the signed state' },
    });
  }
  return undefined;
}

function checkAudience({ claims }: VerifiedToken, self: SpiffeId): Rejection | undefined {
  if (claims.aud.includes(trustDomainOf(self))) return undefined;
  return rejection(
    'AIT_AUDIENCE_MISMATCH',
    `the token is meant for ${claims.aud.join(', ')}, not for ${trustDomainOf(self)}`,
  );
}

function checkTime({ claims }: VerifiedToken, now: number): Rejection | undefined {
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

function checkSubject({ claims }: VerifiedToken, { certificate, instance }: Candidate): Rejection | undefined {
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

function checkBinding({ claims }: VerifiedToken, { thumbprint }: CertificateFacts): Rejection | undefined {
  if (claims.cnf['x5t#S256'] === thumbprint) return undefined;
  return rejection('AIT_BINDING_MISMATCH', 'the token is bound to another certificate than the one on this connection');
}

/** A renewed token may change times and measurement, never who it is about. */
function checkContinuity({ claims }: VerifiedToken, permit: PeerPermit): Rejection | undefined {
  if (claims.sub === permit.peer && claims.agent.instance === permit.instance) return undefined;
  return rejection(
    'AIT_SUBJECT_MISMATCH',
    `the renewed token is about ${claims.sub}, instance ${claims.agent.instance}`,
  );
}

function checkCertificateTime({ notAfter }: CertificateFacts, now: number): Rejection | undefined {
  if (now < notAfter) return undefined;
  return rejection('CERTIFICATE_EXPIRED', "the peer's certificate expired while the session was open", {
    clocks: { ours: now, theirs: notAfter, what: 'end of the certificate' },
  });
}

interface Judgement {
  readonly baseline: string | undefined;
  readonly waived: readonly Rejection[];
}

/** Revocation → lifecycle → baseline → assurance → grant. In observe mode drift and grants are noted, not enforced. */
function judgeStanding(standing: Standing, ports: AdmissionPorts, live: boolean): Admission {
  const state = ports.state();
  const now = ports.now();
  if (state === undefined)
    return denied(rejection('STATE_MISSING', 'no signed state has arrived from the authority yet'));
  const { spiffeId } = standing.certificate;

  const fatal = checkRevocation(standing, state) ?? checkLifecycle(spiffeId, state);
  if (fatal !== undefined) return denied(fatal);

  const observing = now < (state.agents.get(spiffeId)?.observeUntil ?? -Infinity);
  const waived: Rejection[] = [];
  const baseline = checkBaseline(standing.measurement, state, { spiffeId, now, live });
  if (isRejection(baseline)) {
    const isDrift = baseline.differences !== undefined;
    if (!observing || !isDrift) return denied(baseline);
    waived.push(baseline);
  }
  const ungranted = checkGrant(standing, state, ports.self);
  if (ungranted !== undefined) {
    if (!observing) return denied(ungranted);
    waived.push(ungranted);
  }
  const judgement = { baseline: isRejection(baseline) ? undefined : baseline.id, waived };
  return { admitted: true, permit: new PeerPermit(MINT, standing, judgement) };
}

function checkRevocation({ certificate, token }: Standing, { revoked }: MeshState): Rejection | undefined {
  const found =
    revoked.agent.get(certificate.spiffeId) ??
    revoked.instance.get(token.claims.agent.instance) ??
    revoked.certificate.get(certificate.thumbprint);
  if (found === undefined) return undefined;
  return rejection('REVOKED', `${found.kind} ${found.subject} was revoked (${found.id}): ${found.reason}`);
}

function checkLifecycle(id: SpiffeId, { agents }: MeshState): Rejection | undefined {
  const agent = agents.get(id);
  if (agent === undefined) return rejection('AGENT_UNKNOWN', `${id} is not in the signed state`);
  if (agent.lifecycle !== 'active') return rejection('AGENT_NOT_ACTIVE', `${id} is ${agent.lifecycle}`);
  if (agent.sponsor === undefined || agent.sponsor === '') {
    return rejection('AGENT_NOT_ACTIVE', `${id} has no accountable sponsor`);
  }
  return undefined;
}

function checkBaseline(
  measurement: Measurement,
  { baselines }: MeshState,
  { spiffeId, now, live }: { spiffeId: SpiffeId; now: number; live: boolean },
): { readonly id: string } | Rejection {
  const match = matchBaseline(measurement, baselines.get(spiffeId) ?? [], { now, live });
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
function checkGrant(
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

function denied(reason: Rejection): Admission {
  return { admitted: false, rejection: reason };
}

function isRejection(value: object): value is Rejection {
  return 'code' in value;
}

/** Which end of the control connection the *candidate* is. */
export function candidateRole(relation: Candidate['relation']): Role {
  return relation === 'dialled' ? 'acceptor' : 'dialler';
}
