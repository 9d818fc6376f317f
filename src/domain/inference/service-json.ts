import { isSpiffeId, kindOf, type SpiffeId } from '../agent-id.ts';
import { isDigest, type Digest } from '../canonical/digest.ts';
import type { JsonObject, JsonValue } from '../canonical/strict-json.ts';
import { arrayAt, objectAt, ShapeError } from '../json-shape.ts';
import type { InferenceService } from './evidence.ts';

/** Far more than one service has in force at once. */
const MAX_DIGESTS = 256;
const MAX_AGENTS = 10_000;

/** The form that {@link readInferenceService} reads. */
export function inferenceServiceToJson(service: InferenceService): JsonObject {
  const { id, agents, measurements, evidenceRoots, acceptSimulatedEvidence } = service;
  return {
    id,
    agents: [...agents],
    measurements: [...measurements],
    evidence_roots: [...evidenceRoots],
    accept_simulated_evidence: acceptSimulatedEvidence,
  };
}

/**
 * Reads an inference service from strictly parsed JSON. An empty list of agents, measurements or roots is refused: it
 * could be taken for "all".
 *
 * @throws ShapeError
 */
export function readInferenceService(json: JsonValue | undefined, path: string): InferenceService {
  const object = objectAt(json, path, {
    required: ['id', 'agents', 'measurements', 'evidence_roots', 'accept_simulated_evidence'],
  });
  const accepts = object['accept_simulated_evidence'];
  if (typeof accepts !== 'boolean') throw new ShapeError(`${path}.accept_simulated_evidence`, 'not true or false');
  return {
    id: idAt(object['id'], `${path}.id`, 'inference'),
    agents: arrayAt(object['agents'], `${path}.agents`, { min: 1, max: MAX_AGENTS }).map((agent, index) =>
      idAt(agent, `${path}.agents[${index}]`, 'agent'),
    ),
    measurements: digestsAt(object['measurements'], `${path}.measurements`),
    evidenceRoots: digestsAt(object['evidence_roots'], `${path}.evidence_roots`),
    acceptSimulatedEvidence: accepts,
  };
}

function idAt(json: JsonValue | undefined, path: string, kind: 'agent' | 'inference'): SpiffeId {
  if (!isSpiffeId(json) || kindOf(json) !== kind) throw new ShapeError(path, `not the SPIFFE ID of an ${kind}`);
  return json;
}

function digestsAt(json: JsonValue | undefined, path: string): Digest[] {
  return arrayAt(json, path, { min: 1, max: MAX_DIGESTS }).map((digest, index) => {
    if (!isDigest(digest)) throw new ShapeError(`${path}[${index}]`, 'not sha256: and 64 lowercase hexadecimal digits');
    return digest;
  });
}
