import { resolve } from 'node:path';
import { readA2aPath } from '../../domain/a2a/a2a-path.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import type { MeshState } from '../../domain/mesh-state.ts';
import type { BodyWatch, ExchangeHead, ExchangeWatch } from '../../dataplane/http1/body-watch.ts';
import type { Clock } from '../../platform/clock.ts';
import { meshName } from '../calls/mesh-names.ts';
import { directionOf } from '../decision-log.ts';
import type { LiveConfig } from '../live-config.ts';
import type { Session } from '../session/session.ts';
import type { SidecarMetrics } from '../sidecar-metrics.ts';
import { AgentCards } from './agent-cards.ts';
import type { DriftedTools } from './drifted-tools.ts';
import { authorityOf, isToBeRead, readMessageHead } from './message-head.ts';
import type { CheckResult, ProtocolCheck } from './protocol-metrics.ts';
import { readBodiesOf } from './read-bodies.ts';
import { PushTargets } from './push-targets.ts';
import { ToolLists, type ToolListsDeps } from './tool-lists.ts';
import { WatchedExchange } from './watched-exchange.ts';

export interface ProtocolWatchesDeps {
  readonly self: SpiffeId;
  readonly clock: Clock;
  readonly metrics: SidecarMetrics;
  readonly live: LiveConfig;
  /** Relative paths in the configuration start here. */
  readonly folder: string;
  readonly registry: ToolListsDeps['registry'];
  readonly drifted: DriftedTools;
  readonly state: () => MeshState | undefined;
}

/** Methods whose requests have no body that means anything (RFC 9110, section 9.3). */
const WITHOUT_BODY = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'DELETE']);

/**
 * What is looked at in the bodies of calls between agents. Of calls to our own agent: where it is told to push
 * notifications. Of calls of our own agent: that too, and the agent cards and lists of tools that it gets, because whoever
 * gets them must not have to trust the sidecar of whoever gives them.
 */
export class ProtocolWatches {
  readonly #deps: ProtocolWatchesDeps;
  readonly #push: PushTargets;
  readonly #cards: AgentCards;
  readonly #tools: ToolLists;

  constructor(deps: ProtocolWatchesDeps) {
    const { self, live, state } = deps;
    const settings = live.protocols;
    this.#deps = deps;
    this.#push = new PushTargets({ settings, agents: () => new Set([self, ...(state()?.agents.keys() ?? [])]) });
    this.#cards = new AgentCards({ settings, count: (result) => this.#count('outbound', 'agent_card', result) });
    this.#tools = new ToolLists({
      ...deps,
      settings,
      count: (result) => this.#count('outbound', 'tool_list', result),
    });
  }

  /** For the connections of one session. */
  of(session: Session): BodyWatch {
    return { open: (head) => this.#open(head, session) };
  }

  #open({ method, path, requestHeaders }: ExchangeHead, session: Session): ExchangeWatch | undefined {
    const direction = directionOf(session.role);
    const isOurs = direction === 'outbound';
    const mayHaveBody = !WITHOUT_BODY.has(method);
    if (!mayHaveBody && !isOurs) return undefined;
    const bodies = readBodiesOf(this.#deps.live, direction, session.peer);
    if (bodies === 'none') return undefined;
    const a2a = readA2aPath(path);
    const head = readMessageHead(requestHeaders);
    const readsRequest = mayHaveBody && (a2a.isPush || isToBeRead(head, bodies));
    const readsAnswer = isOurs && (a2a.card !== undefined || head.takesEvents || head.isMcp);
    if (!readsRequest && !readsAnswer) return undefined;
    const { live } = this.#deps;
    const count = (result: CheckResult) => this.#count(direction, 'push_target', result);
    return new WatchedExchange(
      { method, a2a, head, readsRequest },
      {
        limit: live.protocols.bodyBytes,
        pushTargets: (request, isPushPath) => this.#push.judge(request, { isPushPath, count }),
        answers: isOurs
          ? {
              cards: this.#cards,
              passage: {
                authority: authorityOf(head, meshName(session.peer)),
                keyFile: this.#keyFileOf(session.peer),
              },
              tools: (message, requestOf) => this.#tools.judge(message, session, requestOf),
            }
          : undefined,
      },
    );
  }

  #keyFileOf(peer: SpiffeId): string | undefined {
    const file = this.#deps.live.peers.get(peer)?.card_keys;
    return file === undefined ? undefined : resolve(this.#deps.folder, file);
  }

  #count(direction: 'inbound' | 'outbound', check: ProtocolCheck, result: CheckResult): void {
    this.#deps.metrics.protocolChecks.add({ direction, check, result });
  }
}
