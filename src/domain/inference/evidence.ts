import type { SpiffeId } from '../agent-id.ts';
import { isDigest, type Digest } from '../canonical/digest.ts';
import type { JsonObject, JsonValue } from '../canonical/strict-json.ts';
import { arrayAt, choiceAt, integerAt, objectAt, ShapeError, stringAt } from '../json-shape.ts';

/** What a mesh allows of one inference service; an operator's decision, part of the signed state. */
export interface InferenceService {
  /** `spiffe://<trust-domain>/inference/<name>`. */
  readonly id: SpiffeId;
  /** Agents that may send prompts there. Never empty: nobody is let in by leaving it out. A sidecar sees its own only. */
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

/** The forms that evidence may take. The report of an AMD SEV-SNP machine is to be another. */
export const EVIDENCE_FORMATS = ['ait-sim-1'] as const;
export type EvidenceFormat = (typeof EVIDENCE_FORMATS)[number];

/** What a confidential-inference service proves of itself: signed by its (simulated) hardware, fresh, bound to its key. */
export interface EvidenceClaims {
  readonly format: EvidenceFormat;
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

/** 32 bytes in base64url, in the one canonical spelling (RFC 4648 section 3.5): what a verifier sends as its nonce. */
const NONCE = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
const MODEL_ID = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/;
const MAX_MODELS = 64;
const MEMBERS = ['format', 'simulated', 'measurement', 'nonce', 'tls_key', 'models', 'iat'] as const;

export function isEvidenceNonce(text: unknown): text is string {
  return typeof text === 'string' && NONCE.test(text);
}

/** Whether a text can be the id of a model: 1 to 128 letters, digits and `. _ : / -`. */
export function isModelId(text: unknown): text is string {
  return typeof text === 'string' && MODEL_ID.test(text);
}

/**
 * Reads the claims of evidence from strictly parsed JSON. Exactly these members, each of its exact type; a model stands
 * there once. Fails closed.
 *
 * @throws ShapeError
 */
export function parseEvidenceClaims(value: JsonValue): EvidenceClaims {
  const claims = objectAt(value, 'claims', { required: MEMBERS });
  const { simulated } = claims;
  if (simulated !== true) throw new ShapeError('simulated', 'not true, which is all that this form can be');
  const models = arrayAt(claims['models'], 'models', { min: 1, max: MAX_MODELS }).map((model, index) =>
    stringAt(model, `models[${index}]`, MODEL_ID, 'the id of a model'),
  );
  if (new Set(models).size !== models.length) throw new ShapeError('models', 'the same model twice');
  return {
    format: choiceAt(claims['format'], 'format', EVIDENCE_FORMATS),
    simulated,
    measurement: digestAt(claims, 'measurement'),
    nonce: stringAt(claims['nonce'], 'nonce', NONCE, '32 bytes in base64url'),
    tls_key: digestAt(claims, 'tls_key'),
    models,
    iat: integerAt(claims['iat'], 'iat'),
  };
}

/** The shape that {@link parseEvidenceClaims} reads. */
export function evidenceClaimsToJson(claims: EvidenceClaims): JsonObject {
  const { format, simulated, measurement, nonce, tls_key, models, iat } = claims;
  return { format, simulated, measurement, nonce, tls_key, models: [...models], iat };
}

function digestAt(claims: JsonObject, name: string): Digest {
  const digest = claims[name];
  if (!isDigest(digest)) throw new ShapeError(name, 'not sha256: and 64 lowercase hexadecimal digits');
  return digest;
}
