/**
 * The JSON form of what the authority signs: state objects and heads. The authority writes it, a sidecar reads it;
 * times are milliseconds since the epoch. Reading is strict: a member too many is refused like one too few, because an
 * older sidecar that skipped a restriction it does not know would fail open.
 */
import { isSpiffeId, kindOf, parseTrustDomain, type SpiffeId, type TrustDomain } from './agent-id.ts';
import { BASELINE_STATES, type Baseline } from './baseline.ts';
import { callsToJson, readCalls } from './calls/call-pattern-json.ts';
import type { JsonObject, JsonValue } from './canonical/strict-json.ts';
import type { Grant } from './grant-policy.ts';
import { isHostPort } from './host-port.ts';
import { inferenceServiceToJson, readInferenceService } from './inference/service-json.ts';
import { arrayAt, choiceAt, integerAt, objectAt, ShapeError, stringAt } from './json-shape.ts';
import { digestTupleToJson, parseDigestTuple } from './measurement-json.ts';
import { ASSURANCES, DIMENSIONS, type Assurance, type DigestTuple, type Dimension } from './measurement.ts';
import { isMeshError, MeshError } from './mesh-error.ts';
import { LIFECYCLES, REVOCATION_KINDS } from './mesh-state.ts';
import type { AgentRecord, BundleDocument, Endpoint, Revocation, StateHead, StateObject } from './mesh-state.ts';

/** How a baseline says that the agent has nothing of a kind. Spelled out, because an empty value never means allow. */
export const NOT_APPLICABLE = 'not_applicable';

/** Objects under one head: far more than one agent's peers need, few enough to be held and hashed at once. */
const MAX_OBJECTS = 20_000;
const KINDS = ['agent', 'baseline', 'grant', 'revocation', 'inference_service', 'endpoint', 'bundle'] as const;
/** An object's id, as people choose it or as it is derived from names. */
const ID = /^[A-Za-z0-9][A-Za-z0-9._:/>@-]{0,255}$/;
const OPAQUE = /^[\x21-\x7e]{1,256}$/;
const REASON = /^[^\p{C}\p{Zl}\p{Zp}]{1,512}$/u;
const HEX_SHA256 = /^[0-9a-f]{64}$/;

export function isObjectId(text: unknown): text is string {
  return typeof text === 'string' && ID.test(text);
}

/** The form that {@link parseStateObject} reads. */
export function stateObjectToJson(object: StateObject): JsonObject {
  return { kind: object.kind, value: valueToJson(object) };
}

function valueToJson(object: StateObject): JsonObject {
  switch (object.kind) {
    case 'agent': {
      const { id, lifecycle, sponsor, observeUntil } = object.value;
      return { id, lifecycle, ...defined('sponsor', sponsor), ...defined('observe_until', observeUntil) };
    }
    case 'baseline':
      return baselineToJson(object.value);
    case 'grant': {
      const { id, from, to, calls } = object.value;
      return { id, from, to, ...defined('calls', calls && callsToJson(calls)) };
    }
    case 'revocation': {
      const { id, kind, subject, reason } = object.value;
      return { id, kind, subject, reason };
    }
    case 'inference_service':
      return inferenceServiceToJson(object.value);
    case 'endpoint': {
      const { agent, instance, address } = object.value;
      return { agent, instance, address };
    }
    case 'bundle':
      return { trust_domain: object.value.trustDomain, document: object.value.document };
  }
}

function baselineToJson(baseline: Baseline): JsonObject {
  const { id, agent, state, approvedAt, notBefore, notAfter, minimumAssurance, digests } = baseline;
  return {
    id,
    agent,
    state,
    approved_at: approvedAt,
    ...defined('not_before', notBefore),
    ...defined('not_after', notAfter),
    minimum_assurance: { ...minimumAssurance },
    digests: digestsToJson(digests),
  };
}

function digestsToJson(digests: DigestTuple): JsonObject {
  const tuple = digestTupleToJson(digests);
  return Object.fromEntries(DIMENSIONS.map((dimension) => [dimension, tuple[dimension] ?? NOT_APPLICABLE]));
}

/**
 * Reads one object from strictly parsed JSON.
 *
 * @throws MeshError `STATE_MALFORMED` naming the path
 */
export function parseStateObject(json: JsonValue): StateObject {
  return reading(() => {
    const object = objectAt(json, 'object', { required: ['kind', 'value'] });
    const kind = choiceAt(object['kind'], 'object.kind', KINDS);
    const value = object['value'];
    switch (kind) {
      case 'agent':
        return { kind, value: readAgent(value, kind) };
      case 'baseline':
        return { kind, value: readBaseline(value, kind) };
      case 'grant':
        return { kind, value: readGrant(value, kind) };
      case 'revocation':
        return { kind, value: readRevocation(value, kind) };
      case 'inference_service':
        return { kind, value: readInferenceService(value, kind) };
      case 'endpoint':
        return { kind, value: readEndpoint(value, kind) };
      case 'bundle':
        return { kind, value: readBundle(value, kind) };
    }
  });
}

function readAgent(json: JsonValue | undefined, path: string): AgentRecord {
  const object = objectAt(json, path, { required: ['id', 'lifecycle'], optional: ['sponsor', 'observe_until'] });
  const { sponsor, observe_until: observeUntil } = object;
  return {
    id: readAgentId(object['id'], `${path}.id`),
    lifecycle: choiceAt(object['lifecycle'], `${path}.lifecycle`, LIFECYCLES),
    ...(sponsor !== undefined && { sponsor: stringAt(sponsor, `${path}.sponsor`, OPAQUE, 'an opaque id') }),
    ...(observeUntil !== undefined && { observeUntil: integerAt(observeUntil, `${path}.observe_until`) }),
  };
}

function readBaseline(json: JsonValue | undefined, path: string): Baseline {
  const object = objectAt(json, path, {
    required: ['id', 'agent', 'state', 'approved_at', 'minimum_assurance', 'digests'],
    optional: ['not_before', 'not_after'],
  });
  const { not_before: notBefore, not_after: notAfter } = object;
  return {
    id: readId(object['id'], `${path}.id`),
    agent: readAgentId(object['agent'], `${path}.agent`),
    state: choiceAt(object['state'], `${path}.state`, BASELINE_STATES),
    approvedAt: integerAt(object['approved_at'], `${path}.approved_at`),
    ...(notBefore !== undefined && { notBefore: integerAt(notBefore, `${path}.not_before`) }),
    ...(notAfter !== undefined && { notAfter: integerAt(notAfter, `${path}.not_after`) }),
    minimumAssurance: readMinimumAssurance(object['minimum_assurance'], `${path}.minimum_assurance`),
    digests: readDigests(object['digests'], `${path}.digests`),
  };
}

function readMinimumAssurance(json: JsonValue | undefined, path: string): Record<Dimension, Assurance> {
  const object = objectAt(json, path, { required: DIMENSIONS });
  const entries = DIMENSIONS.map((dimension) => [
    dimension,
    choiceAt(object[dimension], `${path}.${dimension}`, ASSURANCES),
  ]);
  return Object.fromEntries(entries) as Record<Dimension, Assurance>;
}

/** `null`, which a token uses, is refused here: a baseline says `not_applicable` in so many words. */
function readDigests(json: JsonValue | undefined, path: string): DigestTuple {
  const object = objectAt(json, path, { required: DIMENSIONS });
  const entries = DIMENSIONS.map((dimension): [Dimension, JsonValue] => {
    const value = object[dimension];
    if (value === undefined || value === null)
      throw new ShapeError(`${path}.${dimension}`, `not digests or ${NOT_APPLICABLE}`);
    return [dimension, value === NOT_APPLICABLE ? null : value];
  });
  return parseDigestTuple(Object.fromEntries(entries), path);
}

function readGrant(json: JsonValue | undefined, path: string): Grant {
  const object = objectAt(json, path, { required: ['id', 'from', 'to'], optional: ['calls'] });
  const { calls } = object;
  return {
    id: readId(object['id'], `${path}.id`),
    from: readAgentId(object['from'], `${path}.from`),
    to: readAgentId(object['to'], `${path}.to`),
    ...(calls !== undefined && { calls: readCalls(calls, `${path}.calls`) }),
  };
}

function readRevocation(json: JsonValue | undefined, path: string): Revocation {
  const object = objectAt(json, path, { required: ['id', 'kind', 'subject', 'reason'] });
  const kind = choiceAt(object['kind'], `${path}.kind`, REVOCATION_KINDS);
  const subject = object['subject'];
  return {
    id: readId(object['id'], `${path}.id`),
    kind,
    subject:
      kind === 'agent'
        ? readAgentId(subject, `${path}.subject`)
        : stringAt(subject, `${path}.subject`, OPAQUE, 'an instance id or a certificate thumbprint'),
    reason: stringAt(object['reason'], `${path}.reason`, REASON, '1 to 512 printable characters'),
  };
}

function readEndpoint(json: JsonValue | undefined, path: string): Endpoint {
  const object = objectAt(json, path, { required: ['agent', 'instance', 'address'] });
  const address = object['address'];
  if (!isHostPort(address)) throw new ShapeError(`${path}.address`, 'not host:port');
  return {
    agent: readAgentId(object['agent'], `${path}.agent`),
    instance: stringAt(object['instance'], `${path}.instance`, OPAQUE, 'an instance id'),
    address,
  };
}

function readBundle(json: JsonValue | undefined, path: string): BundleDocument {
  const object = objectAt(json, path, { required: ['trust_domain', 'document'] });
  return {
    trustDomain: readTrustDomain(object['trust_domain'], `${path}.trust_domain`),
    document: objectAt(object['document'], `${path}.document`, { required: ['keys'], unknown: 'ignore' }),
  };
}

/** The form that {@link parseStateHead} reads. */
export function stateHeadToJson(head: StateHead): JsonObject {
  const { domain, recipient, epoch, revision, content, previous, issuedAt, notAfter, objects } = head;
  return {
    domain,
    recipient,
    epoch,
    revision,
    content,
    previous: previous && { revision: previous.revision, content: previous.content },
    issued_at: issuedAt,
    not_after: notAfter,
    objects,
  };
}

/**
 * Reads a head from strictly parsed JSON. The list of objects must be sorted and free of duplicates, so that one set
 * has one spelling.
 *
 * @throws MeshError `STATE_MALFORMED` naming the path
 */
export function parseStateHead(json: JsonValue): StateHead {
  return reading(() => {
    const object = objectAt(json, 'head', {
      required: [
        'domain',
        'recipient',
        'epoch',
        'revision',
        'content',
        'previous',
        'issued_at',
        'not_after',
        'objects',
      ],
    });
    const objects = arrayAt(object['objects'], 'head.objects', { min: 1, max: MAX_OBJECTS }).map((digest, index) =>
      stringAt(digest, `head.objects[${index}]`, HEX_SHA256, 'a SHA-256 in lowercase hexadecimal'),
    );
    const unsorted = objects.findIndex((digest, index) => index > 0 && (objects[index - 1] ?? '') >= digest);
    if (unsorted !== -1) throw new ShapeError(`head.objects[${unsorted}]`, 'not sorted, or twice there');
    return {
      domain: readTrustDomain(object['domain'], 'head.domain'),
      recipient: readAgentId(object['recipient'], 'head.recipient'),
      epoch: integerAt(object['epoch'], 'head.epoch', { min: 1 }),
      revision: integerAt(object['revision'], 'head.revision', { min: 1 }),
      content: readContent(object['content'], 'head.content'),
      previous: readPrevious(object['previous']),
      issuedAt: integerAt(object['issued_at'], 'head.issued_at'),
      notAfter: integerAt(object['not_after'], 'head.not_after'),
      objects,
    };
  });
}

function readPrevious(json: JsonValue | undefined): StateHead['previous'] {
  if (json === null) return null;
  const object = objectAt(json, 'head.previous', { required: ['revision', 'content'] });
  return {
    revision: integerAt(object['revision'], 'head.previous.revision', { min: 1 }),
    content: readContent(object['content'], 'head.previous.content'),
  };
}

function readContent(json: JsonValue | undefined, path: string): string {
  return stringAt(json, path, HEX_SHA256, 'a SHA-256 in lowercase hexadecimal');
}

function readId(json: JsonValue | undefined, path: string): string {
  return stringAt(json, path, ID, 'an id of letters, digits and . _ : / > @ -, at most 256');
}

function readAgentId(json: JsonValue | undefined, path: string): SpiffeId {
  if (!isSpiffeId(json) || kindOf(json) !== 'agent') throw new ShapeError(path, "not an agent's SPIFFE ID");
  return json;
}

function readTrustDomain(json: JsonValue | undefined, path: string): TrustDomain {
  try {
    return parseTrustDomain(typeof json === 'string' ? json : '');
  } catch {
    throw new ShapeError(path, 'not a trust domain');
  }
}

function defined(name: string, value: JsonValue | undefined): JsonObject {
  return value === undefined ? {} : { [name]: value };
}

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof ShapeError || isMeshError(cause, 'MEASUREMENT_MALFORMED')) {
      throw new MeshError('STATE_MALFORMED', cause.message, { cause });
    }
    throw cause;
  }
}
