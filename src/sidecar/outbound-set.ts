import type { SpiffeId } from '../domain/agent-id.ts';
import { after } from '../platform/clock.ts';
import type { Component } from '../platform/component.ts';
import type { Logger } from '../platform/logger.ts';
import type { Peers } from './live-config.ts';
import type { AgentListener } from './agent-listener.ts';

export interface OutboundSetOptions {
  readonly logger: Logger;
  readonly peers: () => Peers;
  /** The listener for all peers, if there is to be one; it is not started. */
  readonly common: AgentListener | undefined;
  /** Makes the listener for one peer; it is not started. */
  readonly make: (peer: SpiffeId, listen: string) => AgentListener;
  /** A peer is not to be called any more, or is to be found elsewhere: connections that are open finish. */
  readonly onLeft: (peer: SpiffeId) => void;
  /** How long connections of a listener that is gone may go on, in ms. */
  readonly drainMs: () => number;
}

interface Entry {
  readonly listen: string;
  readonly outbound: AgentListener;
}

/** The listeners for our agent, one for each peer and one for all, as the configuration in force has them. */
export class OutboundSet implements Component {
  readonly name = 'outbound listeners';
  readonly #options: OutboundSetOptions;
  readonly #entries = new Map<SpiffeId, Entry>();
  /** Those that our agent is to call, with a listener of their own or without. */
  #peers: ReadonlySet<SpiffeId> = new Set();
  readonly #leaving = new Map<AgentListener, () => void>();

  constructor(options: OutboundSetOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#peers = new Set(this.#options.peers().keys());
    await this.#options.common?.start();
    for (const [peer, { listen }] of this.#options.peers()) {
      if (listen === undefined) continue;
      const outbound = this.#options.make(peer, listen);
      this.#entries.set(peer, { listen, outbound });
      await outbound.start();
    }
  }

  /** Where our agent calls each peer, as bound. */
  addresses(): readonly { readonly agent: SpiffeId; readonly listen: string }[] {
    return [...this.#entries].map(([agent, { outbound }]) => ({ agent, listen: outbound.address }));
  }

  /** Where our agent calls all peers, as bound; `undefined`: nowhere. */
  get commonAddress(): string | undefined {
    return this.#options.common?.address;
  }

  /** Takes no more connections; those that are open go on. */
  refuseNew(): void {
    this.#options.common?.refuseNew();
    for (const { outbound } of this.#entries.values()) outbound.refuseNew();
  }

  async stop(): Promise<void> {
    for (const cancel of this.#leaving.values()) cancel();
    const all = [...[...this.#entries.values()].map(({ outbound }) => outbound), ...this.#leaving.keys()];
    const { common } = this.#options;
    await Promise.all((common === undefined ? all : [common, ...all]).map((outbound) => outbound.stop()));
  }

  /**
   * Binds what these peers need and is not there yet.
   *
   * @returns what takes the new listeners into use and lets go of those that are not wanted any more. Until it is called
   * nobody can tell the difference.
   * @throws MeshError when an address cannot be bound; nothing has changed then
   */
  async prepare(peers: Peers): Promise<() => void> {
    const fresh = new Map<SpiffeId, Entry>();
    try {
      for (const [peer, { listen }] of peers) {
        if (listen === undefined || this.#entries.get(peer)?.listen === listen) continue;
        const outbound = this.#options.make(peer, listen);
        fresh.set(peer, { listen, outbound });
        await outbound.start();
      }
    } catch (error) {
      await Promise.all([...fresh.values()].map(({ outbound }) => outbound.stop()));
      throw error;
    }
    return () => {
      for (const [peer, { outbound }] of this.#entries) {
        if (peers.get(peer)?.listen !== undefined && !fresh.has(peer)) continue;
        this.#entries.delete(peer);
        this.#letGo(outbound);
      }
      for (const peer of this.#peers) if (!peers.has(peer)) this.#options.onLeft(peer);
      this.#peers = new Set(peers.keys());
      for (const [peer, entry] of fresh) this.#entries.set(peer, entry);
    };
  }

  #letGo(outbound: AgentListener): void {
    const { logger, drainMs } = this.#options;
    outbound.refuseNew();
    const run = () => {
      this.#leaving.delete(outbound);
      outbound.stop().catch((error: unknown) => logger.error('outbound_not_stopped', { name: outbound.name, error }));
    };
    this.#leaving.set(outbound, after({ delayMs: drainMs(), run, keepAlive: false }));
  }
}
