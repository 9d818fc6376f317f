import { isIP } from 'node:net';
import { fail, ok, warn, type Finding } from './finding.ts';
import { portOf } from './ways.ts';

/** What a resolver said of a name; `code`: why it said nothing, such as ENOTFOUND. */
export type Lookup =
  { readonly ok: true; readonly addresses: readonly string[] } | { readonly ok: false; readonly code: string };

const LOOPBACK = /^(?:127\.|::1$)/;

/**
 * Names of agents are no names of DNS: they are said to the port for all peers, in a call or to it as a proxy. Where they
 * resolve all the same, an agent that forgets the proxy calls somebody else.
 */
export function judgeMeshName(name: string, lookup: Lookup): Finding {
  if (!lookup.ok) return ok('mesh-names', `${name} is not in DNS, and need not be`);
  const elsewhere = lookup.addresses.filter((address) => !LOOPBACK.test(address));
  if (elsewhere.length === 0) return ok('mesh-names', `${name} is this machine`);
  const detail = `${name} is ${elsewhere.join(', ')} in DNS: an agent that does not use the proxy calls that`;
  return warn('mesh-names', detail, 'take the record, the wildcard or the search domain out of DNS; nothing needs it');
}

/** @param what who is to be found there */
export function judgeHost(what: string, address: string, lookup: Lookup): Finding {
  const host = portOf(address)?.host ?? address;
  if (isIP(host) !== 0) return ok('host-names', `${what}: ${address} is an address`);
  if (lookup.ok) return ok('host-names', `${what}: ${host} is ${lookup.addresses.join(', ')}`);
  const fix = 'correct the name in the configuration (or join credential), or the resolver of this machine';
  return fail('host-names', `${what}: ${host} cannot be resolved (${lookup.code})`, fix);
}
