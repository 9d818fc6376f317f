import type { Rejection } from '../domain/rejection.ts';
import type { SpiffeId } from '../domain/agent-id.ts';
import type { Logger } from '../platform/logger.ts';
import type { Readiness } from '../platform/readiness.ts';
import type { AppWatch } from './app/app-watch.ts';
import type { DecisionLog } from './decision-log.ts';
import type { KeepAlive } from './exchange/keep-alive.ts';
import type { ConfigPlan, LiveConfig } from './live-config.ts';
import type { MeshMembership } from './membership.ts';
import type { Inference } from './inference/inference.ts';
import type { InUseOverlay } from './inference/in-use-overlay.ts';
import type { PromptMemory } from './measure/prompt-memory.ts';
import type { DriftedTools } from './protocols/drifted-tools.ts';
import type { SelfStanding } from './self-standing.ts';
import type { SessionContinuity } from './session/session-continuity.ts';
import type { Session } from './session/session.ts';
import type { SessionPool } from './session/session-pool.ts';
import type { SessionRegistry } from './session/session-registry.ts';
import type { SidecarMetrics } from './sidecar-metrics.ts';
import type { InboundListener } from './transport/inbound-listener.ts';

export interface ReactionsDeps {
  readonly logger: Logger;
  readonly metrics: SidecarMetrics;
  readonly readiness: Readiness;
  readonly decisions: DecisionLog;
  /** What the agent is made of: as measured, and as its own calls show it. */
  readonly measured: Pick<InUseOverlay, 'clear' | 'current'>;
  readonly driftedTools: Pick<DriftedTools, 'clearAll'>;
  readonly promptMemory: PromptMemory;
  readonly membership: MeshMembership;
  readonly standing: SelfStanding;
  readonly registry: SessionRegistry;
  readonly pool: SessionPool;
  readonly continuity: SessionContinuity;
  readonly keepAlive: KeepAlive;
  readonly inbound: InboundListener;
  readonly ownRejection: () => Rejection | undefined;
  readonly app: AppWatch;
  readonly live: LiveConfig;
  /** Where the agent calls its model, if it does. */
  readonly inference: Inference | undefined;
}

/**
 * What follows from what: the one place that says what a sidecar does when something that it depends on has changed.
 * Every reaction is synchronous: nothing else happens between a change and the cut that it calls for.
 */
export class Reactions {
  readonly #deps: ReactionsDeps;

  constructor(deps: ReactionsDeps) {
    this.#deps = deps;
  }

  /** The agent is made of something else now, or can no longer be measured: we judge ourselves, then tell everybody. */
  measurementChanged(): void {
    const { measured, readiness, membership, standing, metrics, keepAlive, ownRejection } = this.#deps;
    const result = measured.current();
    if (result.ok) {
      readiness.clear('measurement');
      membership.identity.measured(result.measurement);
    } else readiness.block('measurement', `${result.rejection.code}: ${result.rejection.detail}`);
    const refused = standing.evaluate();
    metrics.measurements.add({ standing: refused === undefined ? 'in_order' : 'refused' });
    if (ownRejection() === undefined) keepAlive.announce();
  }

  /**
   * An operator has it forgotten what calls have shown: of our own agent, and of the tools of peers.
   *
   * @returns whether there was any drift
   */
  inUseCleared(): boolean {
    const { measured, driftedTools, registry, pool } = this.#deps;
    const own = measured.clear();
    const ofPeers = driftedTools.clearAll();
    if (!ofPeers) return own;
    registry.reconsiderAll();
    pool.retryAtOnce();
    return true;
  }

  /** What we think of ourselves has changed. */
  standingChanged(next: Rejection | undefined, previous: Rejection | undefined): void {
    const { readiness, registry, decisions, membership, ownRejection, inference } = this.#deps;
    if (next === undefined) {
      this.#inOrderAgain();
      return;
    }
    const sessionsEnded = registry.live().length;
    if (ownRejection() !== undefined) {
      registry.endAll(next);
      inference?.cut(next);
    }
    readiness.block('standing', `${next.code}: ${next.detail}`);
    if (membership.joined) membership.identity.wake();
    if (next.code !== 'AIT_MISSING' && next.code !== 'STATE_MISSING') {
      decisions.selfRefused(next, { wasInOrder: previous === undefined, sessionsEnded });
    }
  }

  /** New signed state is in force; a refresh only makes the known one valid for longer. */
  stateChanged({ refresh }: { readonly refresh: boolean }): void {
    const { readiness, standing, registry, pool, membership, inference } = this.#deps;
    readiness.clear('state');
    standing.evaluate();
    registry.reconsiderAll();
    inference?.reconsider();
    if (!refresh) pool.retryAtOnce();
    if (membership.joined) membership.identity.wake();
  }

  /** The authority says that we are revoked. Peers end our sessions; what no peer sees, we end ourselves. */
  revoked(cause: Rejection): void {
    this.#deps.inference?.cut(cause);
  }

  /** A token that says what is measured now, or lives longer, has arrived. */
  tokenRenewed(): void {
    const { standing, keepAlive, pool } = this.#deps;
    standing.evaluate();
    keepAlive.announce();
    pool.retryAtOnce();
  }

  /** A new certificate is in use. */
  rotated(): void {
    const { inbound, standing, continuity } = this.#deps;
    inbound.rotate();
    standing.evaluate();
    continuity.follow();
  }

  /** Other roots or keys are trusted from now on. What hung on one that left ends; the rest notices nothing. */
  trustChanged(): void {
    const { membership, inbound, standing, registry, inference } = this.#deps;
    if (!membership.joined) return;
    membership.identity.trustChanged();
    inbound.rotate();
    standing.evaluate();
    registry.reconsiderAll();
    inference?.reconsider();
  }

  /** Once a second: what only time changes. The wall clock is compared, because it may have been set. */
  secondPassed(): void {
    const { standing, registry, pool, membership, continuity, live, inference } = this.#deps;
    membership.identity.tick();
    standing.evaluate();
    registry.reconsiderAll();
    inference?.reconsider();
    continuity.follow();
    pool.closeIdle(live.config.timing.idle_after);
  }

  /** The other side of a session is going away in good order. */
  peerDraining(session: Session): void {
    const { pool, logger } = this.#deps;
    if (pool.leave(session)) logger.info('peer_draining', { peer: session.peer, sessionId: session.id });
  }

  /** Other settings are in force from now on. */
  configChanged({ config, changed, displaced }: ConfigPlan): void {
    const { app, logger, membership, pool } = this.#deps;
    // Not where it did not change: an operator may have set another one by hand.
    if (changed.includes('log_level')) logger.level = config.log_level;
    if (changed.some((path) => path.split('.', 1)[0] === 'app')) app.changed();
    for (const peer of displaced) pool.retirePeer(peer);
    if (!changed.includes('peers')) return;
    pool.retryAtOnce();
    membership.wishesChanged();
  }

  /** Our agent is no longer to call this peer: what it has open with it finishes. */
  peerRemoved(peer: SpiffeId): void {
    const { registry } = this.#deps;
    for (const session of registry.live()) {
      if (session.peer !== peer || session.role !== 'dialler') continue;
      for (const connection of session.connections) connection.finish();
    }
  }

  #inOrderAgain(): void {
    const { readiness, pool, membership, standing, measured, promptMemory, logger } = this.#deps;
    readiness.clear('standing');
    pool.retryAtOnce();
    membership.identity.wake();
    logger.info('standing_in_order', { baseline: standing.baseline });
    const result = measured.current();
    if (!result.ok || standing.baseline === undefined) return;
    for (const { hash } of Object.values(result.measurement.system_prompt?.prompts ?? {})) {
      promptMemory.approve(hash).catch((error: unknown) => logger.warn('prompt_not_kept', { error }));
    }
  }
}
