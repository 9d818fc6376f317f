import type { HeaderField } from '../hpack/header-field.ts';

/**
 * The fields in which sidecars speak to the agents behind them. Nobody else may set them: whatever an agent or a peer
 * sends under these names, in any spelling, is removed on the way.
 */
export const IDENTITY_FIELD = {
  spiffeId: 'x-ait-peer-spiffe-id',
  agent: 'x-ait-peer-agent',
  instance: 'x-ait-peer-instance',
  baseline: 'x-ait-peer-baseline',
} as const;

/** On an answer that a sidecar gave instead of the callee: the coarse reason, and the correlation id of its log lines. */
export const REFUSAL_FIELD = { reason: 'x-ait-refused', correlationId: 'x-ait-correlation-id' } as const;

/** On an answer of our own agent's sidecar to a call whose name leads nowhere: names that lead somewhere. */
export const KNOWN_NAMES_FIELD = 'x-ait-known-names';

/** Names, prefixes as well as whole ones, under which proxies hand identities on; here only a sidecar says who calls. */
const RESERVED_PREFIX = 'x-ait-';
const FOREIGN_IDENTITY: ReadonlySet<string> = new Set(['x-forwarded-client-cert', 'x-spiffe-id', 'x-forwarded-user']);

/**
 * Whether only sidecars may set a field. Whatever is neither letter nor digit counts as a hyphen, since frameworks and
 * gateways make one of the other, as CGI does; with the suffix of binary metadata it is the same field.
 *
 * @param name well-formed: in HTTP/2 that is in lower case already
 */
export function isReserved(name: string): boolean {
  if (name.charCodeAt(0) !== LOWER_X) return false;
  const plain = name.replaceAll(/[^a-z0-9]/g, '-').replace(/(-bin)+$/, '');
  return plain.startsWith(RESERVED_PREFIX) || FOREIGN_IDENTITY.has(plain);
}

/** Without those that only sidecars may set; the very same list where there are none. */
export function withoutReserved(fields: readonly HeaderField[]): readonly HeaderField[] {
  return fields.some(({ name }) => isReserved(name)) ? fields.filter(({ name }) => !isReserved(name)) : fields;
}

const LOWER_X = 120;
