import { inferenceId, type SpiffeId } from '../../domain/agent-id.ts';
import { isDigest, type Digest } from '../../domain/canonical/digest.ts';
import type { InferenceService } from '../../domain/inference/evidence.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import type { PolicyFields } from './policy-fields.ts';

const MEMBERS = [
  'kind',
  'id',
  'state',
  'agents',
  'measurements',
  'evidence_roots',
  'accept_simulated_evidence',
] as const;

/** Reads `kind: InferenceService`; what is wrong is noted in the fields. */
export function readInferenceServiceFields(
  fields: PolicyFields,
): { readonly value: InferenceService; readonly withdrawn: boolean } | undefined {
  fields.mapping([], MEMBERS);
  const id = readServiceId(fields);
  const withdrawn = fields.has(['state']) && fields.choice(['state'], ['active', 'withdrawn']) === 'withdrawn';
  const agents = listAt(fields, 'agents', (path) => fields.agent(path));
  const measurements = listAt(fields, 'measurements', (path) => readDigest(fields, path));
  const evidenceRoots = listAt(fields, 'evidence_roots', (path) => readDigest(fields, path));
  const simulated = fields.at(['accept_simulated_evidence']) ?? false;
  if (typeof simulated !== 'boolean') {
    return fields.problem(['accept_simulated_evidence'], 'is not true or false');
  }
  if (id === undefined || !fields.ok) return undefined;
  return { value: { id, agents, measurements, evidenceRoots, acceptSimulatedEvidence: simulated }, withdrawn };
}

function readServiceId(fields: PolicyFields): SpiffeId | undefined {
  const name = fields.text(['id']);
  if (name === undefined) return undefined;
  const own = `spiffe://${fields.trustDomain}/inference/`;
  try {
    return inferenceId(fields.trustDomain, name.startsWith(own) ? name.slice(own.length) : name);
  } catch (error) {
    if (!isMeshError(error, 'SPIFFE_ID_INVALID')) throw error;
    return fields.problem(['id'], `is not the name of an inference service of ${fields.trustDomain}: ${error.message}`);
  }
}

/** A list with at least one member, each once. What is not one is noted; so is every member that is wrong. */
function listAt<T>(
  fields: PolicyFields,
  name: string,
  read: (path: readonly [string, number]) => T | undefined,
): readonly T[] {
  const listed = fields.at([name]);
  if (!Array.isArray(listed)) {
    fields.problem([name], listed === undefined ? 'is missing' : 'is not a list');
    return [];
  }
  if (listed.length === 0) fields.problem([name], 'is an empty list, and so approves nothing');
  const members = new Set<T>();
  listed.forEach((_, index) => {
    const member = read([name, index]);
    if (member === undefined) return;
    if (members.has(member)) fields.problem([name, index], 'stands there twice');
    members.add(member);
  });
  return [...members];
}

function readDigest(fields: PolicyFields, path: readonly [string, number]): Digest | undefined {
  const text = fields.text(path);
  if (text === undefined || isDigest(text)) return text;
  return fields.problem(path, 'is not sha256: and 64 lowercase hexadecimal digits, as `ait inference describe` prints');
}
