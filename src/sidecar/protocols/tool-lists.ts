import type { SpiffeId } from '../../domain/agent-id.ts';
import { isInForce, type Baseline } from '../../domain/baseline.ts';
import type { Digest } from '../../domain/canonical/digest.ts';
import type { JsonValue } from '../../domain/canonical/strict-json.ts';
import {
  describeToolChanges,
  memberDigests,
  printableName,
  toolChanges,
  toolsAsSeen,
  type MemberDigests,
  type SeenTools,
  type ToolChange,
} from '../../domain/mcp/tool-drift.ts';
import { toolPagesIn, TOOL_RULE, type ToolPage } from '../../domain/mcp/tool-page.ts';
import type { MeshState } from '../../domain/mesh-state.ts';
import type { Difference } from '../../domain/measurement.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Session } from '../session/session.ts';
import type { SessionRegistry } from '../session/session-registry.ts';
import type { CheckResult } from './protocol-metrics.ts';
import type { DriftedTools } from './drifted-tools.ts';
import type { ProtocolSettings } from './protocols-section.ts';
import { ToolPages, type PageRequest } from './tool-pages.ts';

export interface ToolListsDeps {
  readonly clock: Clock;
  readonly registry: Pick<SessionRegistry, 'endAll' | 'reconsiderAll'>;
  readonly drifted: DriftedTools;
  readonly settings: ProtocolSettings;
  readonly state: () => MeshState | undefined;
  readonly count: (result: CheckResult) => void;
}

/** Approved definitions of which the members are known; beyond that the knowing starts over. */
const MAX_KNOWN = 4096;

/**
 * Holds the tools that an MCP server lists against those of the baseline that its session stands on. What is different is
 * drift of that server, whatever its own sidecar says that it measures: the answer is refused, and its sessions end as for
 * any drift, unless observe mode waives it.
 */
export class ToolLists {
  readonly #deps: ToolListsDeps;
  readonly #pages = new WeakMap<Session, ToolPages>();
  readonly #known = new Map<Digest, MemberDigests>();

  constructor(deps: ToolListsDeps) {
    this.#deps = deps;
  }

  /**
   * Looks at one message of a server, in the same step with what follows from it.
   *
   * @param requestOf what an answer with this `id` answers; `undefined`: that is not known
   * @returns why the message must not reach our agent; `undefined`: it may
   * @throws ShapeError where it could be taken for a list of tools and cannot be read as one
   */
  judge(
    message: JsonValue,
    session: Session,
    requestOf: (id: ToolPage['id']) => PageRequest | undefined,
  ): Rejection | undefined {
    let refused: Rejection | undefined;
    for (const page of toolPagesIn(message)) refused ??= this.#judgePage(page, session, requestOf(page.id));
    return refused;
  }

  #judgePage(page: ToolPage, session: Session, request: PageRequest | undefined): Rejection | undefined {
    const { settings, count } = this.#deps;
    const complete = this.#pagesOf(session).add(page, request);
    const seen: SeenTools = {
      tools: page.tools,
      complete: settings.fewerTools === 'pass' ? undefined : complete,
    };
    const nearest = this.#baselines(session)
      .map((baseline) => ({ baseline, changes: toolChanges(seen, baseline.digests.tools, this.#members) }))
      .toSorted((a, b) => a.changes.length - b.changes.length || b.baseline.approvedAt - a.baseline.approvedAt)[0];
    if (nearest === undefined) {
      count('refused');
      return rejection('BASELINE_MISSING', `no approved baseline of ${session.peer} says which tools it may list`);
    }
    if (nearest.changes.length === 0) {
      this.#matched(seen, session);
      count('passed');
      return undefined;
    }
    const cause = driftOf(nearest, seen);
    const isObserved = this.#isObserved(session.peer);
    count(isObserved ? 'observed' : 'refused');
    this.#drifted(nearest, { seen, session, cause: isObserved ? undefined : cause });
    return isObserved ? undefined : cause;
  }

  #isObserved(peer: SpiffeId): boolean {
    const until = this.#deps.state()?.agents.get(peer)?.observeUntil ?? -Infinity;
    return this.#deps.clock.now() < until;
  }

  /**
   * From now on admission judges the instance by what it listed. That its sessions end is not left to that: the first cause
   * counts, and this one names each tool.
   *
   * @param cause for which its sessions end; `undefined`: observe mode waives it
   */
  #drifted(
    { baseline, changes }: Compared,
    { seen, session, cause }: { seen: SeenTools; session: Session; cause: Rejection | undefined },
  ): void {
    const { drifted, registry } = this.#deps;
    const { peer, peerInstance } = session;
    if (peerInstance === undefined) return;
    const isNews = drifted.note(peer, peerInstance, toolsAsSeen(baseline.digests.tools, seen, changes));
    if (cause !== undefined) {
      registry.endAll(cause, (other) => other.peer === peer && other.peerInstance === peerInstance);
    } else if (isNews) registry.reconsiderAll();
  }

  #matched({ tools, complete }: SeenTools, { peer, peerInstance }: Session): void {
    for (const { digest, definition } of tools) {
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      if (!this.#known.has(digest)) this.#known.set(digest, memberDigests(definition));
    }
    const { drifted, registry } = this.#deps;
    const isWhole = complete !== undefined && peerInstance !== undefined;
    if (isWhole && drifted.clear(peer, peerInstance)) registry.reconsiderAll();
  }

  readonly #members = (digest: Digest): MemberDigests | undefined => this.#known.get(digest);

  /** The one that the peer was admitted under; where observe mode waived that there is none, all that are in force. */
  #baselines({ peer, permit }: Session): readonly Baseline[] {
    const all = this.#deps.state()?.baselines.get(peer) ?? [];
    const held = permit?.baseline;
    if (held !== undefined) return all.filter(({ id }) => id === held);
    return all.filter((baseline) => isInForce(baseline, this.#deps.clock.now()));
  }

  #pagesOf(session: Session): ToolPages {
    const known = this.#pages.get(session) ?? new ToolPages();
    this.#pages.set(session, known);
    return known;
  }
}

interface Compared {
  readonly baseline: Baseline;
  readonly changes: readonly ToolChange[];
}

function driftOf({ baseline, changes }: Compared, seen: SeenTools): Rejection {
  const approved = baseline.digests.tools;
  const differences = changes.map(({ name, kind }): Difference => {
    const digest = seen.tools.find((tool) => tool.name === name)?.digest;
    return {
      dimension: 'tools',
      item: printableName(name),
      expected: kind === 'added' ? undefined : `${approved?.canonicalization} ${approved?.tools[name]}`,
      observed: digest === undefined ? undefined : `${TOOL_RULE} ${digest}`,
    };
  });
  const detail = `the list of tools is not that of baseline ${baseline.id}: ${describeToolChanges(changes)}`;
  return rejection('TOOLS_DRIFT', detail, { differences, nearestBaseline: baseline.id });
}
