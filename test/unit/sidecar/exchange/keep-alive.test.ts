import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerIdentity } from '../../../../src/crypto/svid.ts';
import { parseSpiffeId } from '../../../../src/domain/agent-id.ts';
import { rejection } from '../../../../src/domain/rejection.ts';
import { systemClock as clock } from '../../../../src/platform/clock.ts';
import { createRegistry } from '../../../../src/platform/metrics-registry.ts';
import { systemRandom as random } from '../../../../src/platform/random.ts';
import { DecisionLog } from '../../../../src/sidecar/decision-log.ts';
import type { ControlStream, OutgoingMessage } from '../../../../src/sidecar/exchange/control-stream.ts';
import type { ExchangeDeps, LiveExchange } from '../../../../src/sidecar/exchange/exchange.ts';
import { KeepAlive } from '../../../../src/sidecar/exchange/keep-alive.ts';
import { Session } from '../../../../src/sidecar/session/session.ts';
import { SessionRegistry } from '../../../../src/sidecar/session/session-registry.ts';
import { createSidecarMetrics } from '../../../../src/sidecar/sidecar-metrics.ts';
import { createLogBook } from '../../../support/authority-harness.ts';
import { collectGarbage } from '../../../support/collect-garbage.ts';

const SELF = parseSpiffeId('spiffe://acme.example/agent/planner');
const PEER = parseSpiffeId('spiffe://acme.example/agent/researcher');

/** The end of one control connection, as far as heartbeats need it. */
class FakeStream {
  readonly overflowed = false;
  readonly sent: OutgoingMessage[] = [];
  #end: (() => void) | undefined;
  readonly #ended = new Promise<undefined>((resolve) => {
    this.#end = () => resolve(undefined);
  });

  send(message: OutgoingMessage): void {
    this.sent.push(message);
  }

  next(): Promise<undefined> {
    return this.#ended;
  }

  end(): void {
    this.#end?.();
  }
}

function world() {
  const { logger } = createLogBook();
  const metrics = createSidecarMetrics(createRegistry());
  const decisions = new DecisionLog({ self: SELF, clock, logger, metrics, isKnownPeer: () => true });
  const ports = {} as ExchangeDeps['ports'];
  const registry = new SessionRegistry({ clock, ports, decisions, ownRejection: () => undefined });
  const timing = {
    connectTimeoutMs: 1000,
    exchangeTimeoutMs: 1000,
    handshakeTimeoutMs: 1000,
    heartbeatMs: 60_000,
    lostAfterMs: 60_000,
  };
  const keepAlive = new KeepAlive({
    self: SELF,
    clock,
    logger,
    random,
    timing,
    registry,
    ports,
    metrics,
    decisions,
    identity: { forExchange: () => Promise.reject(new Error('nobody is dialled here')) },
    dataAddress: () => '127.0.0.1:1',
    continueSession: () => undefined,
    onPeerDraining: () => undefined,
  });
  return { keepAlive, registry };
}

function liveSession(registry: SessionRegistry): Session {
  const control = { askToReconnect() {}, sayGoodbye() {}, closeSoon() {}, closed: Promise.resolve() };
  const certificate = { spiffeId: PEER, notAfter: Infinity } as PeerIdentity;
  const session = new Session({
    correlationId: 'c',
    role: 'dialler',
    certificate,
    control,
    remoteAddress: '127.0.0.1:2',
    monotonicNow: clock.monotonic(),
  });
  registry.register(session);
  session.permit = { standing: { token: {} } } as Session['permit'];
  session.state = 'live';
  return session;
}

function exchangeOf(
  session: Session,
  stream = new FakeStream(),
): LiveExchange & { readonly stream: FakeStream & ControlStream } {
  const statement = { ait: 'a token', measurement: {}, signProof: () => 'a proof' };
  return {
    session,
    stream: stream as FakeStream & ControlStream,
    ours: { statement: () => statement },
    stated: statement,
    proofs: { next: () => 'a proof' },
    checker: {},
  } as unknown as LiveExchange & { readonly stream: FakeStream & ControlStream };
}

/**
 * Has the session go on over so many connections, each of which the peer hangs up once there is another. A function of
 * its own: what a test that awaits has touched itself stays alive with it.
 */
function rotate({ keepAlive, session, times }: { keepAlive: KeepAlive; session: Session; times: number }) {
  return Array.from({ length: times }, (_, rotation) => {
    const exchange = exchangeOf(session);
    keepAlive.adopt(exchange);
    if (rotation < times - 1) exchange.stream.end();
    return new WeakRef(exchange);
  });
}

const held = (exchanges: readonly WeakRef<object>[]) => exchanges.map((exchange) => exchange.deref() !== undefined);

test('a session that goes on over many connections holds the last one only, and none once it has ended', async () => {
  const { keepAlive, registry } = world();
  const session = liveSession(registry);
  const exchanges = rotate({ keepAlive, session, times: 20 });
  await collectGarbage();
  assert.deepEqual(held(exchanges), [...Array.from({ length: 19 }, () => false), true]);

  exchanges.at(-1)?.deref()?.stream.end();
  registry.end(session, rejection('IDLE', 'the test is over'));
  await collectGarbage();
  assert.deepEqual(held(exchanges).filter(Boolean), []);
});

test('the last of several connections ends with the session', () => {
  const { keepAlive, registry } = world();
  const session = liveSession(registry);
  const [first, second] = [exchangeOf(session), exchangeOf(session)];
  keepAlive.adopt(first);
  keepAlive.adopt(second);
  keepAlive.announce();
  registry.end(session, rejection('IDLE', 'the test is over'));
  keepAlive.announce();
  assert.deepEqual([first.stream.sent.length, second.stream.sent.length], [0, 1]);
});
