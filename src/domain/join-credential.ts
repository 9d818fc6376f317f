import {
  isSpiffeId,
  kindOf,
  parseTrustDomain,
  trustDomainOf,
  type IdentityKind,
  type SpiffeId,
  type TrustDomain,
} from './agent-id.ts';
import { JsonError, parseStrictJsonBytes } from './canonical/strict-json.ts';
import { integerAt, objectAt, ShapeError, stringAt } from './json-shape.ts';
import { MeshError } from './mesh-error.ts';
import { isHostPort } from './host-port.ts';

/**
 * What lets an instance into the mesh, once it is put where the sidecar can read it and the agent cannot. As text it is
 * one line, `ait-join-1.` and the base64url of a JSON object:
 *
 * | member | value |
 * | --- | --- |
 * | `trust_domain` | the mesh, `acme.example` |
 * | `agent` or `inference` | SPIFFE ID of the agent, or of the inference service, that it makes instances of; one of the two |
 * | `id` | the credential's id, 22 characters of base64url |
 * | `secret` | 32 random bytes in base64url; the authority keeps only their SHA-256 |
 * | `root_sha256` | SHA-256 of the root certificate in DER, lowercase hexadecimal: there is no trust on first use |
 * | `authority` | `host:port` of the authority |
 * | `expires_at` | milliseconds since the epoch; informative, the authority decides |
 */
export interface JoinCredential {
  readonly trustDomain: TrustDomain;
  /** Who joins with it: an agent or an inference service. */
  readonly subject: SpiffeId;
  readonly id: string;
  /** 32 bytes. */
  readonly secret: Uint8Array;
  readonly rootSha256: string;
  readonly authority: string;
  readonly expiresAt: number;
}

/** Who can join. Every other identity of the mesh is made by the authority itself. */
const JOINING_KINDS = ['agent', 'inference'] as const satisfies readonly IdentityKind[];
export type JoiningKind = (typeof JOINING_KINDS)[number];

export function isJoiningKind(kind: IdentityKind | undefined): kind is JoiningKind {
  return JOINING_KINDS.some((known) => known === kind);
}

const PREFIX = 'ait-join-1.';
const MAX_CHARS = 8192;
const BASE64URL = /^[A-Za-z0-9_-]+$/;
const ID = /^[A-Za-z0-9_-]{22}$/;
const SECRET = /^[A-Za-z0-9_-]{43}$/;
const ROOT = /^[0-9a-f]{64}$/;

/** The one line that {@link parseJoinCredential} reads, without a newline. It is a secret. */
export function joinCredentialToText(credential: JoinCredential): string {
  const { trustDomain, subject, id, secret, rootSha256, authority, expiresAt } = credential;
  const json = JSON.stringify({
    trust_domain: trustDomain,
    [kindOf(subject) ?? 'agent']: subject,
    id,
    secret: Buffer.from(secret).toString('base64url'),
    root_sha256: rootSha256,
    authority,
    expires_at: expiresAt,
  });
  return PREFIX + Buffer.from(json).toString('base64url');
}

/**
 * Reads a join credential for one kind of member; whitespace around it is forgiven. One for another kind is refused. No
 * message repeats any part of it.
 *
 * @throws MeshError `JOIN_CREDENTIAL_MALFORMED`
 */
export function parseJoinCredential(text: string, kind: JoiningKind = 'agent'): JoinCredential {
  const line = text.trim();
  if (!line.startsWith(PREFIX)) throw malformed(kind, `it does not start with ${PREFIX}`);
  const encoded = line.slice(PREFIX.length);
  if (line.length > MAX_CHARS || !BASE64URL.test(encoded)) throw malformed(kind, 'it is cut, joined or not base64url');
  try {
    return readCredential(Buffer.from(encoded, 'base64url'), kind);
  } catch (cause) {
    if (cause instanceof ShapeError || cause instanceof JsonError) throw malformed(kind, cause.message, cause);
    throw cause;
  }
}

function readCredential(json: Uint8Array, kind: JoiningKind): JoinCredential {
  const object = objectAt(parseStrictJsonBytes(json, { maxDepth: 1 }), 'credential', {
    required: ['trust_domain', kind, 'id', 'secret', 'root_sha256', 'authority', 'expires_at'],
  });
  const { [kind]: subject, authority } = object;
  if (!isSpiffeId(subject) || kindOf(subject) !== kind) {
    throw new ShapeError(kind, `not the SPIFFE ID of an ${NOUNS[kind]}`);
  }
  const trustDomain = trustDomainOf(subject);
  if (object['trust_domain'] !== parseTrustDomain(trustDomain)) {
    throw new ShapeError('trust_domain', `not the ${NOUNS[kind]}'s own`);
  }
  if (!isHostPort(authority)) throw new ShapeError('authority', 'not host:port');
  return {
    trustDomain,
    subject,
    id: stringAt(object['id'], 'id', ID, '22 characters of base64url'),
    secret: Buffer.from(stringAt(object['secret'], 'secret', SECRET, '32 bytes in base64url'), 'base64url'),
    rootSha256: stringAt(object['root_sha256'], 'root_sha256', ROOT, 'a SHA-256 in lowercase hexadecimal'),
    authority,
    expiresAt: integerAt(object['expires_at'], 'expires_at'),
  };
}

const NOUNS = { agent: 'agent', inference: 'inference service' } as const satisfies Record<JoiningKind, string>;
const COMMANDS = {
  agent: 'ait agent credential <agent>',
  inference: 'ait inference credential <name>',
} as const satisfies Record<JoiningKind, string>;

function malformed(kind: JoiningKind, problem: string, cause?: unknown): MeshError {
  return new MeshError('JOIN_CREDENTIAL_MALFORMED', `the join credential cannot be used: ${problem}`, {
    hint: `make a new one with \`${COMMANDS[kind]}\``,
    cause,
  });
}
