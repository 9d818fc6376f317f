/**
 * One sidecar, put together: who knows whom, and in which order things start. What each part does is told where it is.
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createTlsContext } from '../crypto/tls-context.ts';
import type { AdmissionPorts } from '../domain/admission.ts';
import { resolveAgentId, trustDomainOf, type SpiffeId } from '../domain/agent-id.ts';
import type { JoinCredential } from '../domain/join-credential.ts';
import { MeshError } from '../domain/mesh-error.ts';
import type { MeshState } from '../domain/mesh-state.ts';
import type { Rejection } from '../domain/rejection.ts';
import { AdminSocket } from '../platform/admin-socket.ts';
import { after, systemClock, type Clock } from '../platform/clock.ts';
import { ComponentStack, type Component } from '../platform/component.ts';
import type { Logger } from '../platform/logger.ts';
import { createRegistry } from '../platform/metrics-registry.ts';
import { ProbeServer } from '../platform/probe-server.ts';
import { Backoff, systemRandom, type RandomSource } from '../platform/random.ts';
import { Readiness } from '../platform/readiness.ts';
import { AuthorityError } from './authority-link/authority-channel.ts';
import { joinMesh, tlsMaterialOf, type Membership } from './authority-link/join.ts';
import type { SidecarConfig } from './config.ts';
import { DataAcceptor } from './data/data-acceptor.ts';
import { DecisionLog } from './decision-log.ts';
import { dialExchange } from './exchange/dialler.ts';
import { acceptExchange } from './exchange/acceptor.ts';
import { KeepAlive } from './exchange/keep-alive.ts';
import { InstanceIdentity } from './identity/instance-identity.ts';
import { TrustStore } from './identity/trust-store.ts';
import { resolveMeasureConfig } from './measure/measure-config.ts';
import { createMeasurer } from './measure/measurer.ts';
import { createPromptMemory } from './measure/prompt-memory.ts';
import { Outbound } from './outbound.ts';
import { Reporter } from './reporter.ts';
import { SelfStanding } from './self-standing.ts';
import { readCredential, reachableAddress, warnOfWeakSeparation } from './start-checks.ts';
import { SessionPool } from './session/session-pool.ts';
import { SessionRegistry, drainingRejection } from './session/session-registry.ts';
import { createSidecarMetrics } from './sidecar-metrics.ts';
import { adminRoutes } from './admin-routes.ts';
import { StateReceiver } from './state/state-receiver.ts';
import { StateWatch } from './state/state-watch.ts';
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
  /**
   * For tests that look at one half of enforcement alone; reachable from no configuration. `selfCut: false`: never ends
   * own sessions for own drift. `peerChecks: false`: admits every peer whose identity is in order.
   */
  readonly enforcement?: { readonly selfCut?: boolean; readonly peerChecks?: boolean };
}

export interface Sidecar {
  /** Resolves when everything is bound and the sidecar is a member; readiness may still wait for the agent's state. */
  start(signal?: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  readonly readiness: Readiness;
  readonly addresses: SidecarAddresses;
}

export interface SidecarAddresses {
  readonly inbound: string;
  readonly metrics: string;
  readonly admin: string;
  readonly peers: readonly { readonly agent: SpiffeId; readonly listen: string }[];
}

const APP_CONNECT_TIMEOUT_MS = 2000;
const PARK_MS = 1000;
const MAX_PARKED = 64;
const JOIN_RETRY = { minMs: 200, maxMs: 10_000 } as const;

/** Builds a sidecar; nothing happens before `start`. */
export function createSidecar(options: SidecarOptions): Sidecar {
  return new MeshSidecar(options);
}

/** What exists only once the instance is a member of the mesh. */
interface Member {
  readonly identity: InstanceIdentity;
  readonly receiver: StateReceiver;
  readonly watch: StateWatch;
  readonly reporter: Reporter;
}

class MeshSidecar implements Sidecar {
  readonly readiness = new Readiness([
    { name: 'join', reason: 'the authority has not admitted this instance yet' },
    { name: 'state', reason: 'the signed state has not arrived yet' },
    { name: 'measurement', reason: 'the agent has not been measured yet' },
    { name: 'standing', reason: 'this sidecar has not admitted itself yet' },
    { name: 'listeners', reason: 'not every listener is bound yet' },
  ]);
  readonly #options: SidecarOptions;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #logger: Logger;
  readonly #credential: JoinCredential;
  readonly #stateDir: string;
  readonly #metricsRegistry = createRegistry();
  readonly #metrics = createSidecarMetrics(this.#metricsRegistry);
  readonly #trust = new TrustStore();
  readonly #peers: ReadonlyMap<SpiffeId, SidecarConfig['peers'][number]>;
  readonly #stack: ComponentStack;
  readonly #inbound: InboundListener;
  readonly #outbound: readonly Outbound[];
  readonly #probes: ProbeServer;
  readonly #admin: AdminSocket;
  readonly #measurer;
  readonly #promptMemory;
  readonly #decisions: DecisionLog;
  readonly #registry: SessionRegistry;
  readonly #pool: SessionPool;
  readonly #standing: SelfStanding;
  readonly #keepAlive: KeepAlive;
  #member: Member | undefined;
  #cancelTick: (() => void) | undefined;

  constructor(options: SidecarOptions) {
    const { config, logger, folder } = options;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#logger = logger;
    this.#stateDir = resolve(folder, config.state_dir);
    this.#credential = readCredential(resolve(folder, config.authority.join_credential));
    const self = this.#credential.agent;
    const { trustDomain } = this.#credential;
    this.#peers = new Map(config.peers.map((peer) => [resolveAgentId(trustDomain, peer.agent), peer]));
    const clock = this.#clock;
    const metrics = this.#metrics;
    const random = this.#random;

    this.#decisions = new DecisionLog({ self, clock, logger, metrics, isKnownPeer: (peer) => this.#isKnownPeer(peer) });
    this.#promptMemory = createPromptMemory({ directory: join(this.#stateDir, 'prompts'), logger });
    this.#measurer = createMeasurer({
      config: resolveMeasureConfig(config.measure, folder),
      clock,
      logger,
      onFailure: (dimension, reason) => metrics.measurementFailures.add({ dimension, reason }),
      promptMemory: this.#promptMemory,
    });
    const ports = this.#admissionPorts(self);
    const ownRejection = () => this.#ownRejection();
    this.#registry = new SessionRegistry({ clock, ports, decisions: this.#decisions, ownRejection });
    this.#standing = new SelfStanding({
      clock,
      random,
      ports: { ...ports, state: () => this.#member?.receiver.state },
      generation: () => this.#identity.current,
      measurement: () => this.#measurer.current(),
      onChange: (next, previous) => this.#standingChanged(next, previous),
    });
    const timing = {
      exchangeTimeoutMs: config.timing.exchange_timeout,
      handshakeTimeoutMs: config.timing.handshake_timeout,
      heartbeatMs: config.timing.heartbeat,
      lostAfterMs: config.timing.lost_after,
    };
    this.#keepAlive = new KeepAlive({
      self,
      clock,
      random,
      timing,
      identity: { forExchange: (signal) => this.#identity.forExchange(signal) },
      registry: this.#registry,
      ports,
      metrics,
      decisions: this.#decisions,
      dataAddress: () => this.#dataAddress(),
    });
    const roots = () => this.#trust.roots;
    this.#pool = new SessionPool({
      clock,
      random,
      addressesOf: (peer) => this.#addressesOf(peer),
      dial: (target) => dialExchange(target, { ...this.#keepAlive.deps, roots }),
      end: (session, cause) => this.#registry.end(session, cause),
    });
    const acceptor = new DataAcceptor({
      registry: this.#registry,
      metrics,
      decisions: this.#decisions,
      instanceId: () => this.#identity.current.instanceId,
      appAddress: config.app?.address,
      prefaceTimeoutMs: timing.handshakeTimeoutMs,
      appConnectTimeoutMs: APP_CONNECT_TIMEOUT_MS,
      parkMs: PARK_MS,
      maxParked: MAX_PARKED,
    });
    const control = new ControlServer((call, peer) => void acceptExchange(call, peer, this.#keepAlive.deps));
    this.#inbound = new InboundListener({
      listen: config.inbound.listen,
      limits: {
        unauthenticated: config.limits.unauthenticated,
        unauthenticatedPerAddress: config.limits.unauthenticated_per_address,
        unauthenticatedPerSvid: config.limits.unauthenticated_per_svid,
        handshakeTimeoutMs: timing.handshakeTimeoutMs,
        proveWithinMs: timing.exchangeTimeoutMs,
      },
      clock,
      metrics,
      decisions: this.#decisions,
      context: () => createTlsContext({ ...tlsMaterialOf(this.#identity.current.membership), caPems: this.#trust.rootPems }),
      roots,
      onControl: (peer) => control.take(peer),
      onData: (peer) => void acceptor.accept(peer),
    });
    this.#outbound = [...this.#peers].map(
      ([peer, { listen }]) =>
        new Outbound({
          peer,
          listen,
          socketMode: Number.parseInt(config.socket_mode, 8),
          pool: this.#pool,
          metrics,
          decisions: this.#decisions,
          clock,
          registry: this.#registry,
          roots,
          handshakeTimeoutMs: timing.handshakeTimeoutMs,
          answerTimeoutMs: timing.exchangeTimeoutMs,
        }),
    );
    this.#probes = new ProbeServer({
      listen: splitAddress(config.metrics.listen),
      readiness: this.readiness,
      registry: this.#metricsRegistry,
      beforeScrape: () => this.#refreshGauges(),
    });
    this.#admin = new AdminSocket({
      path: resolve(folder, config.admin.socket ?? join(this.#stateDir, 'admin.sock')),
      routes: adminRoutes({
        self,
        config,
        version: options.version,
        clock,
        logger,
        readiness: this.readiness,
        registry: this.#registry,
        decisions: this.#decisions,
        promptMemory: this.#promptMemory,
        measurement: () => this.#measurer.current(),
        standing: () => ({ rejection: this.#standing.rejection, baseline: this.#standing.baseline }),
        state: () => this.#member?.receiver.state,
        generation: () => this.#member?.identity.current,
        addresses: () => this.addresses,
      }),
    });
    this.#stack = new ComponentStack(
      [this.#probes, this.#admin, this.#measuring(), this.#membership(), this.#inbound, ...this.#outbound, this.#running()],
      { logger },
    );
  }

  get addresses(): SidecarAddresses {
    return {
      inbound: this.#inbound.address,
      metrics: this.#probes.address,
      admin: this.#admin.path,
      peers: [...this.#peers.keys()].map((agent, index) => ({ agent, listen: this.#outbound[index]?.address ?? '' })),
    };
  }

  async start(signal?: AbortSignal): Promise<void> {
    await mkdir(this.#stateDir, { recursive: true, mode: 0o700 });
    await warnOfWeakSeparation(this.#options.config, this.#options.folder, this.#logger);
    this.#metrics.buildInfo.set({ version: this.#options.version, node: process.version }, 1);
    await this.#stack.start(signal);
    this.#logger.info('sidecar_listening', { agent: this.#credential.agent, ...this.addresses });
    void this.readiness.whenReady().then(() => {
      const instance = this.#member?.identity.current.instanceId;
      this.#logger.info('sidecar_ready', { agent: this.#credential.agent, instance, ...this.addresses });
    });
  }

  /** Refuses new connections, lets open ones finish within the drain time, then ends what is left. */
  async stop(): Promise<void> {
    const { drain } = this.#options.config.timing;
    this.readiness.block('draining', 'this sidecar is shutting down');
    this.#logger.info('sidecar_draining', { connections: this.#openConnections(), drainMs: drain });
    this.#inbound.refuseNew();
    for (const outbound of this.#outbound) outbound.refuseNew();
    await this.#drained(drain);
    const open = this.#registry.all();
    this.#registry.endAll(drainingRejection());
    for (const session of open) for (const connection of session.connections) connection.reset();
    await this.#stack.stop({ deadlineMs: 2000 });
    this.#logger.info('sidecar_stopped');
  }

  get #identity(): InstanceIdentity {
    if (this.#member === undefined) throw new MeshError('INTERNAL', 'the identity was used before the sidecar had joined');
    return this.#member.identity;
  }

  #admissionPorts(self: SpiffeId): AdmissionPorts {
    const waive = this.#options.enforcement?.peerChecks === false;
    return {
      self,
      acceptedTrustDomains: new Set([trustDomainOf(self)]),
      now: () => this.#clock.now(),
      state: () => {
        const state = this.#member?.receiver.state;
        return waive && state !== undefined ? observingEverybody(state) : state;
      },
      verifyToken: (token) => this.#trust.verifier.verifyCached(token) ?? this.#trust.verifier.verify(token),
      checkProof: () => ({ ok: false, detail: 'there is no connection to check a proof against' }),
    };
  }

  #ownRejection(): Rejection | undefined {
    const cause = this.#standing.rejection;
    return this.#options.enforcement?.selfCut === false && this.#standing.everAdmitted ? undefined : cause;
  }

  #measuring(): Component {
    const measurer = this.#measurer;
    let stopListening = (): void => undefined;
    return {
      name: 'measurer',
      start: async (signal) => {
        await measurer.start(signal);
        stopListening = measurer.onChange(() => this.#measurementChanged());
      },
      stop: async (options) => {
        stopListening();
        await measurer.stop(options);
      },
    };
  }

  /** Joins, and builds what needs a member's identity. */
  #membership(): Component {
    return {
      name: 'membership',
      start: async (signal) => {
        const membership = await this.#join(signal);
        this.#trust.replace([membership.bundle]);
        const deps = { clock: this.#clock, random: this.#random, logger: this.#logger, metrics: this.#metrics, trust: this.#trust };
        const identity = new InstanceIdentity(membership, {
          ...deps,
          authorityAddress: this.#authorityAddress,
          handshakeTimeoutMs: this.#options.config.timing.handshake_timeout,
          dataAddress: () => this.#dataAddress(),
          rejoin: () => this.#join(new AbortController().signal),
          onRotated: () => this.#rotated(),
          onToken: () => {
            this.#standing.evaluate();
            this.#keepAlive.announce();
          },
          ownRejection: () => this.#ownRejection(),
        });
        const receiver = new StateReceiver({
          ...deps,
          self: this.#credential.agent,
          trustDomain: this.#credential.trustDomain,
          stateDir: this.#stateDir,
          onState: () => this.#stateChanged(),
        });
        const channel = () => identity.current.channel();
        const watch = new StateWatch({ ...deps, receiver, channel });
        const reporter = new Reporter({ ...deps, channel });
        this.#member = { identity, receiver, watch, reporter };
        this.#trust.onChange(() => {
          identity.trustChanged();
          this.#inbound.rotate();
        });
        this.#decisions.onDecision((decision) => reporter.add(decision));
        await receiver.restore();
        this.readiness.clear('join');
      },
      stop: async () => {
        this.#member?.watch.stop();
        this.#member?.reporter.stop();
        this.#member?.identity.stop();
      },
    };
  }

  /** Everything is bound: begin to be measured, watched and heard. */
  #running(): Component {
    return {
      name: 'mesh',
      start: async () => {
        this.readiness.clear('listeners');
        this.#member?.watch.start();
        this.#member?.identity.start();
        this.#measurementChanged();
        this.#keepAlive.start();
        this.#tick();
      },
      stop: async () => {
        this.#cancelTick?.();
        this.#keepAlive.stop();
      },
    };
  }

  async #join(signal: AbortSignal): Promise<Membership> {
    const backoff = new Backoff({ ...JOIN_RETRY, random: this.#random });
    for (;;) {
      try {
        const membership = await joinMesh({
          credential: this.#credential,
          address: this.#authorityAddress,
          clock: this.#clock,
          handshakeTimeoutMs: this.#options.config.timing.handshake_timeout,
        });
        this.#logger.info('joined', { instance: membership.instanceId, authority: this.#authorityAddress });
        return membership;
      } catch (error) {
        if (!(error instanceof AuthorityError)) throw error;
        if (!error.transient) throw joinRefused(error);
        const delayMs = backoff.next();
        this.readiness.block('join', error.message);
        this.#logger.warn('join_failed', { reason: error.reason ?? error.refused?.code ?? 'AUTHORITY_UNREACHABLE', error, retryMs: Math.round(delayMs) });
        await pause(delayMs, signal);
      }
    }
  }

  get #authorityAddress(): string {
    return this.#options.config.authority.address ?? this.#credential.authority;
  }

  #measurementChanged(): void {
    const result = this.#measurer.current();
    if (result.ok) {
      this.readiness.clear('measurement');
      this.#identity.measured(result.measurement);
    } else this.readiness.block('measurement', `${result.rejection.code}: ${result.rejection.detail}`);
    const refused = this.#standing.evaluate();
    this.#metrics.measurements.add({ standing: refused === undefined ? 'in_order' : 'refused' });
    if (this.#ownRejection() === undefined) this.#keepAlive.announce();
  }

  #standingChanged(next: Rejection | undefined, previous: Rejection | undefined): void {
    if (next === undefined) {
      this.readiness.clear('standing');
      this.#pool.retryAtOnce();
      this.#identity.wake();
      this.#rememberApprovedPrompts();
      this.#logger.info('standing_in_order', { baseline: this.#standing.baseline });
      return;
    }
    const ended = this.#registry.live().length;
    if (this.#ownRejection() !== undefined) this.#registry.endAll(next);
    this.readiness.block('standing', `${next.code}: ${next.detail}`);
    this.#member?.identity.wake();
    if (next.code !== 'AIT_MISSING' && next.code !== 'STATE_MISSING') {
      this.#decisions.selfRefused(next, { wasInOrder: previous === undefined, sessionsEnded: ended });
    }
  }

  #rememberApprovedPrompts(): void {
    const result = this.#measurer.current();
    if (!result.ok || this.#standing.baseline === undefined) return;
    for (const { hash } of Object.values(result.measurement.system_prompt?.prompts ?? {})) {
      this.#promptMemory.approve(hash).catch((error: unknown) => this.#logger.warn('prompt_not_kept', { error }));
    }
  }

  #stateChanged(): void {
    this.readiness.clear('state');
    this.#standing.evaluate();
    this.#registry.reconsiderAll();
    this.#pool.retryAtOnce();
    this.#member?.identity.wake();
  }

  #rotated(): void {
    this.#inbound.rotate();
    this.#member?.watch.reopen();
    this.#standing.evaluate();
  }

  /** Once a second: what only time changes. The wall clock is compared, because it may have been set. */
  #tick(): void {
    this.#standing.evaluate();
    this.#registry.reconsiderAll();
    this.#pool.closeIdle(this.#options.config.timing.idle_after);
    this.#cancelTick = after({ delayMs: 1000, run: () => this.#tick(), keepAlive: false });
  }

  #refreshGauges(): void {
    const notAfter = this.#member?.receiver.state?.head.notAfter;
    if (notAfter !== undefined) this.#metrics.outageTolerance.set(Math.max(0, notAfter - this.#clock.now()) / 1000);
  }

  #addressesOf(peer: SpiffeId): readonly string[] {
    const configured = this.#peers.get(peer)?.address;
    if (configured !== undefined) return [configured];
    return (this.#member?.receiver.state?.endpoints.get(peer) ?? []).map(({ address }) => address);
  }

  #isKnownPeer(peer: SpiffeId): boolean {
    return this.#peers.has(peer) || this.#member?.receiver.state?.agents.has(peer) === true;
  }

  #dataAddress(): string {
    const { advertise } = this.#options.config.inbound;
    return advertise ?? reachableAddress(this.#inbound.address);
  }

  #openConnections(): number {
    return this.#registry.all().reduce((sum, session) => sum + session.connections.size, 0);
  }

  async #drained(withinMs: number): Promise<void> {
    const startedAt = this.#clock.monotonic();
    while (this.#openConnections() > 0 && this.#clock.monotonic() - startedAt < withinMs) {
      await this.#registry.nextRelease(withinMs - (this.#clock.monotonic() - startedAt));
    }
  }
}

/** For tests of the other half alone: nobody's drift or missing grant counts here. */
function observingEverybody(state: MeshState): MeshState {
  const agents = new Map([...state.agents].map(([id, agent]) => [id, { ...agent, observeUntil: Infinity }]));
  return { ...state, agents };
}

function joinRefused(error: AuthorityError): MeshError {
  const code = error.reason ?? error.refused?.code;
  return new MeshError('JOIN_REFUSED', `the authority refused this instance: ${code === undefined ? '' : `${code}: `}${error.message}`, {
    cause: error,
    hint: 'a new join credential comes from `ait agent credential <agent>` on the authority',
  });
}

/** @throws the signal's reason when it aborts */
function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      cancel();
      reject(signal.reason as Error);
    };
    const cancel = after({
      delayMs,
      run: () => {
        signal.removeEventListener('abort', stop);
        resolve();
      },
    });
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
