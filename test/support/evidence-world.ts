import { createHash } from 'node:crypto';
import { signEvidence, tlsKeyDigest, type ExpectedEvidence } from '../../src/crypto/evidence.ts';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import {
  createSimulatedHardwareKey,
  createSimulatedRoot,
  readSimulatedRoot,
  type SimulatedHardwareKey,
  type SimulatedRoot,
} from '../../src/crypto/simulated-hardware.ts';
import { agentId, inferenceId, parseTrustDomain } from '../../src/domain/agent-id.ts';
import { sha256Digest } from '../../src/domain/canonical/digest.ts';
import type { EvidenceClaims } from '../../src/domain/inference/evidence.ts';

const HOUR = 3_600_000;
const ACME = parseTrustDomain('acme.example');

/** What checks of evidence are tried with: everything in order, to be spoilt one thing at a time. */
export interface EvidenceWorld {
  readonly root: SimulatedRoot;
  readonly hardware: SimulatedHardwareKey;
  readonly claims: EvidenceClaims;
  readonly expected: ExpectedEvidence;
  /** A compact JWS over these claims. */
  sign(changes?: object, hardware?: Pick<SimulatedHardwareKey, 'privateKey' | 'chain'>): string;
}

export function evidenceWorld(now: number = Date.UTC(2026, 10, 1)): EvidenceWorld {
  const root = readSimulatedRoot(createSimulatedRoot({ notBefore: now - HOUR, notAfter: now + 1000 * HOUR }));
  const hardware = makeHardware(root, now);
  const nonce = createHash('sha256').update('nonce').digest('base64url');
  const tlsKey = tlsKeyDigest(generateKeyPair().publicKey);
  const measurement = sha256Digest('launch manifest');
  const claims: EvidenceClaims = {
    format: 'ait-sim-1',
    simulated: true,
    measurement,
    nonce,
    tls_key: tlsKey,
    models: ['sim-small'],
    iat: now / 1000,
  };
  const service = {
    id: inferenceId(ACME, 'default'),
    agents: [agentId(ACME, 'planner')],
    measurements: [measurement],
    evidenceRoots: [root.pin],
    acceptSimulatedEvidence: true,
  };
  return {
    root,
    hardware,
    claims,
    expected: { nonce, tlsKey, service, now },
    sign: (changes = {}, { privateKey: key, chain } = hardware) =>
      signEvidence({ claims: { ...claims, ...changes }, key, chain }),
  };
}

export function makeHardware(root: SimulatedRoot, now: number): SimulatedHardwareKey {
  const serial = createHash('sha256').update(String(now)).digest().subarray(0, 16);
  return createSimulatedHardwareKey(root, { notBefore: now - HOUR, notAfter: now + HOUR, serial });
}
