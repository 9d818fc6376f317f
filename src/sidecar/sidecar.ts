/**
 * One sidecar, put together: who knows whom, and in which order things start. What each part does is told where it is;
 * what follows from what, in `reactions.ts`.
 */
import { join, resolve } from 'node:path';
import type { AdmissionPorts } from '../domain/admission.ts';
import { resolveAgentId, trustDomainOf, type SpiffeId } from '../domain/agent-id.ts';
import type { MeshState } from '../domain/mesh-state.ts';
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
import type { SidecarConfig } from './config.ts';
import { DataAcceptor } from './data/data-acceptor.ts';
import { DecisionLog } from './decision-log.ts';
import { readEnrollment } from './authority-link/enrollment.ts';
import { drainConnections } from './drain.ts';
import { acceptExchange } from './exchange/acceptor.ts';
import { dialExchange } from './exchange/dialler.ts';
import { KeepAlive } from './exchange/keep-alive.ts';
import { TrustStore } from './identity/trust-store.ts';
import { resolveMeasureConfig } from './measure/measure-config.ts';
import { createMeasurer } from './measure/measurer.ts';
import { createPromptMemory } from './measure/prompt-memory.ts';
import { MeshMembership } from './membership.ts';
import { Outbound } from './outbound.ts';
import { Reactions } from './reactions.ts';
import { SelfStanding } from './self-standing.ts';
import { SessionPool } from './session/session-pool.ts';
import { SessionRegistry } from './session/session-registry.ts';
import { createSidecarMetrics } from './sidecar-metrics.ts';
import { makeStateDir, reachableAddress, warnOfWeakSeparation } from './start-checks.ts';
import { ControlServer } from './transport/control-server.ts';
import { InboundListener } from './transport/inbound-listener.ts';
import { splitAddress } from './transport/secure-outbound.ts';

export interface SidecarOptions {
  readonly config: SidecarConfig;
  /** Relative paths in the configuration start here. */
  readonly folder: string;
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
  /** Refuses new connections, lets open ones finish within the drain time, then ends what is left. */
  stop(): Promise<void>;
  readonly readiness: Readiness;
  readonly addresses: () => SidecarAddresses;
}

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
  const { agent: self, trustDomain } = enrollment;
  const peers = new Map(config.peers.map((peer) => [resolveAgentId(trustDomain, peer.agent), peer]));
  const timing = {
    exchangeTimeoutMs: config.timing.exchange_timeout,
    handshakeTimeoutMs: config.timing.handshake_timeout,
    heartbeatMs: config.timing.heartbeat,
    lostAfterMs: config.timing.lost_after,
  };
  const { handshakeTimeoutMs } = timing;

  const readiness = new Readiness([
    { name: 'join', reason: 'the authority has not admitted this instance yet' },
    { name: 'state', reason: 'the signed state has not arrived yet' },
    { name: 'measurement', reason: 'the agent has not been measured yet' },
    { name: 'standing', reason: 'this sidecar has not admitted itself yet' },
    { name: 'listeners', reason: 'not every listener is bound yet' },
  ]);
  const metricsRegistry = createRegistry();
  const metrics = createSidecarMetrics(metricsRegistry);
  const trust = new TrustStore();
  const core = { clock, random, logger, metrics, trust, readiness };
  const roots = () => trust.roots;
  const stopping = new AbortController();

  // --- what we are, and what we know of the others
  const isKnownPeer = (peer: SpiffeId): boolean => peers.has(peer) || membership.state?.agents.has(peer) === true;
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
  const dataAddress = (): string => config.inbound.advertise ?? reachableAddress(inbound.address);
  const membership: MeshMembership = new MeshMembership({
    ...core,
    decisions,
    enrollment,
    stateDir,
    handshakeTimeoutMs,
    dataAddress,
    authorityAddress: enrollment.authority,
    ownRejection: () => ownRejection(),
    sessions: () => registry.live(),
    onToken: () => reactions.tokenRenewed(),
    onRotated: () => reactions.rotated(),
    onState: (change) => reactions.stateChanged(change),
  });
  const selfPorts: AdmissionPorts = {
    self,
    acceptedTrustDomains: new Set([trustDomainOf(self)]),
    now: () => clock.now(),
    state: () => membership.state,
    verifyToken: (token) => trust.verifier.verifyCached(token) ?? trust.verifier.verify(token),
    checkProof: () => ({ ok: false, detail: 'there is no connection to check a proof against' }),
  };
  const ports =
    enforcement.peerChecks === false ? { ...selfPorts, state: () => observingEverybody(membership.state) } : selfPorts;
  const standing = new SelfStanding({
    ...core,
    ports: selfPorts,
    generation: () => membership.identity.current,
    measurement: () => measurer.current(),
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
  });
  const pool = new SessionPool({
    ...core,
    addressesOf: (peer) => {
      const configured = peers.get(peer)?.address;
      if (configured !== undefined) return { addresses: [configured], balanced: true };
      const endpoints = membership.state?.endpoints.get(peer) ?? [];
      return { addresses: endpoints.map(({ address }) => address), balanced: false };
    },
    dial: (target) => dialExchange(target, { ...keepAlive.deps, roots, stopping: stopping.signal }),
    end: (session, cause) => registry.end(session, cause),
  });

  // --- ways in and out
  const control = new ControlServer((call, peer) => {
    const giveUp = () => peer.raw.destroy();
    contain(acceptExchange(call, peer, keepAlive.deps), { logger, what: 'accepting an exchange', giveUp });
  });
  const acceptor = new DataAcceptor({
    registry,
    metrics,
    decisions,
    instanceId: () => membership.identity.current.instanceId,
    appAddress: config.app?.address,
    prefaceTimeoutMs: handshakeTimeoutMs,
    appConnectTimeoutMs: APP_CONNECT_TIMEOUT_MS,
    parkMs: PARK_MS,
    maxParked: MAX_PARKED,
  });
  const inbound: InboundListener = new InboundListener({
    ...core,
    decisions,
    roots,
    listen: config.inbound.listen,
    limits: {
      unauthenticated: config.limits.unauthenticated,
      unauthenticatedPerAddress: config.limits.unauthenticated_per_address,
      unauthenticatedPerSvid: config.limits.unauthenticated_per_svid,
      handshakeTimeoutMs,
      proveWithinMs: timing.exchangeTimeoutMs,
    },
    context: () => membership.identity.current.tls,
    thumbprint: () => membership.identity.current.thumbprint,
    hasSession: (thumbprint) => registry.hasLive(thumbprint),
    onControl: (peer) => control.take(peer),
    onData: (peer) => {
      const giveUp = () => peer.raw.destroy();
      contain(acceptor.accept(peer), { logger, what: 'accepting a data connection', giveUp });
    },
  });
  const outbound = [...peers].map(
    ([peer, { listen }]) =>
      new Outbound({
        ...core,
        peer,
        listen,
        pool,
        decisions,
        registry,
        roots,
        handshakeTimeoutMs,
        socketMode: Number.parseInt(config.socket_mode, 8),
        answerTimeoutMs: timing.exchangeTimeoutMs,
      }),
  );
  const reactions = new Reactions({
    ...core,
    decisions,
    measurer,
    promptMemory,
    membership,
    standing,
    registry,
    pool,
    keepAlive,
    inbound,
    ownRejection,
    idleAfterMs: config.timing.idle_after,
  });
  trust.onChange(() => reactions.trustChanged());

  // --- for people
  const probes = new ProbeServer({
    listen: splitAddress(config.metrics.listen),
    readiness,
    registry: metricsRegistry,
    beforeScrape: () => {
      const notAfter = membership.state?.head.notAfter;
      if (notAfter !== undefined) metrics.outageTolerance.set(Math.max(0, notAfter - clock.now()) / 1000);
    },
  });
  const admin: AdminSocket = new AdminSocket({
    path: resolve(folder, config.admin.socket ?? join(stateDir, 'admin.sock')),
    logger,
    routes: adminRoutes({
      ...core,
      self,
      config,
      version,
      registry,
      decisions,
      promptMemory,
      measurement: () => measurer.current(),
      standing: () => ({ rejection: standing.rejection, baseline: standing.baseline }),
      state: () => membership.state,
      generation: () => (membership.joined ? membership.identity.current : undefined),
      addresses: () => addresses(),
    }),
  });
  const addresses = (): SidecarAddresses => ({
    inbound: inbound.address,
    metrics: probes.address,
    admin: admin.path,
    peers: [...peers.keys()].map((agent, index) => ({ agent, listen: outbound[index]?.address ?? '' })),
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
      control.stop();
    },
  };
  let cancelTick = (): void => undefined;
  const tick = () => {
    reactions.secondPassed();
    cancelTick = after({ delayMs: 1000, run: tick, keepAlive: false });
  };

  const stack = new ComponentStack([probes, admin, inParallel(measurer, membership), inbound, ...outbound, mesh], {
    logger,
  });
  return {
    readiness,
    addresses,
    start: async (signal) => {
      await makeStateDir(stateDir, config, logger);
      await warnOfWeakSeparation(config, folder, logger);
      metrics.buildInfo.set({ version, node: process.version }, 1);
      await stack.start(signal);
      logger.info('sidecar_listening', { agent: self, ...addresses() });
      void readiness.whenReady().then(() => {
        logger.info('sidecar_ready', { agent: self, instance: membership.identity.current.instanceId, ...addresses() });
      });
    },
    stop: async () => {
      readiness.block('draining', 'this sidecar is shutting down');
      await drainConnections({
        registry,
        logger,
        clock,
        listeners: [inbound, ...outbound],
        withinMs: config.timing.drain,
      });
      stopping.abort();
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
