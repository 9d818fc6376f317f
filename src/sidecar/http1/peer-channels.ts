import type { CallRequest } from '../../dataplane/gate/call.ts';
import { Channel } from '../../dataplane/http1/channel.ts';
import { ChannelPool } from '../../dataplane/http1/channel-pool.ts';
import type { Destination, FindTerms, Found } from '../../dataplane/http1/terms.ts';
import type { TunnelEnd } from '../../dataplane/tunnel.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import { contain } from '../../platform/contain.ts';
import type { Logger } from '../../platform/logger.ts';
import type { GateTerms } from '../calls/gate-terms.ts';
import { placeConnection, type PlacingDeps } from '../data/connection-placing.ts';
import type { CarryDeps } from '../data/data-connection.ts';
import type { PeerBudget } from '../session/peer-budget.ts';
import type { Session } from '../session/session.ts';

export interface PeerChannelsDeps extends PlacingDeps {
  readonly peer: SpiffeId;
  readonly budget: PeerBudget;
  readonly calls: GateTerms;
  readonly logger: Logger;
  /** For what carries a data connection. */
  readonly carrying: Pick<CarryDeps, 'registry' | 'metrics' | 'decisions' | 'calls' | 'http1'>;
}

/** One data connection, and the answer that it is to all who look for one. */
interface Placed {
  readonly session: Session;
  readonly destination: Destination;
  readonly found: Found;
}

/**
 * The data connections on which our agent's requests of HTTP/1 go to one peer. Each belongs to a session, and ends with it;
 * between two requests it waits for the next, whoever of our agent's connections brings it.
 */
export class PeerChannels {
  readonly #deps: PeerChannelsDeps;
  readonly #destinations = new WeakMap<Channel, Placed>();
  readonly #idle: ChannelPool;

  constructor(deps: PeerChannelsDeps) {
    this.#deps = deps;
    this.#idle = new ChannelPool((channel) => {
      const session = this.#destinations.get(channel)?.session;
      return session !== undefined && session.state === 'live' && deps.pool.accepts(session);
    });
  }

  /** A connection for one request: one that waits, or a new one. Never rejects. */
  find(_request: CallRequest, terms: FindTerms): Found | Promise<Found> {
    const idle = terms.fresh ? undefined : this.#idle.take();
    const destination = idle && this.#destinations.get(idle);
    return destination === undefined ? this.#place(terms) : destination.found;
  }

  /** A data connection that was placed before it was known to be for HTTP/1. It waits for its first request. */
  adopt(session: Session, end: TunnelEnd): Channel {
    const { channel } = this.#make(session, end).destination;
    this.#idle.put(channel);
    return channel;
  }

  async #place(terms: FindTerms): Promise<Found> {
    const { budget, peer, carrying, logger } = this.#deps;
    const share = budget.open(peer);
    if ('code' in share) return { ok: false, rejection: share, correlationId: '' };
    const placed = await placeConnection(peer, this.#deps, () => terms.isGone());
    share.placed();
    if (!placed.ok) {
      share.give();
      return { ok: false, rejection: placed.cause, correlationId: placed.correlationId };
    }
    const { session, connection } = placed;
    const { destination, found } = this.#make(session, connection.end);
    const carried = connection.carry(session, { ...carrying, direction: 'outbound', carrier: destination.channel });
    const giveUp = () => connection.reset();
    contain(
      carried.finally(() => share.give()),
      { logger, what: 'carrying a data connection', giveUp },
    );
    return found;
  }

  #make(session: Session, end: TunnelEnd): Placed {
    const { calls, clock } = this.#deps;
    const { policy, identity, calleeGone, limits, bodyWatch } = calls.http1Destination(session, 'outbound');
    const channel = new Channel({
      end,
      fromSidecar: true,
      maxHeaderBytes: limits.maxHeaderListBytes,
      clock,
      onIdle: (idle) => this.#idle.put(idle),
    });
    const destination: Destination = { policy, identity, calleeGone, channel, bodyWatch };
    const placed = { destination, session, found: { ok: true, destination } } as const;
    this.#destinations.set(channel, placed);
    return placed;
  }
}
