import { agentNameOf, type SpiffeId } from '../../domain/agent-id.ts';

/** What stands behind an agent's name where a whole host name is wanted. */
const SUFFIX = '.mesh';

/** The name under which an agent is called through the mesh: `researcher.mesh`; slashes in a name are dots. */
export function meshName(agent: SpiffeId): string {
  return meshNameOf(agentNameOf(agent));
}

/** The same by the agent's name alone, such as `team/web-search`. */
export function meshNameOf(name: string): string {
  return `${name.replaceAll('/', '.').toLowerCase()}${SUFFIX}`;
}

/** So much is told to whoever used a name that leads nowhere: a header has room for no more. */
const MAX_TOLD_CHARS = 800;

/** The names under which these are called, in order; as many as fit into {@link MAX_TOLD_CHARS}. */
export function meshNames(peers: Iterable<SpiffeId>): readonly string[] {
  const names = [...peers].map(meshName).toSorted();
  let chars = 0;
  const beyond = names.findIndex((name) => (chars += name.length + 2) > MAX_TOLD_CHARS);
  return beyond === -1 ? names : names.slice(0, beyond);
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
