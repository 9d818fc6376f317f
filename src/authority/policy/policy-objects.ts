import { agentNameOf, trustDomainOf, type SpiffeId, type TrustDomain } from '../../domain/agent-id.ts';
import { BASELINE_STATES } from '../../domain/baseline.ts';
import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';
import { ShapeError } from '../../domain/json-shape.ts';
import { parseDigestTuple } from '../../domain/measurement-json.ts';
import { ASSURANCES, DIMENSIONS, type Assurance, type DigestTuple, type Dimension } from '../../domain/measurement.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import { LIFECYCLES, REVOCATION_KINDS, type StateObject } from '../../domain/mesh-state.ts';
import { isObjectId, NOT_APPLICABLE } from '../../domain/state-objects.ts';
import { readCallFields } from './call-fields.ts';
import { readInferenceServiceFields } from './inference-service-fields.ts';
import { PolicyFields } from './policy-fields.ts';
import { parseFieldText, readYamlFile, type PolicyProblem } from './policy-yaml.ts';

/** Kinds of state that people decide on. */
export type PolicyKind = 'agent' | 'baseline' | 'grant' | 'revocation' | 'inference_service';

/** One object that a file puts in force, and where it says so. */
export interface PolicyRecord {
  /** Unique among all files: kind and id. */
  readonly key: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly object: Extract<StateObject, { kind: PolicyKind }>;
  /** Only a grant or an inference service: its file said `state: withdrawn`. */
  readonly withdrawn: boolean;
  /** Only a grant: what its file would list it under; see `policy-registry.ts`. */
  readonly group: string;
  /** What people want to know and sidecars do not get: the sponsor's name, who approved, why observed. */
  readonly note: JsonObject;
  /** Who put it in force through the authority; `file` is empty then. `undefined`: a file did. */
  readonly operator?: string;
}

/** Where an object comes from, as people read it: `agents/planner.yaml:3`, or `operator ada`. */
export function sourceOf({ file, line, operator }: PolicyRecord): string {
  return operator === undefined ? `${file}:${line}` : `operator ${operator}`;
}

/** What one file says now. */
export interface PolicyFile {
  readonly file: string;
  /** Empty when any of the problems is an error: a file counts as a whole. */
  readonly records: readonly PolicyRecord[];
  readonly problems: readonly PolicyProblem[];
  /** It has no document at all. */
  readonly empty: boolean;
  /** It does not end with a line break: it may be half of what is being written. */
  readonly cutOff?: boolean;
  /** It was not asked what it says now, and counts as saying what it said before. */
  readonly setAside?: true;
}

const KINDS = ['Agent', 'Baseline', 'Grant', 'Revocation', 'InferenceService'] as const;
const OPAQUE = /^[\x21-\x7e]{1,256}$/;

/** Reads one file of the policy directory, finding all problems at once. Never throws for what is in the file. */
export function readPolicyFile(file: string, text: string, trustDomain: TrustDomain): PolicyFile {
  const { documents, problems: syntax } = readYamlFile(file, text);
  const problems = [...syntax];
  const records: PolicyRecord[] = [];
  for (const document of documents) {
    const fields = new PolicyFields({ file, trustDomain, document });
    const found = readDocument(fields);
    problems.push(...fields.problems);
    if (fields.ok) records.push(...found);
  }
  const keys = new Set<string>();
  for (const { key, line, column } of records) {
    if (keys.has(key)) {
      problems.push({
        severity: 'error',
        file,
        line,
        column,
        field: 'id',
        message: `${key} stands in this file twice`,
      });
    }
    keys.add(key);
  }
  const broken = problems.some(({ severity }) => severity === 'error');
  const empty = documents.length === 0 && syntax.length === 0;
  return { file, records: broken ? [] : records, problems, empty, cutOff: !text.endsWith('\n') };
}

function readDocument(fields: PolicyFields): PolicyRecord[] {
  switch (fields.choice(['kind'], KINDS)) {
    case 'Agent':
      return readAgent(fields);
    case 'Baseline':
      return readBaseline(fields);
    case 'Grant':
      return readGrants(fields);
    case 'Revocation':
      return readRevocation(fields);
    case 'InferenceService':
      return readInferenceService(fields);
    case undefined:
      return [];
  }
}

function readAgent(fields: PolicyFields): PolicyRecord[] {
  fields.mapping([], ['kind', 'id', 'lifecycle', 'sponsor', 'observe']);
  const id = fields.agent(['id']);
  const lifecycle = fields.choice(['lifecycle'], LIFECYCLES);
  const note: Record<string, JsonValue> = {};
  let sponsor: string | undefined;
  if (fields.has(['sponsor'])) {
    fields.mapping(['sponsor'], ['id', 'name', 'email']);
    sponsor = fields.text(['sponsor', 'id'], OPAQUE, 'an id without spaces');
    for (const name of ['name', 'email']) {
      if (fields.has(['sponsor', name])) note[`sponsor_${name}`] = fields.text(['sponsor', name]) ?? null;
    }
  } else {
    fields.problem([], 'has no sponsor: nobody answers for this agent, so it is admitted nowhere', 'warning');
  }
  let observeUntil: number | undefined;
  if (fields.has(['observe'])) {
    fields.mapping(['observe'], ['until', 'reason']);
    observeUntil = fields.time(['observe', 'until']);
    note['observe_reason'] = fields.text(['observe', 'reason']) ?? null;
  }
  if (id === undefined || lifecycle === undefined || !fields.ok) return [];
  const value = {
    id,
    lifecycle,
    ...(sponsor !== undefined && { sponsor }),
    ...(observeUntil !== undefined && { observeUntil }),
  };
  return [record(fields, { kind: 'agent', value }, { note })];
}

function readBaseline(fields: PolicyFields): PolicyRecord[] {
  const optional = ['not_before', 'not_after', 'minimum_assurance'];
  fields.mapping([], ['kind', 'id', 'agent', 'state', 'approved_by', 'approved_at', ...optional, 'digests']);
  const id = readId(fields);
  const agent = fields.agent(['agent']);
  const state = fields.choice(['state'], BASELINE_STATES);
  const approvedBy = fields.text(['approved_by']);
  const approvedAt = fields.time(['approved_at']);
  const notBefore = fields.has(['not_before']) ? fields.time(['not_before']) : undefined;
  const notAfter = fields.has(['not_after']) ? fields.time(['not_after']) : undefined;
  if (notBefore !== undefined && notAfter !== undefined && notAfter <= notBefore) {
    fields.problem(['not_after'], 'is not after not_before, so the baseline would never be in force');
  }
  const minimumAssurance = readMinimumAssurance(fields);
  const digests = readDigests(fields);
  if (id === undefined || agent === undefined || state === undefined || approvedAt === undefined) return [];
  if (digests === undefined || approvedBy === undefined || !fields.ok) return [];
  const value = {
    id,
    agent,
    state,
    approvedAt,
    minimumAssurance,
    digests,
    ...(notBefore !== undefined && { notBefore }),
    ...(notAfter !== undefined && { notAfter }),
  };
  return [record(fields, { kind: 'baseline', value }, { note: { approved_by: approvedBy } })];
}

function readMinimumAssurance(fields: PolicyFields): Record<Dimension, Assurance> {
  const path = 'minimum_assurance';
  if (fields.has([path])) fields.mapping([path], DIMENSIONS);
  const entries = DIMENSIONS.map((dimension) => {
    const given = fields.has([path, dimension]) ? fields.choice([path, dimension], ASSURANCES) : undefined;
    return [dimension, given ?? 'declared'];
  });
  return Object.fromEntries(entries) as Record<Dimension, Assurance>;
}

/** Each dimension alone, so that the problems of all of them are found. */
function readDigests(fields: PolicyFields): DigestTuple | undefined {
  if (fields.mapping(['digests'], DIMENSIONS) === undefined) return undefined;
  let tuple: DigestTuple = { system_prompt: null, knowledge_base: null, model: null, tools: null };
  for (const dimension of DIMENSIONS) {
    const value = fields.at(['digests', dimension]);
    if (value === NOT_APPLICABLE) continue;
    if (value === undefined || value === null) {
      fields.problem(
        ['digests', dimension],
        `is missing; an agent that has nothing of the kind says ${NOT_APPLICABLE}`,
      );
      continue;
    }
    try {
      const others = { system_prompt: null, knowledge_base: null, model: null, tools: null };
      const read = parseDigestTuple({ ...others, [dimension]: value as JsonValue }, 'digests');
      tuple = { ...tuple, [dimension]: read[dimension] };
    } catch (error) {
      if (!isMeshError(error) || !(error.cause instanceof ShapeError)) throw error;
      const { path, message } = error.cause;
      fields.problem(parseFieldText(path), message.slice(path.length + 2));
    }
  }
  if (DIMENSIONS.every((dimension) => fields.at(['digests', dimension]) === NOT_APPLICABLE)) {
    fields.problem(['digests'], `approves nothing: every dimension is ${NOT_APPLICABLE}`);
  }
  return tuple;
}

function readGrants(fields: PolicyFields): PolicyRecord[] {
  fields.mapping([], ['kind', 'id', 'from', 'to', 'state', 'calls']);
  const calls = readCallFields(fields);
  const from = fields.agent(['from'], { own: false });
  const listed = fields.at(['to']);
  const paths = Array.isArray(listed) ? listed.map((_, index) => ['to', index] as const) : [['to'] as const];
  if (paths.length === 0) fields.problem(['to'], 'is an empty list, and so grants nothing');
  const withdrawn = fields.has(['state']) && fields.choice(['state'], ['active', 'withdrawn']) === 'withdrawn';
  const id = fields.has(['id']) ? readId(fields) : undefined;
  const records: PolicyRecord[] = [];
  for (const path of paths) {
    const to = fields.agent(path, { own: false });
    if (from === undefined || to === undefined) continue;
    if (from === to) fields.problem(path, 'is the calling agent itself');
    if (![from, to].some((end) => trustDomainOf(end) === fields.trustDomain)) {
      fields.problem(path, `neither side is of the trust domain ${fields.trustDomain}`);
    }
    const name = nameIn(fields, to);
    const own = id === undefined ? `${nameIn(fields, from)}>${name}` : paths.length > 1 ? `${id}:${name}` : id;
    if (!isObjectId(own)) fields.problem(path, 'makes an id that is too long; give the grant an id');
    const value = { id: own, from, to, ...(calls !== undefined && { calls }) };
    records.push(record(fields, { kind: 'grant', value }, { withdrawn, group: id ?? from }));
  }
  return records;
}

function readRevocation(fields: PolicyFields): PolicyRecord[] {
  fields.mapping([], ['kind', 'id', ...REVOCATION_KINDS, 'reason']);
  const id = readId(fields);
  const reason = fields.text(['reason']);
  const kinds = REVOCATION_KINDS.filter((kind) => fields.has([kind]));
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    fields.problem([], `must name exactly one of: ${REVOCATION_KINDS.join(', ')}`);
    return [];
  }
  const subject =
    kind === 'agent' ? fields.agent([kind]) : fields.text([kind], OPAQUE, 'an instance id or a thumbprint');
  if (id === undefined || reason === undefined || subject === undefined || !fields.ok) return [];
  return [record(fields, { kind: 'revocation', value: { id, kind, subject, reason } }, {})];
}

function readInferenceService(fields: PolicyFields): PolicyRecord[] {
  const read = readInferenceServiceFields(fields);
  if (read === undefined) return [];
  const { value, withdrawn } = read;
  return [record(fields, { kind: 'inference_service', value }, { withdrawn })];
}

function readId(fields: PolicyFields): string | undefined {
  const id = fields.text(['id']);
  if (id === undefined || isObjectId(id)) return id;
  return fields.problem(['id'], 'is not an id of letters, digits and . _ : / > @ -, at most 256');
}

/** Short inside our own trust domain, whole for an agent of another. */
function nameIn(fields: PolicyFields, id: SpiffeId): string {
  return trustDomainOf(id) === fields.trustDomain ? agentNameOf(id) : id;
}

function record(
  fields: PolicyFields,
  object: PolicyRecord['object'],
  { withdrawn = false, group = '', note = {} }: Partial<Pick<PolicyRecord, 'withdrawn' | 'group' | 'note'>>,
): PolicyRecord {
  const key = `${object.kind} ${object.value.id}`;
  return { key, file: fields.file, ...fields.start, object, withdrawn, group, note };
}
