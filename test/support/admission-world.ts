import { admit, reconsider, type Admission, type AdmissionPorts, type Candidate } from '../../src/domain/admission.ts';
import { parseSpiffeId, parseTrustDomain, type TrustDomain } from '../../src/domain/agent-id.ts';
import type { Baseline } from '../../src/domain/baseline.ts';
import { createGrantTable, type Grant } from '../../src/domain/grant-policy.ts';
import type { AitClaims, VerifiedToken } from '../../src/domain/identity-token.ts';
import type { AgentRecord, MeshState, Revocation } from '../../src/domain/mesh-state.ts';
import type { Measurement, ToolsDigest } from '../../src/domain/measurement.ts';
import { rejection, type RejectionCode } from '../../src/domain/rejection.ts';
import { MEASUREMENT } from '../unit/crypto/fixture.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export const SELF = parseSpiffeId('spiffe://acme.example/agent/researcher');
export const PEER = parseSpiffeId('spiffe://acme.example/agent/planner');
export const NOW = Date.UTC(2026, 0, 15);
export const ACME = parseTrustDomain('acme.example');

/** Everything that admission looks at, open to change. Made anew, it is admissible. */
export interface World {
  now: number;
  relation: Candidate['relation'];
  expected: Candidate['expected'];
  accepted: Set<TrustDomain>;
  certificate: Mutable<Candidate['certificate']>;
  /** Of the peer's domain: key ids, thumbprints of roots. */
  trustedAitKeys: string[];
  trustedRoots: string[];
  instance: string;
  tokenRefused: RejectionCode | undefined;
  claims: Mutable<AitClaims>;
  tokenMeasurement: Measurement;
  proofRefused: boolean;
  proofMeasurement: Measurement;
  stateMissing: boolean;
  stateEnds: number;
  agent: Mutable<AgentRecord> | undefined;
  baselines: Mutable<Baseline>[];
  revocations: Revocation[];
  grants: Grant[];
  /** What the peer's own answers have shown of its tools, by instance. */
  toolsSeen: Map<string, ToolsDigest | null>;
}

export function admissibleWorld(): World {
  const thumbprint = 'T'.repeat(43);
  const instance = 'instance-1';
  const seconds = NOW / 1000;
  return {
    now: NOW,
    relation: 'accepted',
    expected: undefined,
    accepted: new Set([ACME]),
    certificate: { spiffeId: PEER, thumbprint, issuer: 'R', notAfter: NOW + 3_600_000 },
    trustedAitKeys: ['k'],
    trustedRoots: ['R'],
    instance,
    tokenRefused: undefined,
    claims: {
      iss: 'spiffe://acme.example',
      sub: PEER,
      aud: [ACME],
      iat: seconds - 60,
      nbf: seconds - 60,
      exp: seconds + 3600,
      jti: 'token-1',
      cnf: { 'x5t#S256': thumbprint, jwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', alg: 'ES256' } },
      eat_profile: 'tag:ait-mesh.dev,2026:ait-1',
      agent: { instance, sponsor: { format: 'opaque', id: 'u-1' }, measurement: MEASUREMENT },
    },
    tokenMeasurement: MEASUREMENT,
    proofRefused: false,
    proofMeasurement: MEASUREMENT,
    stateMissing: false,
    stateEnds: NOW + 3_600_000,
    agent: { id: PEER, lifecycle: 'active', sponsor: 'u-1' },
    baselines: [baseline('planner-1')],
    revocations: [],
    grants: [{ id: 'g1', from: PEER, to: SELF }],
    toolsSeen: new Map(),
  };
}

export function baseline(id: string, more: Partial<Baseline> = {}): Mutable<Baseline> {
  const minimumAssurance = {
    system_prompt: 'declared',
    knowledge_base: 'declared',
    model: 'declared',
    tools: 'declared',
  } as const;
  return {
    id,
    agent: PEER,
    state: 'approved',
    approvedAt: NOW - 1000,
    minimumAssurance,
    digests: MEASUREMENT,
    ...more,
  };
}

export function tokenOf({ claims, tokenMeasurement }: World): VerifiedToken {
  return { claims: { ...claims, agent: { ...claims.agent, measurement: tokenMeasurement } }, keyId: 'k', hash: 'h' };
}

function stateOf(world: World): MeshState | undefined {
  if (world.stateMissing) return undefined;
  const revoked = (kind: Revocation['kind']) =>
    new Map(world.revocations.filter((each) => each.kind === kind).map((each) => [each.subject, each]));
  return {
    head: {
      domain: ACME,
      recipient: SELF,
      epoch: 1,
      revision: 1,
      content: '',
      previous: null,
      issuedAt: NOW,
      notAfter: world.stateEnds,
      objects: [],
    },
    agents: new Map(world.agent === undefined ? [] : [[PEER, world.agent]]),
    baselines: new Map([[PEER, world.baselines]]),
    grants: world.grants,
    grantPolicy: createGrantTable(world.grants),
    revoked: { agent: revoked('agent'), instance: revoked('instance'), certificate: revoked('certificate') },
    inferenceServices: new Map(),
    endpoints: new Map(),
    bundles: [],
  };
}

export function portsOf(world: World): AdmissionPorts {
  const { tokenRefused } = world;
  return {
    self: SELF,
    acceptedTrustDomains: world.accepted,
    now: () => world.now,
    state: () => stateOf(world),
    trusts: {
      aitKey: (domain, keyId) => domain === ACME && world.trustedAitKeys.includes(keyId),
      root: (domain, thumbprint) => domain === ACME && world.trustedRoots.includes(thumbprint),
    },
    toolsSeen: (peer, instance) => (peer === PEER ? world.toolsSeen.get(instance) : undefined),
    verifyToken: () => (tokenRefused === undefined ? tokenOf(world) : rejection(tokenRefused, 'a fake says so')),
    checkProof: () =>
      world.proofRefused
        ? { ok: false, detail: 'a fake says so' }
        : { ok: true, claims: { measurement: world.proofMeasurement } as never },
  };
}

export function admitIn(world: World): Promise<Admission> {
  const { relation, expected, certificate, instance } = world;
  const candidate: Candidate = { relation, expected, certificate, instance, token: { compact: 't' }, proof: 'p' };
  return admit(candidate, portsOf(world));
}

/** Judges a permit again with the token and the measurement that this world has now. */
export function reconsiderIn(world: World, permit: Parameters<typeof reconsider>[0], monotonicNow = 0): Admission {
  const change = { token: tokenOf(world), measurement: world.proofMeasurement };
  return reconsider(permit, change, { ports: portsOf(world), monotonicNow });
}

/** `admitted`, or the code of the refusal. */
export function outcomeOf(admission: Admission): RejectionCode | 'admitted' {
  return admission.admitted ? 'admitted' : admission.rejection.code;
}
