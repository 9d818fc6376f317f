import type { Environment } from '../../platform/environment.ts';
import { readListenAddress } from '../../platform/listen-address.ts';
import { fillIn, type Placeholders } from '../mesh-runner/mesh-plan.ts';
import { modelVariables } from '../mesh-runner/model-variables.ts';
import { withoutOwnVariables } from '../mesh-runner/package-files.ts';

/** Where an agent finds what its sidecar has for it, as bound. */
export interface AgentAddresses {
  readonly peers: readonly { readonly agent: string; readonly listen: string }[];
  /** Where the agent calls its model: `host:port` or `unix:/path`. */
  readonly inference?: string;
  /** Where the agent calls all its peers by name: `host:port` or `unix:/path`. */
  readonly outbound?: string;
}

export interface AgentEnvironmentInput {
  /** What `ait run` itself was started with. */
  readonly inherited: Environment;
  readonly addresses: AgentAddresses;
  /** Where the agent has to listen; `undefined`: it takes no calls. */
  readonly listen: string | undefined;
  /** From the section `env`; goes over everything else. */
  readonly own: Readonly<Record<string, string>>;
}

/**
 * The agent's environment: what we were given, less whatever configures a mesh process (I7: where a credential lies is
 * none of the agent's business), and where everything is.
 *
 * @throws RangeError for a placeholder that stands for nothing
 */
export function agentEnvironment({ inherited, addresses, listen, own }: AgentEnvironmentInput): Record<string, string> {
  const inference = addresses.inference;
  const base = withoutOwnVariables(inherited);
  return {
    ...base,
    ...(addresses.peers.length > 0 && { AIT_PEERS: addresses.peers.map(({ agent }) => peerName(agent)).join(',') }),
    ...Object.fromEntries(addresses.peers.map(({ agent, listen: at }) => [peerVariable(agent), at])),
    ...(addresses.outbound !== undefined && { AIT_OUTBOUND: addresses.outbound }),
    ...(listen !== undefined && listenVariables(listen)),
    ...(inference !== undefined && modelVariables(inference)),
    ...expandAll(own, placeholdersOf(addresses, listen)),
  };
}

/** What `${…}` may stand for. */
export function placeholdersOf({ peers, outbound }: AgentAddresses, listen: string | undefined): Placeholders {
  return { listen, outbound, peers: new Map(peers.map(({ agent, listen: at }) => [peerName(agent), at])) };
}

/**
 * Fills in `${listen…}`, `${outbound…}` and `${peer.…}`. Any other `${…}` is left as it is: a command may be a line for a shell.
 *
 * @throws RangeError for one of these that stands for nothing
 */
export function expand(text: string, placeholders: Placeholders): string {
  return text.replaceAll(/\$\{(?:listen|outbound|peer)(?:\.[^}]*)?\}/g, (whole) => fillIn(whole, placeholders));
}

/** The variable of a peer: `AIT_PEER_TEAM_WEB_SEARCH` for `team/web-search`. */
export function peerVariable(agent: string): string {
  return `AIT_PEER_${peerName(agent)
    .replaceAll(/[^A-Za-z0-9]/g, '_')
    .toUpperCase()}`;
}

/** The name of a peer that is given by its name or SPIFFE ID. */
export function peerName(agent: string): string {
  return agent.replace(/^spiffe:\/\/[^/]*\/agent\//, '');
}

function listenVariables(listen: string): Record<string, string> {
  const address = listen.startsWith('unix:') ? undefined : readListenAddress(listen);
  return { LISTEN: listen, ...(address !== undefined && { HOST: address.host, PORT: String(address.port) }) };
}

function expandAll(own: Readonly<Record<string, string>>, placeholders: Placeholders): Record<string, string> {
  return Object.fromEntries(Object.entries(own).map(([name, value]) => [name, expand(value, placeholders)]));
}
