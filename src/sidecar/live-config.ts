import { isDeepStrictEqual } from 'node:util';
import { resolveAgentId, type SpiffeId, type TrustDomain } from '../domain/agent-id.ts';
import { isRecord } from '../platform/config-schema.ts';
import { callSettingsOf, type CallSettings } from './calls/calls-section.ts';
import type { SidecarConfig } from './config.ts';
import type { ExchangeTiming } from './exchange/exchange.ts';
import { protocolSettingsOf, type ProtocolSettings } from './protocols/protocols-section.ts';
import type { InboundLimits } from './transport/inbound-listener.ts';

export type PeerConfig = SidecarConfig['peers'][number];
export type Peers = ReadonlyMap<SpiffeId, PeerConfig>;

/** What another configuration would bring about; see {@link LiveConfig.plan}. */
export interface ConfigPlan {
  /** The configuration that would be in force: what cannot change while the process runs stays as it is. */
  readonly config: SidecarConfig;
  readonly peers: Peers;
  /** Peers that would no longer be found where they were: removed, or with another address. */
  readonly displaced: readonly SpiffeId[];
  /** Settings that would change, such as `timing.drain`. */
  readonly changed: readonly string[];
  /** Settings that differ, too, and count only after a restart. */
  readonly needsRestart: readonly string[];
}

/**
 * The configuration in force, parts of which may change while the process runs: `log_level`, `access_log`, `peers`, `app`,
 * `calls`, `protocols`, `limits` and all of `timing` but the time for TLS handshakes, which the connection to the authority was made with. Whoever
 * needs a part takes the object, not a number out of it: {@link timing}, {@link limits}, {@link calls} and {@link protocols} stay the same objects and
 * always say what is in force.
 */
export class LiveConfig {
  readonly timing: ExchangeTiming;
  readonly limits: InboundLimits;
  readonly calls: CallSettings;
  readonly protocols: ProtocolSettings;
  readonly #trustDomain: TrustDomain;
  #config: SidecarConfig;
  #peers: Peers;

  /** @throws MeshError `SPIFFE_ID_INVALID` for a peer's name that is none */
  constructor(config: SidecarConfig, trustDomain: TrustDomain) {
    this.#trustDomain = trustDomain;
    this.#config = config;
    this.#peers = peersOf(config, trustDomain);
    this.timing = timingOf(config);
    this.limits = limitsOf(config);
    this.calls = callSettingsOf(config);
    this.protocols = protocolSettingsOf(config);
  }

  /** All of it. A part that did not change is the same object as before. */
  get config(): SidecarConfig {
    return this.#config;
  }

  get peers(): Peers {
    return this.#peers;
  }

  /**
   * What would change; nothing does yet.
   *
   * @throws MeshError `SPIFFE_ID_INVALID` for a peer's name that is none
   */
  plan(next: SidecarConfig): ConfigPlan {
    const { app: _before, ...fixed } = this.#config;
    const { log_level, access_log, peers, app, limits, calls, protocols } = next;
    const timing = { ...next.timing, handshake_timeout: this.#config.timing.handshake_timeout };
    const taken = { log_level, access_log, peers, limits, calls, protocols, timing };
    const config: SidecarConfig = { ...fixed, ...taken, ...(app !== undefined && { app }) };
    const placed = peersOf(config, this.#trustDomain);
    const isDisplaced = ([peer, { address }]: [SpiffeId, PeerConfig]) =>
      !placed.has(peer) || placed.get(peer)?.address !== address;
    return {
      config: keepingParts(config, this.#config),
      peers: placed,
      displaced: [...this.#peers].filter(isDisplaced).map(([peer]) => peer),
      changed: differences(this.#config, config),
      needsRestart: differences(config, next),
    };
  }

  /** Puts a plan in force. */
  apply({ config, peers }: ConfigPlan): void {
    this.#config = config;
    this.#peers = peers;
    Object.assign(this.timing, timingOf(config));
    Object.assign(this.limits, limitsOf(config));
    Object.assign(this.calls, callSettingsOf(config));
    Object.assign(this.protocols, protocolSettingsOf(config));
  }
}

function peersOf({ peers }: SidecarConfig, trustDomain: TrustDomain): Peers {
  return new Map(peers.map((peer) => [resolveAgentId(trustDomain, peer.agent), peer]));
}

function timingOf({ timing }: SidecarConfig): ExchangeTiming {
  return {
    connectTimeoutMs: timing.connect_timeout,
    exchangeTimeoutMs: timing.exchange_timeout,
    handshakeTimeoutMs: timing.handshake_timeout,
    heartbeatMs: timing.heartbeat,
    lostAfterMs: timing.lost_after,
  };
}

function limitsOf({ limits, timing }: SidecarConfig): InboundLimits {
  return {
    unauthenticated: limits.unauthenticated,
    unauthenticatedPerAddress: limits.unauthenticated_per_address,
    unauthenticatedPerSvid: limits.unauthenticated_per_svid,
    handshakeTimeoutMs: timing.handshake_timeout,
    proveWithinMs: timing.exchange_timeout,
  };
}

function keepingParts(next: SidecarConfig, before: SidecarConfig): SidecarConfig {
  const { app } = before;
  return app !== undefined && isDeepStrictEqual(app, next.app) ? { ...next, app } : next;
}

/** Places where two values differ, lists as a whole. */
function differences(before: unknown, after: unknown, path = ''): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isRecord(before) || !isRecord(after)) return [path];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
    differences(before[key], after[key], path === '' ? key : `${path}.${key}`),
  );
}
