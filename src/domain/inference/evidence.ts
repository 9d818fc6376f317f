import type { SpiffeId } from '../agent-id.ts';
import type { Digest } from '../canonical/digest.ts';

/** What a mesh allows of one inference service; an operator's decision, part of the signed state. */
export interface InferenceService {
  /** `spiffe://<trust-domain>/inference/<name>`. */
  readonly id: SpiffeId;
  /** Agents that may send prompts there. Never empty: nobody is let in by leaving it out. */
  readonly agents: readonly SpiffeId[];
  /** Launch measurements that are approved. Never empty. */
  readonly measurements: readonly Digest[];
  /** SHA-256 of the DER of the roots that evidence may hang on. Never empty. */
  readonly evidenceRoots: readonly Digest[];
  /** Whether evidence that says of itself that it is simulated counts. Fit for development only. */
  readonly acceptSimulatedEvidence: boolean;
}

/** JOSE `typ` of evidence in its first form. */
export const EVIDENCE_TYPE = 'ait-evidence+jwt';

/** What a confidential-inference service proves of itself: signed by its (simulated) hardware, fresh, bound to its key. */
export interface EvidenceClaims {
  /** Always `ait-sim-1` for now: a name for every form that evidence may take. */
  readonly format: 'ait-sim-1';
  /** Evidence that does not say so is not simulated; ours always says so. */
  readonly simulated: true;
  /** SHA-256 of the launch manifest (`ait-json-1`): code, configuration, model manifest. */
  readonly measurement: Digest;
  /** base64url; the verifier's 32 random bytes. */
  readonly nonce: string;
  /** SHA-256 of the DER of the public key (SPKI) of the TLS certificate that the service shows. */
  readonly tls_key: Digest;
  /** The models that it serves. */
  readonly models: readonly string[];
  /** Seconds since the epoch. */
  readonly iat: number;
}
