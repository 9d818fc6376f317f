import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSpiffeId } from '../../../../src/domain/agent-id.ts';
import { rejection } from '../../../../src/domain/rejection.ts';
import type { DialResult } from '../../../../src/sidecar/exchange/dialler.ts';
import type { Session } from '../../../../src/sidecar/session/session.ts';
import { SessionPool } from '../../../../src/sidecar/session/session-pool.ts';

const PEER = parseSpiffeId('spiffe://acme.example/agent/researcher');

/** A pool whose peers are at these addresses; each dial is answered by `answer`. */
function poolOf(addresses: () => readonly string[], answer: (address: string) => DialResult) {
  const dialled: string[] = [];
  const ended: Session[] = [];
  let now = 0;
  const pool = new SessionPool({
    clock: { now: () => now, monotonic: () => now },
    // Chance takes what comes first, and rests are over at once.
    random: { bytes: (count) => Buffer.alloc(count), uniform: () => 0 },
    addressesOf: () => ({ addresses: addresses(), balanced: false }),
    spreadingOf: () => ({ instances: 2, ejectAfter: 5 }),
    dial: ({ address }) => {
      dialled.push(address);
      return Promise.resolve(answer(address));
    },
    end: (session) => void ended.push(session),
    events: { ejected: () => undefined, returned: () => undefined, circuit: () => undefined },
  });
  return { pool, dialled, ended, pass: (ms: number) => void (now += ms) };
}

function sessionAt(address: string): DialResult & { ok: true } {
  const session = { state: 'live', connections: new Set(), usedAt: 0, remoteAddress: address } as unknown as Session;
  return { ok: true, session };
}

const draining: DialResult & { ok: false } = {
  ok: false,
  cause: rejection('PEER_REFUSED', 'the peer says DRAINING', { peerSaid: { reason: 'DRAINING', correlationId: 'x' } }),
};

describe('a peer whose instance is leaving', () => {
  test('the next connection goes to another, and is not even tried where it leaves', async () => {
    const { pool, dialled } = poolOf(() => ['a', 'b'], sessionAt);
    const first = await pool.sessionTo(PEER);
    assert.ok(first.ok);
    assert.equal(pool.leave(first.session), true);
    assert.equal(pool.leave(first.session), false, 'said again: no news');
    const second = await pool.sessionTo(PEER);
    assert.ok(second.ok && second.session.remoteAddress === 'b');
    assert.deepEqual(dialled, ['a', 'b']);
  });

  test('where there is no other it serves on, and is not closed as idle; once it refuses it is not asked again', async () => {
    let leaving = false;
    const { pool, ended } = poolOf(
      () => ['a'],
      (address) => (leaving ? draining : sessionAt(address)),
    );
    const first = await pool.sessionTo(PEER);
    assert.ok(first.ok);
    const { session } = first;
    leaving = true;
    pool.leave(session);
    const second = await pool.sessionTo(PEER);
    assert.ok(second.ok && second.session === session);
    pool.report(session, undefined);
    pool.report(session, draining.cause);
    pool.closeIdle(1);
    assert.deepEqual(ended, []);
    assert.equal(pool.gaveUpLeaving(session), true);
    pool.closeIdle(1);
    assert.deepEqual(ended, [session]);
  });

  test('after it a successor is waited for, until news come; but not for ever', async () => {
    const there: string[] = ['a'];
    const { pool, pass } = poolOf(
      () => there,
      (address) => (address === 'a' && gone ? draining : sessionAt(address)),
    );
    let gone = false;
    const first = await pool.sessionTo(PEER);
    assert.ok(first.ok);
    gone = true;
    pool.leave(first.session);
    first.session.state = 'ended';
    const waiting = pool.sessionTo(PEER);
    there.splice(0, 1, 'b');
    // A dial that has failed rests for a while, which news put an end to; so does the wait.
    await new Promise((resolve) => setImmediate(resolve));
    pool.retryAtOnce();
    const second = await waiting;
    assert.ok(second.ok && second.session.remoteAddress === 'b');

    pool.leave(second.session);
    second.session.state = 'ended';
    there.splice(0, 1, 'a');
    pass(60_000);
    const third = await pool.sessionTo(PEER);
    assert.equal(third.ok, false);
  });
});
