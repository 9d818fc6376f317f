import * as v from 'valibot';
import { parseSpiffeId, parseTrustDomain, type SpiffeId } from '../../src/domain/agent-id.ts';
import type { Grant } from '../../src/domain/grant-policy.ts';
import { assembleMeshState, type MeshState } from '../../src/domain/mesh-state.ts';
import type { Role } from '../../src/domain/identity-token.ts';
import type { Rejection } from '../../src/domain/rejection.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { createRegistry } from '../../src/platform/metrics-registry.ts';
import { AccessLog } from '../../src/sidecar/calls/access-log.ts';
import { CallCounters } from '../../src/sidecar/calls/call-counters.ts';
import { createCallPolicies } from '../../src/sidecar/calls/call-policy.ts';
import { callSettingsOf, callsSection } from '../../src/sidecar/calls/calls-section.ts';
import { DecisionLog, type Decision } from '../../src/sidecar/decision-log.ts';
import type { ControlLink } from '../../src/sidecar/session/session.ts';
import { Session } from '../../src/sidecar/session/session.ts';
import { createSidecarMetrics } from '../../src/sidecar/sidecar-metrics.ts';

export const PLANNER = parseSpiffeId('spiffe://acme.example/agent/planner');
export const RESEARCHER = parseSpiffeId('spiffe://acme.example/agent/researcher');

const CONTROL: ControlLink = {
  askToReconnect: () => undefined,
  sayGoodbye: () => undefined,
  closeSoon: () => undefined,
  closed: Promise.resolve(),
};

/** The signed state of two agents and the grants between them. */
export function stateWith(
  grants: readonly Omit<Grant, 'from' | 'to'>[],
  { observed = {}, content = 'c' }: { observed?: Readonly<Record<SpiffeId, number>>; content?: string } = {},
): MeshState {
  const domain = parseTrustDomain('acme.example');
  return assembleMeshState(
    {
      domain,
      recipient: PLANNER,
      epoch: 1,
      revision: 1,
      content,
      previous: null,
      issuedAt: 0,
      notAfter: 1e15,
      objects: [],
    },
    [
      ...[PLANNER, RESEARCHER].map((id) => ({
        kind: 'agent' as const,
        value: {
          id,
          lifecycle: 'active' as const,
          sponsor: 'u-1',
          ...(observed[id] !== undefined && { observeUntil: observed[id] }),
        },
      })),
      ...grants.map((grant) => ({ kind: 'grant' as const, value: { ...grant, from: PLANNER, to: RESEARCHER } })),
    ],
  );
}

export function liveSession(role: Role = 'dialler', peer: SpiffeId = RESEARCHER): Session {
  const session = new Session({
    correlationId: 'session-correlation',
    role,
    certificate: { spiffeId: peer, thumbprint: 'T', notAfter: 1e15 } as Session['certificate'],
    control: CONTROL,
    remoteAddress: '192.0.2.1:4000',
    monotonicNow: 0,
  });
  session.id = 'abc123';
  session.state = 'live';
  return session;
}

/** All that decides, counts and writes down the calls of the planner's sidecar, with the parts that change in reach. */
export function callWorld(calls: object = {}) {
  let now = 1_000_000;
  const clock = { now: () => now, monotonic: () => now };
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  const logger = createLogger({ name: 'sidecar', destination, clock });
  const registry = createRegistry({ defaultMetrics: false, clock });
  const metrics = createSidecarMetrics(registry);
  const decisions = new DecisionLog({ self: PLANNER, clock, logger, metrics, isKnownPeer: () => true });
  const reported: Decision[] = [];
  decisions.onDecision((decision) => reported.push(decision));
  const counters = new CallCounters(metrics);
  const settings = { ...callSettingsOf({ access_log: false, calls: v.parse(callsSection, calls) }) };
  const world = {
    state: stateWith([{ id: 'g1', calls: [{ path: '/search.v1.Search/*' }] }]) as MeshState | undefined,
    own: undefined as Rejection | undefined,
    /** How many more calls of ours may be open, and how many have been given back. */
    room: 1,
    given: 0,
    /** What was told of the called instance. */
    health: [] as string[],
  };
  const policyFor = createCallPolicies({
    self: PLANNER,
    clock,
    decisions,
    counters,
    accessLog: new AccessLog({ logger, settings }),
    settings,
    state: () => world.state,
    ownRejection: () => world.own,
    budget: { take: () => world.room > 0, give: () => void (world.given += 1) },
    health: { observe: (_session, outcome) => void world.health.push(outcome) },
  });
  const scrape = async () => {
    counters.sweep();
    return registry.render();
  };
  return { world, policyFor, settings, lines, logger, decisions, reported, scrape, pass: (ms: number) => (now += ms) };
}
