import type { KeyObject } from 'node:crypto';
import type { TrustDomain } from '../../domain/agent-id.ts';
import { parseDuration } from '../../domain/duration.ts';
import { choiceAt, objectAt, ShapeError, stringAt } from '../../domain/json-shape.ts';
import { parseCsr } from '../../crypto/csr.ts';
import type { AdminBody, AdminRoutes } from '../../platform/admin-socket.ts';
import type { CertificateAuthority } from '../keys/certificate-authority.ts';
import { OPERATOR_ROLES, type OperatorRecord, type Operators } from './operators.ts';

const DEFAULT_EXPIRES = '90d';
const MIN_LIFETIME_MS = 1_000;
const MAX_LIFETIME_MS = 366 * 86_400_000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const BASE64 = /^[A-Za-z0-9+/]{1,8192}={0,2}$/;
/** What stands in the log for whoever uses the admin socket. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(['local']);

export interface OperatorRoutesDeps {
  readonly trustDomain: TrustDomain;
  readonly operators: Operators;
  readonly authority: CertificateAuthority;
  /** Where operators reach the authority, `host:port`. */
  readonly advertised: () => string;
  readonly now: () => number;
}

/**
 * `POST /operators` takes `{name, role, csr, expires?}` and answers with the certificate; `POST /operators/revoke`
 * takes `{name}`.
 */
export function operatorRoutes(deps: OperatorRoutesDeps): AdminRoutes {
  const { operators, authority, trustDomain, advertised, now } = deps;
  return {
    'GET /operators': () => ({ body: operators.list().map((record) => view(record, now())) }),
    'POST /operators': async ({ body, operator }) => {
      const request = readRequest(body);
      const { record, certificate } = await operators.create({ ...request, createdBy: operator.name });
      return {
        status: 201,
        body: {
          ...view(record, now()),
          trust_domain: trustDomain,
          authority: advertised(),
          root_sha256: authority.rootSha256,
          root_certificates: authority.roots.map((root) => root.toString()),
          certificate: certificate.pem,
        },
      };
    },
    'POST /operators/revoke': async ({ body, operator }) => {
      const object = objectAt(body ?? {}, 'request', { required: ['name'] });
      const record = await operators.revoke(stringAt(object['name'], 'name', NAME, 'a name'), operator.name);
      return { body: view(record, now()) };
    },
  };
}

function view({ name, role, createdAt, createdBy, expiresAt, revoked }: OperatorRecord, now: number): object {
  return {
    name,
    role,
    state: revoked !== undefined ? 'revoked' : now < expiresAt ? 'active' : 'expired',
    created_at: iso(createdAt),
    created_by: createdBy,
    expires_at: iso(expiresAt),
    ...(revoked !== undefined && { revoked_at: iso(revoked.at), revoked_by: revoked.by }),
  };
}

interface OperatorRequest {
  readonly name: string;
  readonly role: (typeof OPERATOR_ROLES)[number];
  readonly publicKey: KeyObject;
  readonly lifetimeMs: number;
}

function readRequest(body: AdminBody): OperatorRequest {
  const object = objectAt(body ?? {}, 'request', { required: ['name', 'role', 'csr'], optional: ['expires'] });
  const name = stringAt(object['name'], 'name', NAME, 'a name of 1 to 64 characters A-Z a-z 0-9 . _ -');
  if (RESERVED_NAMES.has(name)) throw new ShapeError('name', 'reserved for the admin socket');
  const expires = stringAt(object['expires'] ?? DEFAULT_EXPIRES, 'expires', /^.{1,16}$/, 'a duration');
  const lifetimeMs = parseDuration(expires);
  if (lifetimeMs < MIN_LIFETIME_MS || lifetimeMs > MAX_LIFETIME_MS) throw new ShapeError('expires', 'not 1s to 366d');
  const csr = stringAt(object['csr'], 'csr', BASE64, 'a PKCS#10 request, DER in base64');
  return {
    name,
    role: choiceAt(object['role'], 'role', OPERATOR_ROLES),
    publicKey: parseCsr(Buffer.from(csr, 'base64')),
    lifetimeMs,
  };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
