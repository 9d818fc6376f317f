import { readFileSync, statSync } from 'node:fs';
import { parseTrustDomain, type TrustDomain } from '../../domain/agent-id.ts';
import { JsonError, parseStrictJsonBytes } from '../../domain/canonical/strict-json.ts';
import { isHostPort } from '../../domain/host-port.ts';
import { arrayAt, integerAt, objectAt, ShapeError, stringAt } from '../../domain/json-shape.ts';
import { isMeshError, MeshError } from '../../domain/mesh-error.ts';

/**
 * What lets an operator ask the authority from anywhere: one file, readable to its owner alone. The key in it was made
 * on this machine and has never been anywhere else.
 */
export interface OperatorFile {
  readonly name: string;
  readonly trustDomain: TrustDomain;
  /** `host:port`. */
  readonly authority: string;
  /** Roots in PEM, by which the authority is known; never empty. */
  readonly roots: readonly string[];
  /** In PEM. */
  readonly certificate: string;
  readonly key: string;
  /** Milliseconds since the epoch; informative, the authority decides. */
  readonly expiresAt: number;
}

const FORMAT = 'ait-operator-1';
const MAX_BYTES = 64 * 1024;
const PEM = /^-----BEGIN [A-Z ]{1,32}-----\n[A-Za-z0-9+/=\n]{1,16384}-----END [A-Z ]{1,32}-----\n?$/;

export function operatorFileToText(file: OperatorFile): string {
  const { name, trustDomain, authority, roots, certificate, key, expiresAt } = file;
  const members = { format: FORMAT, name, trust_domain: trustDomain, authority, roots, certificate, key };
  return `${JSON.stringify({ ...members, expires_at: expiresAt }, null, 2)}\n`;
}

/**
 * Reads an operator's file. No message repeats any part of it. One that others may read is refused, as ssh does: whoever
 * has read it is that operator.
 *
 * @throws MeshError `FILE_UNREADABLE`
 */
export function readOperatorFile(path: string): OperatorFile {
  try {
    const { mode, size } = statSync(path);
    if ((mode & 0o077) !== 0) throw unusable(path, 'others than its owner may open it', `chmod 600 ${path}`);
    if (size > MAX_BYTES) throw unusable(path, `larger than ${MAX_BYTES} bytes`);
    return parse(readFileSync(path));
  } catch (cause) {
    if (isMeshError(cause, 'FILE_UNREADABLE')) throw cause;
    if (cause instanceof ShapeError || cause instanceof JsonError || isMeshError(cause)) {
      throw unusable(path, `not what \`ait operator create\` wrote: ${cause.message}`);
    }
    throw unusable(path, (cause as Error).message);
  }
}

function parse(bytes: Uint8Array): OperatorFile {
  const object = objectAt(parseStrictJsonBytes(bytes, { maxDepth: 2 }), 'file', {
    required: ['format', 'name', 'trust_domain', 'authority', 'roots', 'certificate', 'key', 'expires_at'],
  });
  if (object['format'] !== FORMAT) throw new ShapeError('format', `not ${FORMAT}`);
  const { authority } = object;
  if (!isHostPort(authority)) throw new ShapeError('authority', 'not host:port');
  return {
    name: stringAt(object['name'], 'name', /^[A-Za-z0-9._-]{1,64}$/, 'a name'),
    trustDomain: parseTrustDomain(stringAt(object['trust_domain'], 'trust_domain', /^.{1,255}$/, 'a trust domain')),
    authority,
    roots: arrayAt(object['roots'], 'roots', { min: 1, max: 16 }).map((root) => stringAt(root, 'roots', PEM, 'PEM')),
    certificate: stringAt(object['certificate'], 'certificate', PEM, 'PEM'),
    key: stringAt(object['key'], 'key', PEM, 'PEM'),
    expiresAt: integerAt(object['expires_at'], 'expires_at'),
  };
}

function unusable(path: string, problem: string, hint?: string): MeshError {
  return new MeshError('FILE_UNREADABLE', `the operator file ${path} cannot be used: ${problem}`, {
    hint: hint ?? 'an administrator makes a new one with `ait operator create`',
  });
}
