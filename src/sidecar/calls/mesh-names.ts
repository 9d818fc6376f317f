import { agentNameOf, type SpiffeId } from '../../domain/agent-id.ts';

/** What stands behind an agent's name where a whole host name is wanted. */
const SUFFIX = '.mesh';

/** The name under which an agent is called through the mesh: `researcher.mesh`; slashes in a name are dots. */
export function meshName(agent: SpiffeId): string {
  return `${agentNameOf(agent).replaceAll('/', '.').toLowerCase()}${SUFFIX}`;
}

/**
 * Whom an `:authority` means: the name of the mesh, or without its suffix, with or without a port.
 *
 * @returns `undefined` where it is nobody's name, and where it is that of two
 */
export function peerOfAuthority(authority: string, peers: Iterable<SpiffeId>): SpiffeId | undefined {
  const host = authority
    .toLowerCase()
    .replace(/:\d{1,5}$/, '')
    .replace(/\.$/, '');
  const wanted = host.endsWith(SUFFIX) ? host : `${host}${SUFFIX}`;
  let found: SpiffeId | undefined;
  for (const peer of peers) {
    if (meshName(peer) !== wanted) continue;
    if (found !== undefined) return undefined;
    found = peer;
  }
  return found;
}
