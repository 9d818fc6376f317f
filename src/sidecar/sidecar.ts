/**
 * One sidecar, put together: who knows whom, and in which order things start. What each part does is told where it is;
 * what follows from what, in `reactions.ts`.
 */
import { join, resolve } from 'node:path';
import type { AdmissionPorts } from '../domain/admission.ts';
import { trustDomainOf, type SpiffeId } from '../domain/agent-id.ts';
import type { MeshState } from '../domain/mesh-state.ts';
import { Http1Server } from '../dataplane/http1/http1-server.ts';
import type { Rejection } from '../domain/rejection.ts';
import { AdminSocket } from '../platform/admin-socket.ts';
import { after, systemClock, type Clock } from '../platform/clock.ts';
import { contain } from '../platform/contain.ts';
import { ComponentStack, type Component } from '../platform/component.ts';
import type { Logger } from '../platform/logger.ts';
import { createRegistry } from '../platform/metrics-registry.ts';
import { ProbeServer } from '../platform/probe-server.ts';
import { systemRandom, type RandomSource } from '../platform/random.ts';
import { Readiness } from '../platform/readiness.ts';
import { adminRoutes, type SidecarAddresses } from './admin-routes.ts';
import { APP_BLOCKERS, AppWatch } from './app/app-watch.ts';
import { AgentListener } from './agent-listener.ts';
import { AccessLog } from './calls/access-log.ts';
import { CallCounters } from './calls/call-counters.ts';
import { GateTerms } from './calls/gate-terms.ts';
import type { SidecarConfig } from './config.ts';
import { ConfigReload, type ConfigSource } from './config-reload.ts';
import { DataAcceptor } from './data/data-acceptor.ts';
import { DecisionLog } from './decision-log.ts';
import { answerOperator, type DisclosureDeps } from './disclosure.ts';
import { readEnrollment } from './authority-link/enrollment.ts';
import { drainConnections } from './drain.ts';
import { AgentEntry } from './entry/agent-entry.ts';
import { acceptExchange } from './exchange/acceptor.ts';
import { dialExchange, type DialTarget } from './exchange/dialler.ts';
import { KeepAlive } from './exchange/keep-alive.ts';
import { TrustStore } from '../membership/trust-store.ts';
import { INFERENCE_BLOCKER, INFERENCE_NOT_YET } from './inference/inference-blocker.ts';
import { Inference } from './inference/inference.ts';
import { InUseOverlay } from './inference/in-use-overlay.ts';
import { LiveConfig } from './live-config.ts';
import { resolveMeasureConfig } from './measure/measure-config.ts';
import { createMeasurer } from './measure/measurer.ts';
import { createPromptMemory } from './measure/prompt-memory.ts';
import { MeshMembership } from './membership.ts';
import { outageMargin } from './outage.ts';
import { Outbound } from './outbound.ts';
import { describePeers } from './peer-views.ts';
import { OutboundSet } from './outbound-set.ts';
import { DriftedTools } from './protocols/drifted-tools.ts';
import { ProtocolWatches } from './protocols/protocol-watches.ts';
import { readBodiesOf } from './protocols/read-bodies.ts';
import { Reactions } from './reactions.ts';
import { SelfStanding } from './self-standing.ts';
import { SessionContinuity } from './session/session-continuity.ts';
import { PeerBudget } from './session/peer-budget.ts';
import { poolRecord } from './session/pool-record.ts';
import { SessionPool } from './session/session-pool.ts';
import { SessionRegistry } from './session/session-registry.ts';
import { createSidecarMetrics } from './sidecar-metrics.ts';
import { makeStateDir, reachableAddress, warnOfWeakSeparation } from './start-checks.ts';
import { ControlServer } from './transport/control-server.ts';
import { InboundListener } from './transport/inbound-listener.ts';
import { splitAddress } from '../membership/secure-outbound.ts';

export interface SidecarOptions {
  readonly config: SidecarConfig;
  /** Relative paths in the configuration start here. */
  readonly folder: string;
  /** Where changes of the configuration come from. Default: it never changes. */
  readonly source?: ConfigSource;
  readonly logger: Logger;
  readonly version: string;
  readonly clock?: Clock;
  readonly random?: RandomSource;
  readonly enforcement?: Enforcement;
}

/** For tests that look at one half of enforcement alone; no configuration reaches it. Default: both. */
export interface Enforcement {
  /** False: never ends own sessions for what it finds of its own agent. */
  readonly selfCut?: boolean;
  /** False: waives drift and missing grants of every peer. */
  readonly peerChecks?: boolean;
}

export interface Sidecar {
  /** Resolves when everything is bound and the instance is a member; readiness may still wait for the rest. */
  start(signal?: AbortSignal): Promise<void>;
  /**
   * Tells peers and authority, lets what is open finish within the drain time, then ends what is left.
   *
   * @param cut ends it at once when it aborts. Default: nobody is in a hurry.
   */
  stop(cut?: AbortSignal): Promise<void>;
  /** Reads the configuration again; what is wrong with it is logged. Before the start and after `stop` it does nothing. */
  reload(): Promise<void>;
  /** Resolves when an operator asks the process to end, in good order. */
  readonly quitRequested: Promise<void>;
  readonly readiness: Readiness;
  readonly addresses: () => SidecarAddresses;
}

/** A peer that our agent has just ceased to call: what is left of it needs one instance. */
const LONELY = { instances: 1, eject_after: 5 };
const APP_CONNECT_TIMEOUT_MS = 2000;
const PARK_MS = 1000;
const MAX_PARKED = 64;
const STOP_DEADLINE_MS = 2000;

/**
 * Builds a sidecar; nothing happens before `start`.
 *
 * @throws MeshError when it cannot be read how to join, or a name in the configuration is none
 */
export function createSidecar(options: SidecarOptions): Sidecar {
  const { config, logger, folder, version, enforcement = {} } = options;
  const { clock = systemClock, random = systemRandom } = options;
  const stateDir = resolve(folder, config.state_dir);
  const enrollment = readEnrollment(config.authority, folder);
  const { subject: self, trustDomain } = enrollment;
  const live = new LiveConfig(config, trustDomain);
  const { timing, limits } = live;
  const { handshakeTimeoutMs } = timing;

  const readiness = new Readiness([
    { name: 'join', reason: 'the authority has not admitted this instance yet' },
    { name: 'state', reason: 'the signed state has not arrived yet' },
    { name: 'measurement', reason: 'the agent has not been measured yet' },
    { name: 'standing', reason: 'this sidecar has not admitted itself yet' },
    { name: 'listeners', reason: 'not every listener is bound yet' },
    ...(config.inference === undefined ? [] : [INFERENCE_NOT_YET]),
  ]);
  const metricsRegistry = createRegistry();
  const metrics = createSidecarMetrics(metricsRegistry);
  const trust = new TrustStore();
  const core = { clock, random, logger, metrics, trust, readiness };
  const roots = () => trust.roots;
  const stopping = new AbortController();

  // --- what we are, and what we know of the others
  const isKnownPeer = (peer: SpiffeId): boolean => live.peers.has(peer) || membership.state?.agents.has(peer) === true;
  const decisions = new DecisionLog({ self, clock, logger, metrics, isKnownPeer });
  const promptMemory = createPromptMemory({ directory: join(stateDir, 'prompts'), logger });
  const measurer = createMeasurer({
    config: resolveMeasureConfig(config.measure, folder),
    clock,
    logger,
    onWatchRefused: (dimension) => metrics.watchesRefused.add({ dimension }),
    onFailure: (dimension, reason) => metrics.measurementFailures.add({ dimension, reason }),
    promptMemory,
  });
  /** What the agent is made of: as measured, and as its own calls show it. */
  const overlay = new InUseOverlay({
    clock,
    atRest: () => measurer.current(),
    onChange: () => reactions.measurementChanged(),
  });
  const disclosure: DisclosureDeps = {
    logger,
    now: () => clock.now(),
    measurement: () => overlay.current(),
    baselines: () => membership.state?.baselines.get(self) ?? [],
    promptMemory,
  };
  /** Empty while we are going away: nobody new is to come. */
  const dataAddress = (): string =>
    registry.draining ? '' : (config.inbound.advertise ?? reachableAddress(inbound.address));
  const membership: MeshMembership = new MeshMembership({
    ...core,
    decisions,
    enrollment,
    stateDir,
    handshakeTimeoutMs,
    dataAddress,
    wantedPeers: () => [...live.peers.keys()],
    authorityAddress: enrollment.authority,
    ownRejection: () => ownRejection(),
    sessions: () => registry.live(),
    status: () => ({
      version,
      measurement: overlay.current(),
      baseline: standing.baseline,
      rejection: standing.rejection,
      blockers: readiness.blockers(),
    }),
    answer: (question) => answerOperator(question, disclosure),
    onToken: () => reactions.tokenRenewed(),
    onRotated: () => reactions.rotated(),
    onState: (change) => reactions.stateChanged(change),
    onRevoked: (cause) => reactions.revoked(cause),
  });
  const selfPorts: AdmissionPorts = {
    self,
    acceptedTrustDomains: new Set([trustDomainOf(self)]),
    now: () => clock.now(),
    state: () => membership.state,
    trusts: trust.trusts,
    verifyToken: (token) => trust.verifier.verifyCached(token) ?? trust.verifier.verify(token),
    checkProof: () => ({ ok: false, detail: 'there is no connection to check a proof against' }),
  };
  const driftedTools = new DriftedTools({ clock });
  const peerPorts: AdmissionPorts = { ...selfPorts, toolsSeen: driftedTools.find };
  const ports =
    enforcement.peerChecks === false ? { ...peerPorts, state: () => observingEverybody(membership.state) } : peerPorts;
  const standing = new SelfStanding({
    ...core,
    ports: selfPorts,
    generation: () => membership.identity.current,
    measurement: () => overlay.current(),
    onChange: (next, previous) => reactions.standingChanged(next, previous),
  });
  const ownRejection = (): Rejection | undefined =>
    enforcement.selfCut === false && standing.everAdmitted ? undefined : standing.rejection;

  // --- sessions
  const registry = new SessionRegistry({ clock, ports, decisions, ownRejection });
  const keepAlive = new KeepAlive({
    ...core,
    self,
    timing,
    registry,
    ports,
    decisions,
    dataAddress,
    identity: { forExchange: (withinMs, shown) => membership.identity.forExchange(withinMs, shown) },
    onPeerDraining: (session) => reactions.peerDraining(session),
    continueSession: (session) => continuity.soon(session),
  });
  const dial = (target: DialTarget) => dialExchange(target, { ...keepAlive.deps, roots, stopping: stopping.signal });
  const continuity = new SessionContinuity({
    ...core,
    registry,
    thumbprint: () => membership.identity.current.thumbprint,
    dial,
  });
  const labelOf = (peer: SpiffeId) => decisions.peerLabel(peer);
  const pool = new SessionPool({
    ...core,
    addressesOf: (peer) => {
      const configured = live.peers.get(peer)?.address;
      if (configured !== undefined) return { addresses: [configured], balanced: true };
      const endpoints = membership.state?.endpoints.get(peer) ?? [];
      return { addresses: endpoints.map(({ address }) => address), balanced: false };
    },
    spreadingOf: (peer) => {
      const { instances, eject_after } = live.peers.get(peer) ?? LONELY;
      return { instances, ejectAfter: eject_after };
    },
    dial,
    end: (session, cause) => registry.end(session, cause),
    events: poolRecord({ ...core, labelOf }),
  });
  const budget = new PeerBudget({
    limitsOf: (peer) => live.peers.get(peer)?.limits,
    onExceeded: (peer, name) => metrics.budgetExceeded.add({ peer: labelOf(peer), budget: name }),
  });

  // --- ways in and out
  const counters = new CallCounters(metrics);
  const watches = new ProtocolWatches({
    ...core,
    self,
    live,
    folder,
    registry,
    drifted: driftedTools,
    state: () => membership.state,
  });
  const calls = new GateTerms({
    ...core,
    self,
    decisions,
    counters,
    accessLog: new AccessLog({ logger, settings: live.calls }),
    settings: live.calls,
    peers: () => live.peers,
    readBodies: (direction, peer) => readBodiesOf(live, direction, peer),
    bodyWatch: (session) => watches.of(session),
    state: () => membership.state,
    ownRejection,
    budget,
    health: pool,
  });
  const control = new ControlServer((call, peer) => {
    const giveUp = () => peer.raw.destroy();
    contain(acceptExchange(call, peer, keepAlive.deps), { logger, what: 'accepting an exchange', giveUp });
  });
  const http1 = new Http1Server();
  const acceptor = new DataAcceptor({
    clock,
    http1,
    registry,
    metrics,
    decisions,
    calls,
    instanceId: () => membership.identity.current.instanceId,
    appAddress: () => live.config.app?.address,
    onAppUnreached: (detail) => app.unreached(detail),
    prefaceTimeoutMs: handshakeTimeoutMs,
    appConnectTimeoutMs: APP_CONNECT_TIMEOUT_MS,
    parkMs: PARK_MS,
    maxParked: MAX_PARKED,
    maxPerSession: () => live.config.limits.connections_per_session,
  });
  const inbound: InboundListener = new InboundListener({
    ...core,
    decisions,
    roots,
    listen: config.inbound.listen,
    limits,
    context: () => membership.identity.current.tls,
    thumbprint: () => membership.identity.current.thumbprint,
    hasSession: (thumbprint) => registry.hasLive(thumbprint),
    onControl: (peer) => control.take(peer),
    onData: (peer) => {
      const giveUp = () => peer.raw.destroy();
      contain(acceptor.accept(peer), { logger, what: 'accepting a data connection', giveUp });
    },
  });
  const socketMode = Number.parseInt(config.socket_mode, 8);
  const forAgent = { logger, socketMode };
  const carrier = new Outbound({
    ...core,
    http1,
    entry: new AgentEntry({ random, decisions, settings: live.calls }),
    pool,
    budget,
    continuity,
    decisions,
    calls,
    registry,
    roots,
    timing,
    peers: () => live.peers,
  });
  const outbound: OutboundSet = new OutboundSet({
    logger,
    peers: () => live.peers,
    common:
      config.outbound &&
      new AgentListener({
        ...forAgent,
        name: 'outbound to all peers',
        listen: config.outbound.listen,
        carry: (agent) => carrier.carryRouted(agent, outbound.commonAddress ?? ''),
      }),
    make: (peer, listen) =>
      new AgentListener({
        ...forAgent,
        name: `outbound to ${peer}`,
        listen,
        carry: (agent) => carrier.carry(agent, peer, listen),
      }),
    onLeft: (peer) => reactions.peerRemoved(peer),
    drainMs: () => live.config.timing.drain,
  });
  const generation = () => (membership.joined ? membership.identity.current : undefined);
  const inference =
    config.inference &&
    new Inference({
      ...core,
      config: config.inference,
      folder,
      socketMode,
      self,
      decisions,
      overlay,
      atRest: () => measurer.current(),
      book: promptMemory,
      state: () => membership.state,
      trusts: () => trust.trusts,
      roots,
      identity: generation,
      ownRejection,
      revocation: () => membership.revocation,
      heldUnder: () => standing.heldUnder,
      liveSessions: () => registry.live().length,
    });
  const app = new AppWatch({ logger, readiness, app: () => live.config.app });
  const reactions = new Reactions({
    ...core,
    decisions,
    measured: overlay,
    promptMemory,
    driftedTools,
    membership,
    standing,
    registry,
    pool,
    continuity,
    keepAlive,
    inbound,
    ownRejection,
    app,
    live,
    inference,
  });
  trust.onChange(() => reactions.trustChanged());

  // --- for people
  const reload = new ConfigReload({
    source: options.source,
    live,
    outbound,
    clock,
    logger,
    metrics,
    onApplied: (plan) => reactions.configChanged(plan),
  });
  const meshReadiness = readiness.without(new Set([...APP_BLOCKERS, INFERENCE_BLOCKER]));
  const outage = () => outageMargin({ state: membership.state, generation: generation(), now: clock.now() });
  const probes = new ProbeServer({
    listen: splitAddress(config.metrics.listen),
    readiness,
    partial: { mesh: meshReadiness },
    registry: metricsRegistry,
    beforeScrape: () => {
      counters.sweep();
      const margin = outage();
      if (margin !== undefined) metrics.outageTolerance.set(margin.remainingMs / 1000);
    },
  });
  const admin: AdminSocket = new AdminSocket({
    path: resolve(folder, config.admin.socket ?? join(stateDir, 'admin.sock')),
    logger,
    routes: adminRoutes({
      ...core,
      self,
      config: () => live.config,
      reloaded: () => reload.status,
      meshReadiness,
      quit: () => quit(),
      version,
      registry,
      decisions,
      promptMemory,
      measurement: () => overlay.current(),
      standing: () => ({ rejection: standing.rejection, baseline: standing.baseline }),
      state: () => membership.state,
      generation,
      outage,
      addresses: () => addresses(),
      authority: enrollment.authority,
      roots,
      peers: () => describePeers({ peers: live.peers, pool, budget }),
      clearInUseDrift: () => reactions.inUseCleared(),
    }),
  });
  const addresses = (): SidecarAddresses => ({
    inbound: inbound.address,
    metrics: probes.address,
    admin: admin.path,
    peers: outbound.addresses(),
    ...(outbound.commonAddress !== undefined && { outbound: outbound.commonAddress }),
    ...(inference !== undefined && { inference: inference.address }),
  });

  /** The last to start: everything is bound, so begin to be told, to be measured and to be heard. */
  const mesh: Component = {
    name: 'mesh',
    start: async () => {
      readiness.clear('listeners');
      measurer.onChange(() => reactions.measurementChanged());
      membership.follow();
      reactions.measurementChanged();
      keepAlive.start();
      tick();
    },
    stop: async () => {
      cancelTick();
      keepAlive.stop();
      overlay.stop();
      control.stop();
    },
  };
  let cancelTick = (): void => undefined;
  const tick = () => {
    reactions.secondPassed();
    membership.report();
    cancelTick = after({ delayMs: 1000, run: tick, keepAlive: false });
  };

  let quit = (): void => undefined;
  const quitRequested = new Promise<void>((resolve) => (quit = resolve));
  const parts = [
    probes,
    admin,
    inParallel(measurer, membership),
    inbound,
    outbound,
    ...(inference?.components ?? []),
    mesh,
    app,
    reload,
  ];
  const stack = new ComponentStack(parts, { logger });
  return {
    readiness,
    addresses,
    start: async (signal) => {
      await makeStateDir(stateDir, config, logger);
      await warnOfWeakSeparation(config, folder, logger);
      metrics.buildInfo.set({ version, node: process.version }, 1);
      await stack.start(signal);
      logger.info('sidecar_listening', { agent: self, ...addresses() });
      const whoWeAre = () => ({ agent: self, instance: membership.identity.current.instanceId, ...addresses() });
      void meshReadiness.whenReady().then(() => logger.info('sidecar_mesh_ready', whoWeAre()));
      void readiness.whenReady().then(() => logger.info('sidecar_ready', whoWeAre()));
    },
    reload: () => reload.reload(),
    quitRequested,
    stop: async (cut = new AbortController().signal) => {
      readiness.block('draining', 'this sidecar is shutting down');
      await reload.stop();
      const until = clock.monotonic() + live.config.timing.drain;
      await drainConnections({
        registry,
        logger,
        clock,
        tellPeers: () => keepAlive.drain(),
        tellAuthority: () => membership.leave(),
        refusePeers: () => acceptor.refuseNew(),
        // A dial that began after the sessions were ended would be nobody's.
        listeners: [inbound, outbound, { refuseNew: () => stopping.abort() }],
        withinMs: live.config.timing.drain,
        cut,
      });
      // What peers had open may have needed the model to the end.
      await inference?.drain({ withinMs: until - clock.monotonic(), cut });
      await stack.stop({ deadlineMs: STOP_DEADLINE_MS });
      logger.info('sidecar_stopped');
    },
  };
}

/** Two components that need nothing of each other, as one: joining takes as long as the network does. */
function inParallel(...components: readonly Component[]): Component {
  return {
    name: components.map(({ name }) => name).join(' and '),
    start: async (signal) => {
      await Promise.all(components.map((component) => component.start(signal)));
    },
    stop: async (options) => {
      await Promise.all(components.map((component) => component.stop(options)));
    },
  };
}

/** For tests of the other half alone: nobody's drift or missing grant counts here. */
function observingEverybody(state: MeshState | undefined): MeshState | undefined {
  if (state === undefined) return undefined;
  const agents = new Map([...state.agents].map(([id, agent]) => [id, { ...agent, observeUntil: Infinity }]));
  return { ...state, agents };
}
