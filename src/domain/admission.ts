/**
 * Admission: the one story that decides whether a peer may have a session.
 *
 * The checks run in one order and the first that fails is *the* reason. The result is a value, never an exception, and
 * only this file can make a {@link PeerPermit}. A sidecar runs the same story on itself before it shows itself to
 * anybody. {@link reconsider} re-runs what can change while a session is open.
 *
 * Every check fails closed: what is missing, empty, unknown or unreadable is refused.
 */
import {
  checkAudience,
  checkBaseline,
  checkBinding,
  checkCertificateTime,
  checkContinuity,
  checkGrant,
  checkLifecycle,
  checkRevocation,
  checkRightPeer,
  checkState,
  checkSubject,
  checkTime,
  checkTrust,
  isRejection,
} from './admission-checks.ts';
import type { SpiffeId } from './agent-id.ts';
import type { AdmissionPorts, Candidate, Standing } from './candidate.ts';
import type { VerifiedToken } from './identity-token.ts';
import { sameMeasurement, type Measurement } from './measurement.ts';
import { rejection, type Rejection } from './rejection.ts';

export type { AdmissionPorts, Candidate, ProofCheck, Standing } from './candidate.ts';

/** How long the token may lag behind a changed measurement while a session is open, in milliseconds. */
export const AIT_CATCH_UP_MS = 10_000;

export type Admission =
  | { readonly admitted: true; readonly permit: PeerPermit }
  | { readonly admitted: false; readonly rejection: Rejection };

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

  const { relation, certificate, heldUnder } = candidate;
  return judgeStanding({ relation, certificate, token, measurement }, ports, heldUnder);
}

/** What may have changed of an admitted peer; the rest stays as it was. */
export interface StandingChange {
  readonly token?: VerifiedToken;
  readonly measurement?: Measurement;
  /** Certificates that the session showed before, see {@link Standing.earlier}. */
  readonly earlier?: readonly string[];
}

/**
 * Judges an open session again, synchronously, so that nothing can slip between the check and the act: on every change
 * of state, trust, token or measurement, and every second for what only time changes. Whose word is believed at all comes
 * first after the state: what `admit` asks of token and chain once can be withdrawn later.
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
  const earlier = change.earlier ?? permit.standing.earlier;
  const lags = !sameMeasurement(measurement, token.claims.agent.measurement);
  const since = lags ? (tokenLagsSince ?? monotonicNow) : undefined;
  const standing: Standing = {
    relation,
    certificate,
    token,
    measurement,
    ...(since !== undefined && { tokenLagsSince: since }),
    ...(earlier !== undefined && { earlier }),
  };

  const early =
    checkState(ports.state(), ports.now()) ??
    checkTrust({ certificate, token }, ports.trusts) ??
    checkAudience(token, ports.self) ??
    checkTime(token, ports.now()) ??
    checkContinuity(token, permit) ??
    checkBinding(token, certificate) ??
    checkCertificateTime(certificate, ports.now());
  if (early !== undefined) return denied(early);
  const judged = judgeStanding(standing, ports, permit.baseline);
  if (!judged.admitted) return judged;
  if (since !== undefined && monotonicNow - since > AIT_CATCH_UP_MS) {
    const detail = `the measurement changed more than ${AIT_CATCH_UP_MS / 1000} s ago and the token still has the old one`;
    return denied(rejection('AIT_STALE', detail));
  }
  return judged;
}

interface Judgement {
  readonly baseline: string | undefined;
  readonly waived: readonly Rejection[];
}

/** Revocation → lifecycle → baseline → assurance → grant. In observe mode drift and grants are noted, not enforced. */
function judgeStanding(standing: Standing, ports: AdmissionPorts, heldUnder: string | undefined): Admission {
  const state = ports.state();
  const now = ports.now();
  if (state === undefined)
    return denied(rejection('STATE_MISSING', 'no signed state has arrived from the authority yet'));
  const { spiffeId } = standing.certificate;

  const fatal = checkRevocation(standing, state) ?? checkLifecycle(spiffeId, state);
  if (fatal !== undefined) return denied(fatal);

  const isObserved = (id: SpiffeId): boolean => now < (state.agents.get(id)?.observeUntil ?? -Infinity);
  const observing = isObserved(spiffeId);
  const waived: Rejection[] = [];
  const baseline = checkBaseline(asSeen(standing, ports), state, { spiffeId, now, heldUnder });
  if (isRejection(baseline)) {
    const isDrift = baseline.differences !== undefined;
    if (!observing || !isDrift) return denied(baseline);
    waived.push(baseline);
  }
  const ungranted = checkGrant(standing, state, ports.self);
  if (ungranted !== undefined) {
    // The missing grant is as much the caller's as the called one's.
    if (!observing && !isObserved(ports.self)) return denied(ungranted);
    waived.push(ungranted);
  }
  const judgement = { baseline: isRejection(baseline) ? undefined : baseline.id, waived };
  return { admitted: true, permit: new PeerPermit(MINT, standing, judgement) };
}

/** What the peer measures, with what was seen of it in its place. */
function asSeen({ measurement, certificate, token }: Standing, ports: AdmissionPorts): Measurement {
  const tools = ports.toolsSeen?.(certificate.spiffeId, token.claims.agent.instance);
  if (tools === undefined) return measurement;
  return { ...measurement, tools: tools && { ...tools, assurance: 'in_use' } };
}

function denied(reason: Rejection): Admission {
  return { admitted: false, rejection: reason };
}
