import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rejection } from '../../../../src/domain/rejection.ts';
import { systemClock } from '../../../../src/platform/clock.ts';
import { createRegistry } from '../../../../src/platform/metrics-registry.ts';
import type { DialResult, DialTarget } from '../../../../src/sidecar/exchange/dialler.ts';
import { SessionContinuity } from '../../../../src/sidecar/session/session-continuity.ts';
import type { SessionRegistry } from '../../../../src/sidecar/session/session-registry.ts';
import type { Session } from '../../../../src/sidecar/session/session.ts';
import { createSidecarMetrics } from '../../../../src/sidecar/sidecar-metrics.ts';
import { createLogBook } from '../../../support/authority-harness.ts';
import { pollUntil } from '../../../support/poll-until.ts';

const HOUR_MS = 3_600_000;

interface Fake {
  readonly session: Session;
  asked: number;
}

function fakeSession(role: 'dialler' | 'acceptor', thumbprint = 'old'): Fake {
  const notAfter = systemClock.now() + HOUR_MS;
  const fake: Fake = { asked: 0, session: undefined as never };
  const session = {
    role,
    state: 'live',
    id: 'ab'.repeat(16),
    peer: 'spiffe://acme.example/agent/researcher',
    correlationId: 'c',
    remoteAddress: '127.0.0.1:1',
    certificate: { notAfter },
    terms: { ours: { thumbprint, notAfter }, dataAddress: '127.0.0.1:2' },
    control: { askToReconnect: () => (fake.asked += 1) },
  } as unknown as Session;
  return Object.assign(fake, { session });
}

function continuityOf(sessions: readonly Session[], answers: readonly DialResult[] = []) {
  const dialled: DialTarget[] = [];
  const left = [...answers];
  const continuity = new SessionContinuity({
    clock: systemClock,
    // No spread, no rest after a failure.
    random: { bytes: (count) => Buffer.alloc(count), uniform: () => 0 },
    logger: createLogBook().logger,
    metrics: createSidecarMetrics(createRegistry()),
    registry: { live: () => sessions } as unknown as SessionRegistry,
    thumbprint: () => 'new',
    dial: async (target) => {
      dialled.push(target);
      return left.shift() ?? { ok: false, cause: rejection('PEER_UNREACHABLE', 'nobody there') };
    },
  });
  return { continuity, dialled };
}

test('after a rotation the dialler dials the very instance, and the acceptor asks once', async () => {
  const [called, calling] = [fakeSession('acceptor'), fakeSession('dialler')];
  const upToDate = fakeSession('dialler', 'new');
  const { continuity, dialled } = continuityOf(
    [called.session, calling.session, upToDate.session],
    [{ ok: true, session: calling.session }],
  );
  continuity.follow();
  continuity.follow();
  await pollUntil(
    () => dialled.length,
    (count) => count > 0,
  );
  assert.deepEqual(
    dialled.map(({ address, continues }) => [address, continues === calling.session]),
    [['127.0.0.1:2', true]],
  );
  assert.equal(called.asked, 1);
  assert.equal(calling.asked, 0);
});

test('what fails is tried again until it succeeds, and no longer than the session lives', async () => {
  const { session } = fakeSession('dialler');
  const failed: DialResult = { ok: false, cause: rejection('PEER_UNREACHABLE', 'nobody there') };
  const { continuity, dialled } = continuityOf([session], [failed, failed, { ok: true, session }]);
  assert.equal(await continuity.now(session), false);
  await pollUntil(
    () => dialled.length,
    (count) => count === 3,
  );

  const ended = fakeSession('dialler');
  const other = continuityOf([ended.session]);
  assert.equal(await other.continuity.now(ended.session), false);
  ended.session.state = 'ended';
  assert.equal(await other.continuity.now(ended.session), false, 'nobody is dialled for a session that is over');
  assert.equal(other.dialled.length, 1);
});

test('connections that cannot wait share one attempt', async () => {
  const { session } = fakeSession('dialler');
  const { continuity, dialled } = continuityOf([session], [{ ok: true, session }]);
  assert.deepEqual(await Promise.all([continuity.now(session), continuity.now(session)]), [true, true]);
  assert.equal(dialled.length, 1);
});
