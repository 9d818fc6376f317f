import { inferenceId, resolveAgentId, trustDomainOf, type SpiffeId, type TrustDomain } from '../../domain/agent-id.ts';
import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';
import { parseDuration } from '../../domain/duration.ts';
import { isHostPort } from '../../domain/host-port.ts';
import { joinCredentialToText } from '../../domain/join-credential.ts';
import { integerAt, objectAt, ShapeError, stringAt } from '../../domain/json-shape.ts';
import type { AdminAnswer, AdminBody, AdminRoutes } from '../../platform/admin-socket.ts';
import type { Logger } from '../../platform/logger.ts';
import type { AdminViews } from './admin-views.ts';
import { keyRoutes } from './key-routes.ts';
import type { Clock } from '../../platform/clock.ts';
import type { KeyRotation } from '../keys/key-rotation.ts';
import type { CredentialRecord, CredentialUses, JoinCredentials } from '../membership/join-credentials.ts';
import type { DecisionLog } from '../reports/decision-log.ts';

const DEFAULT_USES = 100;
const DEFAULT_EXPIRES = '30d';
const DEFAULT_DECISIONS = 200;
const MAX_DECISIONS = 1_000;
const MAX_LIFETIME_MS = 366 * 86_400_000;

export interface AuthorityAdminDeps {
  readonly trustDomain: TrustDomain;
  readonly credentials: JoinCredentials;
  /** The root that a new credential pins. */
  readonly rootSha256: () => string;
  readonly rotation: KeyRotation;
  /** What a new credential points to: `host:port`. */
  readonly advertised: () => string;
  readonly views: AdminViews;
  readonly decisions: Pick<DecisionLog, 'find'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What an operator can ask the authority. `POST /join-credentials` takes `{agent, uses?, expires?, authority?}`, or
 * `inference` with the name of a service in place of `agent`;
 * `GET /join-credentials?agent=` tells all of them but their secrets.
 */
export function authorityAdminRoutes(deps: AuthorityAdminDeps): AdminRoutes {
  const { views, decisions, trustDomain } = deps;
  return {
    'GET /status': () => ({ body: views.status() }),
    'GET /agents': () => ({ body: views.agents() }),
    'GET /instances': ({ query }) => {
      return { body: views.instances({ agent: agentIn(query, trustDomain), id: query.get('id') ?? undefined }) };
    },
    'GET /sessions': ({ query }) => ({ body: views.sessions(agentIn(query, trustDomain)) }),
    'GET /decisions': async ({ query }) => {
      const [id, agent] = [query.get('id') ?? undefined, agentIn(query, trustDomain)];
      const limit = limitIn(query);
      return { body: await decisions.find({ correlationId: id, agent, limit }) };
    },
    'GET /policy-problems': () => ({ body: views.policyProblems() }),
    'GET /join-credentials': async ({ query }) => ({ body: await listCredentials(agentIn(query, trustDomain), deps) }),
    'POST /join-credentials': ({ body }) => createCredential(body, deps),
    ...keyRoutes(deps),
  };
}

async function createCredential(body: AdminBody, deps: AuthorityAdminDeps): Promise<AdminAnswer> {
  const { credentials, trustDomain, advertised, logger } = deps;
  const { subject, uses, lifetimeMs, authority } = readRequest(body, trustDomain, advertised());
  const { id, secret, expiresAt } = await credentials.create({ agent: subject, uses, lifetimeMs });
  const expires = new Date(expiresAt).toISOString();
  logger.info('join_credential_created', { agent: subject, credential_id: id, uses, expires_at: expires });
  const rootSha256 = deps.rootSha256();
  const credential = joinCredentialToText({ trustDomain, subject, id, secret, rootSha256, authority, expiresAt });
  return { status: 201, body: { id, agent: subject, uses, expires_at: expires, authority, credential } };
}

/** The agent that a query names, by name or SPIFFE ID. */
function agentIn(query: URLSearchParams, trustDomain: TrustDomain): SpiffeId | undefined {
  const agent = query.get('agent');
  return agent === null ? undefined : resolveAgentId(trustDomain, agent);
}

function limitIn(query: URLSearchParams): number {
  const limit = Number(query.get('limit') ?? DEFAULT_DECISIONS);
  return integerAt(limit, 'limit', { min: 1, max: MAX_DECISIONS });
}

async function listCredentials(wanted: SpiffeId | undefined, deps: AuthorityAdminDeps): Promise<object[]> {
  const { credentials, clock } = deps;
  const all = await credentials.list();
  return all.flatMap((record) => {
    if (wanted !== undefined && record.agent !== wanted) return [];
    const { id, uses, usesLeft, expiresAt } = record;
    const state = credentialState(record, clock.now());
    const expires = new Date(expiresAt).toISOString();
    return [{ id, agent: record.agent, state, uses, uses_left: usesLeft, expires_at: expires }];
  });
}

function credentialState({ usesLeft, expiresAt }: CredentialRecord, now: number): 'usable' | 'expired' | 'used_up' {
  if (now >= expiresAt) return 'expired';
  return usesLeft === 0 ? 'used_up' : 'usable';
}

interface CredentialRequest {
  readonly subject: SpiffeId;
  readonly uses: CredentialUses;
  readonly lifetimeMs: number;
  readonly authority: string;
}

function readRequest(body: AdminBody, trustDomain: TrustDomain, advertised: string): CredentialRequest {
  const object = objectAt(body ?? {}, 'request', {
    required: [],
    optional: ['agent', 'inference', 'uses', 'expires', 'authority'],
  });
  const subject = readSubject(object, trustDomain);
  const expires = stringAt(object['expires'] ?? DEFAULT_EXPIRES, 'expires', /^.{1,16}$/, 'a duration');
  const lifetimeMs = parseDuration(expires);
  if (lifetimeMs < 1 || lifetimeMs > MAX_LIFETIME_MS) throw new ShapeError('expires', 'not from 1ms to 366d');
  const authority: JsonValue = object['authority'] ?? advertised;
  if (!isHostPort(authority)) throw new ShapeError('authority', 'not host:port');
  const uses: JsonValue = object['uses'] ?? DEFAULT_USES;
  return {
    subject,
    uses: uses === 'unlimited' ? uses : integerAt(uses, 'uses', { min: 1, max: 1_000_000 }),
    lifetimeMs,
    authority,
  };
}

/** One agent or one inference service: a credential is for exactly one identity. */
function readSubject({ agent, inference }: JsonObject, trustDomain: TrustDomain): SpiffeId {
  if ((agent === undefined) === (inference === undefined)) {
    throw new ShapeError('request', 'has not exactly one of agent and inference');
  }
  if (inference !== undefined) {
    return inferenceId(trustDomain, stringAt(inference, 'inference', /^[^\s/]{1,256}$/, 'the name of a service'));
  }
  const id = resolveAgentId(trustDomain, stringAt(agent, 'agent', /^[^\s]{1,2048}$/, 'a name'));
  if (trustDomainOf(id) !== trustDomain) throw new ShapeError('agent', `not of the trust domain ${trustDomain}`);
  return id;
}
