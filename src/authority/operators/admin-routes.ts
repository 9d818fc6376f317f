import { resolveAgentId, trustDomainOf, type SpiffeId, type TrustDomain } from '../../domain/agent-id.ts';
import type { JsonValue } from '../../domain/canonical/strict-json.ts';
import { parseDuration } from '../../domain/duration.ts';
import { isHostPort } from '../../domain/host-port.ts';
import { joinCredentialToText } from '../../domain/join-credential.ts';
import { integerAt, objectAt, ShapeError, stringAt } from '../../domain/json-shape.ts';
import type { AdminAnswer, AdminBody, AdminRoutes } from '../../platform/admin-socket.ts';
import type { Logger } from '../../platform/logger.ts';
import type { AdminViews } from './admin-views.ts';
import type { Clock } from '../../platform/clock.ts';
import type { CredentialRecord, CredentialUses, JoinCredentials } from '../membership/join-credentials.ts';

const DEFAULT_USES = 100;
const DEFAULT_EXPIRES = '30d';
const MAX_LIFETIME_MS = 366 * 86_400_000;

export interface AuthorityAdminDeps {
  readonly trustDomain: TrustDomain;
  readonly credentials: JoinCredentials;
  readonly rootSha256: string;
  /** What a new credential points to: `host:port`. */
  readonly advertised: () => string;
  readonly views: AdminViews;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What an operator can ask the authority. `POST /join-credentials` takes `{agent, uses?, expires?, authority?}`;
 * `GET /join-credentials?agent=` tells all of them but their secrets.
 */
export function authorityAdminRoutes(deps: AuthorityAdminDeps): AdminRoutes {
  const { views } = deps;
  return {
    'GET /status': () => ({ body: views.status() }),
    'GET /agents': () => ({ body: views.agents() }),
    'GET /instances': () => ({ body: views.instances() }),
    'GET /policy-problems': () => ({ body: views.policyProblems() }),
    'GET /join-credentials': async ({ query }) => ({ body: await listCredentials(query.get('agent'), deps) }),
    'POST /join-credentials': ({ body }) => createCredential(body, deps),
  };
}

async function createCredential(body: AdminBody, deps: AuthorityAdminDeps): Promise<AdminAnswer> {
  const { credentials, trustDomain, rootSha256, advertised, logger } = deps;
  const { agent, uses, lifetimeMs, authority } = readRequest(body, trustDomain, advertised());
  const { id, secret, expiresAt } = await credentials.create({ agent, uses, lifetimeMs });
  const expires = new Date(expiresAt).toISOString();
  logger.info('join_credential_created', { agent, credential_id: id, uses, expires_at: expires });
  const credential = joinCredentialToText({ trustDomain, agent, id, secret, rootSha256, authority, expiresAt });
  return { status: 201, body: { id, agent, uses, expires_at: expires, authority, credential } };
}

async function listCredentials(agent: string | null, deps: AuthorityAdminDeps): Promise<object[]> {
  const { credentials, trustDomain, clock } = deps;
  const wanted = agent === null ? undefined : resolveAgentId(trustDomain, agent);
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
  readonly agent: SpiffeId;
  readonly uses: CredentialUses;
  readonly lifetimeMs: number;
  readonly authority: string;
}

function readRequest(body: AdminBody, trustDomain: TrustDomain, advertised: string): CredentialRequest {
  const object = objectAt(body ?? {}, 'request', {
    required: ['agent'],
    optional: ['uses', 'expires', 'authority'],
  });
  const agent = resolveAgentId(trustDomain, stringAt(object['agent'], 'agent', /^[^\s]{1,2048}$/, 'a name'));
  if (trustDomainOf(agent) !== trustDomain) throw new ShapeError('agent', `not of the trust domain ${trustDomain}`);
  const expires = stringAt(object['expires'] ?? DEFAULT_EXPIRES, 'expires', /^.{1,16}$/, 'a duration');
  const lifetimeMs = parseDuration(expires);
  if (lifetimeMs < 1 || lifetimeMs > MAX_LIFETIME_MS) throw new ShapeError('expires', 'not from 1ms to 366d');
  const authority: JsonValue = object['authority'] ?? advertised;
  if (!isHostPort(authority)) throw new ShapeError('authority', 'not host:port');
  const uses: JsonValue = object['uses'] ?? DEFAULT_USES;
  return {
    agent,
    uses: uses === 'unlimited' ? uses : integerAt(uses, 'uses', { min: 1, max: 1_000_000 }),
    lifetimeMs,
    authority,
  };
}
