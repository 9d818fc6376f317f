import { resolveAgentId, trustDomainOf, type SpiffeId, type TrustDomain } from '../../domain/agent-id.ts';
import { MAX_CALL_PATTERNS, readCallPattern, type CallPattern } from '../../domain/calls/call-pattern.ts';
import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';
import { arrayAt, choiceAt, flagAt, objectAt, ShapeError, stringAt } from '../../domain/json-shape.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import { REVOCATION_KINDS, type RevocationKind } from '../../domain/mesh-state.ts';
import { isObjectId } from '../../domain/state-objects.ts';

/** What operators can say. */
export type OperatorChange =
  | { readonly action: 'approve_baseline'; readonly text: string; readonly force: boolean }
  | { readonly action: 'set_baseline_state'; readonly id: string; readonly state: 'retired' | 'revoked' }
  /** `calls`: these besides what is permitted already; `undefined`: every call. */
  | {
      readonly action: 'add_grant';
      readonly from: SpiffeId;
      readonly to: SpiffeId;
      readonly calls: readonly CallPattern[] | undefined;
    }
  /** Of what is permitted, these calls only. */
  | {
      readonly action: 'limit_grant';
      readonly from: SpiffeId;
      readonly to: SpiffeId;
      readonly calls: readonly CallPattern[];
    }
  | { readonly action: 'withdraw_grant'; readonly from: SpiffeId; readonly to: SpiffeId }
  | { readonly action: 'register_agent'; readonly agent: SpiffeId; readonly sponsor: Sponsor }
  | {
      readonly action: 'set_lifecycle';
      readonly agent: SpiffeId;
      readonly lifecycle: 'active' | 'suspended' | 'retired';
    }
  /** `until` in milliseconds since the epoch; `undefined`: no longer. */
  | {
      readonly action: 'observe';
      readonly agent: SpiffeId;
      readonly until: number | undefined;
      readonly reason: string | undefined;
    }
  | {
      readonly action: 'revoke';
      readonly kind: RevocationKind;
      readonly subject: string;
      readonly reason: string | undefined;
    };

export interface Sponsor {
  readonly id: string;
  readonly name: string | undefined;
  readonly email: string | undefined;
}

const ACTIONS = [
  'approve_baseline',
  'set_baseline_state',
  'add_grant',
  'limit_grant',
  'withdraw_grant',
  'register_agent',
  'set_lifecycle',
  'observe',
  'revoke',
] as const satisfies readonly OperatorChange['action'][];
const MAX_CHANGES = 100;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;
const OPAQUE = /^[\x21-\x7e]{1,256}$/;
const TEXT = /^[^\p{C}\p{Zl}\p{Zp}]{1,512}$/u;
const DOCUMENT = /^[^]{1,262144}$/;

/**
 * Reads the changes of a request. All or nothing: one that cannot be read refuses them all.
 *
 * @throws ShapeError naming the field
 */
export function parseOperatorChanges(json: JsonValue | undefined, trustDomain: TrustDomain): readonly OperatorChange[] {
  return arrayAt(json, 'changes', { min: 1, max: MAX_CHANGES }).map((each, index) =>
    readChange(each, `changes[${index}]`, trustDomain),
  );
}

function readChange(json: JsonValue, path: string, trustDomain: TrustDomain): OperatorChange {
  const { action: given } = objectAt(json, path, { required: ['action'], unknown: 'ignore' });
  const action = choiceAt(given, `${path}.action`, ACTIONS);
  const members = (required: readonly string[], optional: readonly string[] = []): JsonObject =>
    objectAt(json, path, { required: ['action', ...required], optional });
  const agentAt = (object: JsonObject, name: string, own = true) =>
    readAgent(object[name], `${path}.${name}`, own ? trustDomain : undefined, trustDomain);
  const pairAt = (object: JsonObject) => {
    const [from, to] = [agentAt(object, 'from', false), agentAt(object, 'to', false)];
    if (from === to) throw new ShapeError(`${path}.to`, 'the calling agent itself');
    if (![from, to].some((end) => trustDomainOf(end) === trustDomain)) {
      throw new ShapeError(path, `neither side is of the trust domain ${trustDomain}`);
    }
    return { from, to };
  };
  const textAt = (value: JsonValue | undefined, name: string) =>
    value === undefined ? undefined : stringAt(value, `${path}.${name}`, TEXT, '1 to 512 printable characters');

  switch (action) {
    case 'approve_baseline': {
      const object = members(['text'], ['force']);
      const text = stringAt(object['text'], `${path}.text`, DOCUMENT, 'a text of at most 262144 characters');
      return { action, text, force: flagAt(object['force'], `${path}.force`) };
    }
    case 'set_baseline_state': {
      const object = members(['id', 'state']);
      const id = object['id'];
      if (!isObjectId(id)) throw new ShapeError(`${path}.id`, 'not the id of a baseline');
      return { action, id, state: choiceAt(object['state'], `${path}.state`, ['retired', 'revoked']) };
    }
    case 'add_grant': {
      const object = members(['from', 'to'], ['calls']);
      const calls = object['calls'] === undefined ? undefined : readCalls(object['calls'], `${path}.calls`);
      return { action, ...pairAt(object), calls };
    }
    case 'limit_grant': {
      const object = members(['from', 'to', 'calls']);
      return { action, ...pairAt(object), calls: readCalls(object['calls'], `${path}.calls`) };
    }
    case 'withdraw_grant':
      return { action, ...pairAt(members(['from', 'to'])) };
    case 'register_agent': {
      const object = members(['agent', 'sponsor']);
      const sponsor = objectAt(object['sponsor'], `${path}.sponsor`, { required: ['id'], optional: ['name', 'email'] });
      return {
        action,
        agent: agentAt(object, 'agent'),
        sponsor: {
          id: stringAt(sponsor['id'], `${path}.sponsor.id`, OPAQUE, 'an id without spaces'),
          name: textAt(sponsor['name'], 'sponsor.name'),
          email: textAt(sponsor['email'], 'sponsor.email'),
        },
      };
    }
    case 'set_lifecycle': {
      const object = members(['agent', 'lifecycle']);
      const lifecycle = choiceAt(object['lifecycle'], `${path}.lifecycle`, ['active', 'suspended', 'retired']);
      return { action, agent: agentAt(object, 'agent'), lifecycle };
    }
    case 'observe': {
      const object = members(['agent', 'until'], ['reason']);
      const until = object['until'] === null ? undefined : readTime(object['until'], `${path}.until`);
      return { action, agent: agentAt(object, 'agent'), until, reason: textAt(object['reason'], 'reason') };
    }
    case 'revoke': {
      const object = members(['kind', 'subject'], ['reason']);
      const kind = choiceAt(object['kind'], `${path}.kind`, REVOCATION_KINDS);
      const subject =
        kind === 'agent'
          ? agentAt(object, 'subject')
          : stringAt(object['subject'], `${path}.subject`, OPAQUE, 'an instance id or a certificate thumbprint');
      return { action, kind, subject, reason: textAt(object['reason'], 'reason') };
    }
  }
}

function readCalls(json: JsonValue | undefined, path: string): readonly CallPattern[] {
  return arrayAt(json, path, { min: 1, max: MAX_CALL_PATTERNS }).map((each, index, all) => {
    const reading = readCallPattern(stringAt(each, `${path}[${index}]`, TEXT, '1 to 512 printable characters'));
    if (all.indexOf(each) !== index) throw new ShapeError(`${path}[${index}]`, 'it stands in the list twice');
    if (!reading.ok) throw new ShapeError(`${path}[${index}]`, `it ${reading.problem}`);
    return reading.pattern;
  });
}

function readAgent(
  json: JsonValue | undefined,
  path: string,
  only: TrustDomain | undefined,
  trustDomain: TrustDomain,
): SpiffeId {
  const text = stringAt(json, path, /^[^\s]{1,2048}$/, 'the name of an agent');
  let id: SpiffeId;
  try {
    id = resolveAgentId(trustDomain, text);
  } catch (error) {
    if (!isMeshError(error, 'SPIFFE_ID_INVALID')) throw error;
    throw new ShapeError(path, `not the name of an agent: ${error.message}`);
  }
  if (only !== undefined && trustDomainOf(id) !== only) throw new ShapeError(path, `not of the trust domain ${only}`);
  return id;
}

function readTime(json: JsonValue | undefined, path: string): number {
  const text = stringAt(json, path, TIME, 'a time like 2026-01-31T12:00:00Z, nor null');
  const at = Date.parse(text);
  if (Number.isNaN(at) || at < 0) throw new ShapeError(path, 'not a time like 2026-01-31T12:00:00Z, nor null');
  return at;
}
