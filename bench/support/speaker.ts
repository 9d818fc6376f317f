/**
 * A party that speaks the real protocol from the real parts (exchange, registry, heartbeats, crypto, signed state), but
 * without the rest of a sidecar, so that many fit into one process and one exchange can be measured alone.
 */
import { readFileSync } from 'node:fs';
import { createTlsContext } from '../../src/crypto/tls-context.ts';
import { trustDomainOf } from '../../src/domain/agent-id.ts';
import { parseJoinCredential } from '../../src/domain/join-credential.ts';
import { rejection } from '../../src/domain/rejection.ts';
import type { Measurement } from '../../src/domain/measurement.ts';
import { systemClock as clock } from '../../src/platform/clock.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { createRegistry } from '../../src/platform/metrics-registry.ts';
import { systemRandom as random } from '../../src/platform/random.ts';
import { enrollWithCredential } from '../../src/membership/enrollment.ts';
import { joinMesh, tlsMaterialOf } from '../../src/membership/join.ts';
import { DecisionLog } from '../../src/sidecar/decision-log.ts';
import { acceptExchange } from '../../src/sidecar/exchange/acceptor.ts';
import type { DialDeps } from '../../src/sidecar/exchange/dialler.ts';
import { KeepAlive } from '../../src/sidecar/exchange/keep-alive.ts';
import { InstanceIdentity } from '../../src/sidecar/identity/instance-identity.ts';
import { TrustStore } from '../../src/membership/trust-store.ts';
import { SessionRegistry } from '../../src/sidecar/session/session-registry.ts';
import { createSidecarMetrics } from '../../src/sidecar/sidecar-metrics.ts';
import { StateReceiver } from '../../src/sidecar/state/state-receiver.ts';
import { StateWatch } from '../../src/sidecar/state/state-watch.ts';
import { ControlServer } from '../../src/sidecar/transport/control-server.ts';
import { InboundListener } from '../../src/sidecar/transport/inbound-listener.ts';

const timing = {
  connectTimeoutMs: 10_000,
  exchangeTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  heartbeatMs: 5000,
  lostAfterMs: 15_000,
};
const MANY = 100_000;

export interface SpeakerOptions {
  /** Its join credential. */
  readonly credential: string;
  readonly measurement: Measurement;
  readonly stateDir: string;
  /** Takes exchanges as well; all data connections are refused. Default false. */
  readonly listens?: boolean;
}

export interface Speaker {
  readonly deps: DialDeps;
  readonly registry: SessionRegistry;
  readonly identity: InstanceIdentity;
  readonly trust: TrustStore;
  /** `host:port`, where it listens. */
  readonly address: string;
  stop(): Promise<void>;
}

/** Joins a real authority, gets SVID, AIT and signed state, and hangs up: from then on nobody else costs anything. */
export async function createSpeaker(options: SpeakerOptions): Promise<Speaker> {
  const credential = parseJoinCredential(readFileSync(options.credential, 'utf8'));
  const { subject: self, trustDomain } = credential;
  // Lines are made as in a sidecar; where they go costs nothing here.
  const logger = createLogger({ name: 'bench', level: 'info', destination: { write: () => undefined } });
  const metrics = createSidecarMetrics(createRegistry());
  const trust = new TrustStore();
  const { address, handshakeTimeoutMs } = {
    address: credential.authority,
    handshakeTimeoutMs: timing.handshakeTimeoutMs,
  };
  const join = () => joinMesh({ enrollment: enrollWithCredential(credential), address, clock, handshakeTimeoutMs });
  const membership = await join();
  trust.replace([membership.bundle]);
  const common = { clock, random, logger, metrics, trust };
  const identity = new InstanceIdentity(membership, {
    ...common,
    authorityAddress: address,
    handshakeTimeoutMs,
    dataAddress: () => '127.0.0.1:1',
    inUse: () => false,
    rejoin: join,
    onRotated: () => undefined,
    onToken: () => undefined,
    ownRejection: () => undefined,
  });
  const receiver = new StateReceiver({
    ...common,
    self,
    trustDomain,
    stateDir: options.stateDir,
    onState: () => identity.wake(),
  });
  const watch = new StateWatch({
    ...common,
    receiver,
    channel: () => identity.current.channel(),
    wantedPeers: () => [],
    onRevoked: () => undefined,
  });
  watch.start();
  identity.measured(options.measurement);
  while (receiver.state === undefined || !identity.current.caughtUp) await new Promise((next) => setTimeout(next, 5));
  watch.stop();
  identity.current.channel().close();

  const ports: DialDeps['ports'] = {
    self,
    acceptedTrustDomains: new Set([trustDomainOf(self)]),
    now: () => clock.now(),
    state: () => receiver.state,
    trusts: trust.trusts,
    verifyToken: (token) => trust.verifier.verifyCached(token) ?? trust.verifier.verify(token),
    checkProof: () => ({ ok: false, detail: 'no connection' }),
  };
  const decisions = new DecisionLog({ self, ...common, isKnownPeer: () => true });
  const registry = new SessionRegistry({ clock, ports, decisions, ownRejection: () => undefined });
  const keepAlive = new KeepAlive({
    self,
    ...common,
    timing,
    identity,
    registry,
    ports,
    decisions,
    dataAddress: () => '127.0.0.1:1',
    continueSession: () => undefined,
    onPeerDraining: () => undefined,
  });
  const roots = () => trust.roots;
  const control = new ControlServer((call, peer) => void acceptExchange(call, peer, keepAlive.deps));
  const inbound = new InboundListener({
    ...common,
    listen: '127.0.0.1:0',
    limits: {
      unauthenticated: MANY,
      unauthenticatedPerAddress: MANY,
      unauthenticatedPerSvid: MANY,
      handshakeTimeoutMs,
      proveWithinMs: 10_000,
    },
    decisions,
    thumbprint: () => identity.current.thumbprint,
    context: () => createTlsContext({ ...tlsMaterialOf(membership), caPems: trust.rootPems }),
    roots,
    hasSession: (thumbprint) => registry.hasLive(thumbprint),
    onControl: (peer) => control.take(peer),
    onData: ({ socket }) => socket.destroy(),
  });
  if (options.listens === true) await inbound.start();
  return {
    deps: { ...keepAlive.deps, roots, stopping: new AbortController().signal },
    registry,
    identity,
    trust,
    address: inbound.address,
    stop: async () => {
      registry.endAll(rejection('PEER_DRAINING', 'the benchmark is over'));
      identity.stop();
      control.stop();
      await inbound.stop();
    },
  };
}
