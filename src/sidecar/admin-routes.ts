import { readCertificateFields } from '../crypto/certificate-fields.ts';
import { rootPin } from '../crypto/root-pin.ts';
import type { SpiffeId } from '../domain/agent-id.ts';
import { objectAt, ShapeError, stringAt } from '../domain/json-shape.ts';
import type { MeshState } from '../domain/mesh-state.ts';
import { measurementToJson } from '../domain/measurement-json.ts';
import { driftDimension, type Rejection } from '../domain/rejection.ts';
import type { TrustedRoots } from '../membership/peer-inspection.ts';
import type { AdminAnswer, AdminRoutes } from '../platform/admin-socket.ts';
import type { Clock } from '../platform/clock.ts';
import { LOG_LEVELS, type Logger } from '../platform/logger.ts';
import type { Readiness, ReadinessView } from '../platform/readiness.ts';
import type { SidecarConfig } from './config.ts';
import type { ReloadStatus } from './config-reload.ts';
import type { Decision, DecisionLog } from './decision-log.ts';
import type { Generation } from './identity/generation.ts';
import type { MeasurementResult } from './measure/measurer.ts';
import type { OutageMargin } from './outage.ts';
import type { PromptMemory } from './measure/prompt-memory.ts';
import type { PeerReport } from './peer-views.ts';
import type { SessionRegistry } from './session/session-registry.ts';

/** Where a sidecar listens, as bound. */
export interface SidecarAddresses {
  readonly inbound: string;
  readonly metrics: string;
  readonly admin: string;
  /** Where our agent calls all its peers; absent where it is not configured. */
  readonly outbound?: string;
  readonly peers: readonly { readonly agent: SpiffeId; readonly listen: string }[];
  /** Where the agent calls its model, if it does. */
  readonly inference?: string;
}

export interface AdminDeps {
  readonly self: SpiffeId;
  /** In force at the moment. */
  readonly config: () => SidecarConfig;
  readonly reloaded: () => ReloadStatus;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly readiness: Readiness;
  /** The same, but for what depends on the agent's own listener. */
  readonly meshReadiness: ReadinessView;
  /** Has the process end in good order. */
  readonly quit: () => void;
  readonly registry: SessionRegistry;
  readonly decisions: DecisionLog;
  readonly promptMemory: Pick<PromptMemory, 'describe'>;
  readonly measurement: () => MeasurementResult;
  readonly standing: () => { readonly rejection: Rejection | undefined; readonly baseline: string | undefined };
  readonly state: () => MeshState | undefined;
  readonly generation: () => Generation | undefined;
  readonly outage: () => OutageMargin | undefined;
  readonly addresses: () => SidecarAddresses;
  /** The authority's `host:port`. */
  readonly authority: string;
  readonly roots: () => TrustedRoots;
  readonly peers: () => readonly PeerReport[];
  /** Forgets drift that calls showed, of the agent and of its peers. @returns whether there was any. */
  readonly clearInUseDrift: () => boolean;
}

/** What an operator can ask a sidecar. Nothing here changes anything but the log level, what calls have shown, and whether it goes on. */
export function adminRoutes(deps: AdminDeps): AdminRoutes {
  const { readiness, meshReadiness, registry, decisions, logger } = deps;
  return {
    'GET /status': () => ({ body: status(deps) }),
    'GET /sessions': () => ({
      body: registry.all().map((session) => ({
        id: session.id,
        correlationId: session.correlationId,
        state: session.state,
        role: session.role,
        peer: session.peer,
        peerInstance: session.peerInstance,
        baseline: session.permit?.baseline,
        remoteAddress: session.remoteAddress,
        acceptedAt: session.acceptedAt,
        connections: session.connections.size,
      })),
    }),
    'GET /peers': () => ({ body: deps.peers() }),
    'GET /config': () => {
      const config = deps.config();
      return { body: { ...config, authority: redacted(config.authority) } };
    },
    'GET /decisions': () => ({ body: decisions.recent().map((decision) => withTextDifference(decision, deps)) }),
    'GET /readyz': () => answerReadiness(readiness),
    'GET /readyz/mesh': () => answerReadiness(meshReadiness),
    'POST /quit': () => {
      logger.info('quit_requested');
      deps.quit();
      return { status: 202, body: { quitting: true } };
    },
    'POST /in-use/clear': () => {
      const cleared = deps.clearInUseDrift();
      logger.info('in_use_drift_cleared', { cleared });
      return { body: { cleared } };
    },
    'POST /log-level': ({ body }) => {
      const wanted = stringAt(
        objectAt(body ?? {}, 'request', { required: ['level'] })['level'],
        'level',
        /^.{1,16}$/,
        'a level',
      );
      const level = LOG_LEVELS.find((known) => known === wanted);
      if (level === undefined) throw new ShapeError('level', `not one of ${LOG_LEVELS.join(', ')}`);
      logger.level = level;
      return { body: { level } };
    },
  };
}

function answerReadiness(view: ReadinessView): AdminAnswer {
  return { status: view.ready ? 200 : 503, body: view.blockers() };
}

/** Where the secrets are is nobody's business but the operator's who put them there. */
function redacted(section: SidecarConfig['authority']): object {
  const hidden = ['join_credential', 'service_account_token_file'];
  return Object.fromEntries(
    Object.entries(section).map(([name, value]) => [name, hidden.includes(name) ? '[redacted]' : value]),
  );
}

function status(deps: AdminDeps): object {
  const { clock, readiness, self, version } = deps;
  const [state, generation, measured, { rejection, baseline }] = [
    deps.state(),
    deps.generation(),
    deps.measurement(),
    deps.standing(),
  ];
  return {
    agent: self,
    version,
    instance: generation?.instanceId,
    now: clock.now(),
    ready: readiness.ready,
    blockers: readiness.blockers(),
    config: deps.reloaded(),
    inOrder: rejection === undefined,
    ...(rejection !== undefined && { rejection }),
    ...(baseline !== undefined && { baseline }),
    measurement: measured.ok ? measurementToJson(measured.measurement) : { rejection: measured.rejection },
    certificate: generation && {
      thumbprint: generation.thumbprint,
      notBefore: generation.notBefore,
      notAfter: generation.notAfter,
    },
    roots: [...deps.roots()].flatMap(([trustDomain, roots]) =>
      roots.map((root) => ({
        trustDomain,
        sha256: rootPin(root.raw),
        notAfter: readCertificateFields(root.raw).notAfter,
      })),
    ),
    authority: { address: deps.authority, skewMs: generation?.authoritySkewMs },
    ait: generation?.token && { expires: generation.token.claims.exp * 1000, caughtUp: generation.caughtUp },
    state: state && { epoch: state.head.epoch, revision: state.head.revision, notAfter: state.head.notAfter },
    outage: deps.outage(),
    addresses: deps.addresses(),
  };
}

/** For drift of our own prompt: where the text departs from the approved one. Offsets only, never the text. */
function withTextDifference(decision: Decision, { promptMemory }: AdminDeps): object {
  const { rejection } = decision;
  const mine = rejection?.self === true && driftDimension(rejection.code) !== undefined;
  if (!mine) return decision;
  const prompts = (rejection.differences ?? []).filter(({ dimension }) => dimension === 'system_prompt');
  for (const { item, expected, observed } of prompts) {
    if (expected === undefined || observed === undefined) continue;
    const difference = promptMemory.describe(expected, observed);
    if (difference !== undefined) return { ...decision, textDifference: { prompt: item, ...difference } };
  }
  return decision;
}
