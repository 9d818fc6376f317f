import type { ProviderConfig } from '../../sidecar/inference/inference-section.ts';
import type { MeasureConfig } from '../../sidecar/measure/measure-config.ts';

/** One agent of a mesh on this machine. */
export interface AgentPlan {
  readonly name: string;
  /** Program and arguments; `${…}` is filled in, see {@link fillIn}. Without one, only the sidecar is run. */
  readonly command?: readonly [program: string, ...args: string[]];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where the agent listens; `default`: a unix socket of ours; `undefined`: it takes no calls. */
  readonly listen: string | undefined;
  readonly calls: readonly CallPlan[];
  /** Paths are absolute. */
  readonly measure: MeasureConfig;
}

export interface CallPlan {
  readonly agent: string;
  /** Where the caller finds the peer; `default`: a unix socket of ours. */
  readonly listen: string;
  /** What the two speak, for whoever reads about it: nothing depends on it. */
  readonly speaks?: string;
}

/** Where the agents of a mesh find their models. */
export type InferencePlan =
  /** A simulated service of our own, for the models that are approved. */
  | { readonly kind: 'simulated' }
  /** Somebody else's server; the section `provider` of a sidecar's configuration, its paths absolute. */
  | { readonly kind: 'provider'; readonly provider: ProviderConfig };

export interface MeshPlan {
  readonly trustDomain: string;
  readonly inference: InferencePlan;
  /** Callees before callers is not necessary: agents start when all sidecars are up. */
  readonly agents: readonly AgentPlan[];
}

/** How the process of the inference service is named; no agent can have a blank in its name. */
export const INFERENCE_SERVICE = 'inference service';

/** Stands for an address that we choose. */
export const DEFAULT_ADDRESS = 'default';

/** What `${…}` may stand for in an agent's command and environment. */
export interface Placeholders {
  /** `${listen}`: where this agent has to listen. */
  readonly listen: string | undefined;
  /** `${peer.<name>}`: where this agent finds a peer. */
  readonly peers: ReadonlyMap<string, string>;
  /** `${outbound}`: where this agent finds all its peers, by name. Default: nowhere. */
  readonly outbound?: string | undefined;
}

const PLACEHOLDER = /\$\{([^}]*)\}/g;

/**
 * Fills in `${listen}`, `${outbound}` and `${peer.<name>}`; `${listen.path}` and `${peer.<name>.path}` are the same without `unix:`,
 * for programs that want a bare path.
 *
 * @throws RangeError naming what is not known.
 */
export function fillIn(text: string, placeholders: Placeholders): string {
  return text.replaceAll(PLACEHOLDER, (whole, expression: string) => {
    const bare = expression.endsWith('.path');
    const address = addressOf(bare ? expression.slice(0, -'.path'.length) : expression, placeholders);
    if (address === undefined) throw new RangeError(`${whole} stands for nothing here`);
    return bare ? address.replace(/^unix:/, '') : address;
  });
}

function addressOf(name: string, { listen, peers, outbound }: Placeholders): string | undefined {
  if (name === 'outbound') return outbound;
  if (name === 'listen') return listen;
  return name.startsWith('peer.') ? peers.get(name.slice('peer.'.length)) : undefined;
}
