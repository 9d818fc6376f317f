import { MeshError } from './mesh-error.ts';

/**
 * A SPIFFE ID: `spiffe://<trust-domain>/<path>`, normalised as the SPIFFE ID specification (section 2) demands.
 * The brand means: it came out of {@link parseSpiffeId}.
 */
export type SpiffeId = string & { readonly __brand: 'SpiffeId' };

/** The name of one authority's realm, for example `acme.example`. */
export type TrustDomain = string & { readonly __brand: 'TrustDomain' };

/** What a SPIFFE ID of this mesh stands for, told by its first path segment. Only `agent` takes part in an exchange. */
export const IDENTITY_KINDS = ['agent', 'authority', 'inference', 'verifier', 'operator'] as const;
export type IdentityKind = (typeof IDENTITY_KINDS)[number];

const MAX_SPIFFE_ID_BYTES = 2048;
const MAX_TRUST_DOMAIN_CHARS = 255;
const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
const SEGMENT = /^[A-Za-z0-9._-]+$/;

/**
 * Reads a SPIFFE ID, strictly: lower-case trust domain, no port, query, fragment, percent-encoding, empty or dot
 * segments, no trailing slash (SPIFFE ID specification, section 2).
 *
 * @throws MeshError `SPIFFE_ID_INVALID`
 */
export function parseSpiffeId(text: string): SpiffeId {
  const problem = spiffeIdProblem(text);
  if (problem !== undefined) throw new MeshError('SPIFFE_ID_INVALID', `"${text.slice(0, 200)}": ${problem}`);
  return text as SpiffeId;
}

export function isSpiffeId(text: unknown): text is SpiffeId {
  return typeof text === 'string' && spiffeIdProblem(text) === undefined;
}

/** @throws MeshError `SPIFFE_ID_INVALID` */
export function parseTrustDomain(text: string): TrustDomain {
  if (!TRUST_DOMAIN.test(text) || text.length > MAX_TRUST_DOMAIN_CHARS) {
    throw new MeshError('SPIFFE_ID_INVALID', `"${text.slice(0, 200)}" is not a trust domain`, {
      hint: 'use lower-case letters, digits, dots, dashes and underscores, for example acme.example',
    });
  }
  return text as TrustDomain;
}

export function trustDomainOf(id: SpiffeId): TrustDomain {
  return id.slice('spiffe://'.length).split('/', 1)[0] as TrustDomain;
}

/** The path without its leading slash, for example `agent/planner`. */
export function pathOf(id: SpiffeId): string {
  return id.slice('spiffe://'.length + trustDomainOf(id).length + 1);
}

/** `undefined` for an ID whose first segment is none of ours, or that names no member below it where one is due. */
export function kindOf(id: SpiffeId): IdentityKind | undefined {
  const [head, ...rest] = pathOf(id).split('/');
  const kind = IDENTITY_KINDS.find((known) => known === head);
  if (kind === undefined) return undefined;
  const standsAlone = kind === 'authority' || kind === 'verifier';
  return standsAlone === (rest.length === 0) ? kind : undefined;
}

/** The agent's name: the path below `/agent/`, for example `planner` or `team/planner`. */
export function agentNameOf(id: SpiffeId): string {
  return pathOf(id).slice('agent/'.length);
}

/** @throws MeshError `SPIFFE_ID_INVALID` */
export function agentId(trustDomain: TrustDomain, name: string): SpiffeId {
  return parseSpiffeId(`spiffe://${trustDomain}/agent/${name}`);
}

/** The control plane's own identity, never issued to anybody who joins. */
export function authorityId(trustDomain: TrustDomain): SpiffeId {
  return parseSpiffeId(`spiffe://${trustDomain}/authority`);
}

/** A confidential-inference service. @throws MeshError `SPIFFE_ID_INVALID` */
export function inferenceId(trustDomain: TrustDomain, name: string): SpiffeId {
  const id = parseSpiffeId(`spiffe://${trustDomain}/inference/${name}`);
  if (kindOf(id) === 'inference' && !name.includes('/')) return id;
  throw new MeshError('SPIFFE_ID_INVALID', `"${name.slice(0, 200)}" is not the name of an inference service`);
}

/** The service's name: the path below `/inference/`. */
export function inferenceNameOf(id: SpiffeId): string {
  return pathOf(id).slice('inference/'.length);
}

/** A person or program that may ask the authority things. @throws MeshError `SPIFFE_ID_INVALID` */
export function operatorId(trustDomain: TrustDomain, name: string): SpiffeId {
  return parseSpiffeId(`spiffe://${trustDomain}/operator/${name}`);
}

/**
 * Accepts what people write in files: a bare agent name or a whole SPIFFE ID.
 *
 * @throws MeshError `SPIFFE_ID_INVALID`
 */
export function resolveAgentId(trustDomain: TrustDomain, nameOrId: string): SpiffeId {
  const id = nameOrId.startsWith('spiffe://') ? parseSpiffeId(nameOrId) : agentId(trustDomain, nameOrId);
  if (kindOf(id) !== 'agent') {
    throw new MeshError('SPIFFE_ID_INVALID', `"${id}" is not an agent`, {
      hint: `an agent is named spiffe://${trustDomain}/agent/<name>`,
    });
  }
  return id;
}

function spiffeIdProblem(text: string): string | undefined {
  if (!text.startsWith('spiffe://')) return 'it must start with spiffe://';
  if (Buffer.byteLength(text) > MAX_SPIFFE_ID_BYTES) return `it is longer than ${MAX_SPIFFE_ID_BYTES} bytes`;
  const [trustDomain = '', ...segments] = text.slice('spiffe://'.length).split('/');
  if (!TRUST_DOMAIN.test(trustDomain) || trustDomain.length > MAX_TRUST_DOMAIN_CHARS) {
    return 'the trust domain takes lower-case letters, digits, dots, dashes and underscores';
  }
  if (segments.length === 0) return 'it has no path';
  for (const segment of segments) {
    if (segment === '.' || segment === '..' || !SEGMENT.test(segment)) {
      return `the path segment "${segment.slice(0, 80)}" is empty, dotted, or has a character outside A-Z a-z 0-9 . _ -`;
    }
  }
  return undefined;
}
