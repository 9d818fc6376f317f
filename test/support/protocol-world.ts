import * as v from 'valibot';
import type { Baseline } from '../../src/domain/baseline.ts';
import { digestJson } from '../../src/domain/canonical/digest.ts';
import type { JsonObject } from '../../src/domain/canonical/strict-json.ts';
import type { Role } from '../../src/domain/identity-token.ts';
import type { Rejection } from '../../src/domain/rejection.ts';
import { createRegistry } from '../../src/platform/metrics-registry.ts';
import { sidecarConfigSchema } from '../../src/sidecar/config.ts';
import { LiveConfig } from '../../src/sidecar/live-config.ts';
import { DriftedTools } from '../../src/sidecar/protocols/drifted-tools.ts';
import { ProtocolWatches } from '../../src/sidecar/protocols/protocol-watches.ts';
import { createSidecarMetrics } from '../../src/sidecar/sidecar-metrics.ts';
import type { BodyVerdict, ExchangeHead } from '../../src/dataplane/http1/body-watch.ts';
import { trustDomainOf } from '../../src/domain/agent-id.ts';
import { MEASUREMENT } from '../unit/crypto/fixture.ts';
import { liveSession, PLANNER, RESEARCHER, stateWith } from './call-world.ts';

export interface Tool {
  readonly name: string;
  readonly description?: string;
}

export const SEARCH: Tool = { name: 'search', description: 'Finds.' };
export const FETCH: Tool = { name: 'fetch', description: 'Fetches.' };

export interface ProtocolWorldOptions {
  readonly config?: object;
  /** Of the only peer. */
  readonly peer?: object;
  readonly app?: object;
  readonly role?: Role;
  readonly approved?: readonly Tool[];
  /** Milliseconds since the epoch. */
  readonly observeUntil?: number;
  readonly folder?: string;
}

/** A body watch of the planner's sidecar, of a session with the researcher, and everything that it may change. */
export function protocolWorld(options: ProtocolWorldOptions = {}) {
  const { config = {}, peer = {}, app = {}, role = 'dialler', approved = [SEARCH, FETCH], folder = '/' } = options;
  let now = 1_000_000;
  let judgedAgain = 0;
  const ended: Rejection[] = [];
  const clock = { now: () => now, monotonic: () => now };
  const registry = createRegistry();
  const parsed = v.parse(sidecarConfigSchema, {
    state_dir: '/state',
    authority: { join_credential: '/none' },
    measure: {
      system_prompt: 'not_applicable',
      knowledge_base: 'not_applicable',
      model: { provider: 'example', id: 'large', version: '1' },
      tools: 'not_applicable',
    },
    app: { address: '127.0.0.1:1', ...app },
    peers: [{ agent: 'researcher', ...peer }],
    ...config,
  });
  const base = stateWith([{ id: 'g' }], {
    observed: options.observeUntil === undefined ? {} : { [RESEARCHER]: options.observeUntil },
  });
  const baseline: Baseline = {
    id: 'researcher-1',
    agent: RESEARCHER,
    state: 'approved',
    approvedAt: 1,
    minimumAssurance: { system_prompt: 'declared', knowledge_base: 'declared', model: 'declared', tools: 'declared' },
    digests: { ...MEASUREMENT, tools: approvedTools(approved) },
  };
  const state = { ...base, baselines: new Map([[RESEARCHER, [baseline]]]) };
  const session = liveSession(role, RESEARCHER);
  session.permit = { peer: RESEARCHER, instance: 'instance-1', baseline: 'researcher-1' } as typeof session.permit;
  const drifted = new DriftedTools({ clock });
  const watch = new ProtocolWatches({
    self: PLANNER,
    clock,
    metrics: createSidecarMetrics(registry),
    live: new LiveConfig(parsed, trustDomainOf(PLANNER)),
    folder,
    registry: {
      reconsiderAll: () => void (judgedAgain += 1),
      endAll: (cause, which) => void (which?.(session) === true && ended.push(cause)),
    },
    drifted,
    state: () => state,
  }).of(session);
  return {
    watch,
    session,
    drifted,
    judgedAgain: () => judgedAgain,
    /** What the session was ended for, each time. */
    ended,
    pass: (ms: number) => void (now += ms),
    scrape: () => registry.render(),
    exchange: (head: Partial<ExchangeHead>) => watch.open({ method: 'POST', path: '/', requestHeaders: [], ...head }),
  };
}

function approvedTools(tools: readonly Tool[]) {
  if (tools.length === 0) return null;
  const digests = tools.map((tool) => [tool.name, digestJson(tool as unknown as JsonObject)] as const);
  return { canonicalization: 'ait-json-1' as const, tools: Object.fromEntries(digests) };
}

/** The rejection code, or the body that goes on. */
export function outcomeOf(verdict: BodyVerdict | undefined): string {
  if (verdict === undefined) return 'untouched';
  return verdict.ok ? verdict.body.toString() : verdict.rejection.code;
}
