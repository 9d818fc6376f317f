import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSpiffeId } from '../../../../src/domain/agent-id.ts';
import { rejection, type Rejection } from '../../../../src/domain/rejection.ts';
import type { DialResult } from '../../../../src/sidecar/exchange/dialler.ts';
import type { Session } from '../../../../src/sidecar/session/session.ts';
import { SessionPool } from '../../../../src/sidecar/session/session-pool.ts';

const PEER = parseSpiffeId('spiffe://acme.example/agent/researcher');
const UNREACHABLE = rejection('PEER_UNREACHABLE', 'nobody there');
const APP_AWAY = rejection('PEER_REFUSED', 'UNAVAILABLE', { peerSaid: { reason: 'UNAVAILABLE', correlationId: 'x' } });
const DRIFT = rejection('SYSTEM_PROMPT_DRIFT', 'another prompt');

interface WorldOptions {
  readonly addresses?: readonly string[];
  readonly balanced?: boolean;
  readonly instances?: number;
  readonly uniform?: () => number;
  /** How long a dial takes that fails, ms. */
  readonly failsAfterMs?: number;
}

/** A pool in a world of instances that a test can take down; every dial is answered in the next turn. */
class World {
  now = 0;
  readonly down = new Map<string, Rejection>();
  readonly dialled: string[] = [];
  readonly ended: string[] = [];
  readonly told: string[] = [];
  readonly addresses: string[];
  readonly pool: SessionPool;
  instances: number;

  constructor({
    addresses = ['a', 'b', 'c'],
    balanced = false,
    instances = 2,
    uniform = () => 0,
    failsAfterMs = 0,
  }: WorldOptions = {}) {
    this.addresses = [...addresses];
    this.instances = instances;
    this.pool = new SessionPool({
      clock: { now: () => this.now, monotonic: () => this.now },
      random: { bytes: (count) => Buffer.alloc(count), uniform },
      addressesOf: () => ({ addresses: this.addresses, balanced }),
      spreadingOf: () => ({ instances: this.instances, ejectAfter: 5 }),
      dial: ({ address }) => {
        this.dialled.push(address);
        const cause = this.down.get(address);
        if (cause !== undefined) this.now += failsAfterMs;
        return Promise.resolve(cause === undefined ? this.#accept(address) : { ok: false, cause });
      },
      end: (session, { code }) => {
        session.state = 'ended';
        this.ended.push(`${session.remoteAddress} ${code}`);
      },
      events: {
        ejected: (_peer, { address }) => void this.told.push(`ejected ${address}`),
        returned: (_peer, address) => void this.told.push(`returned ${address}`),
        circuit: (_peer, { isOpen }) => void this.told.push(isOpen ? 'open' : 'closed'),
      },
    });
  }

  #accept(address: string): DialResult {
    const session = { state: 'live', connections: new Set(), usedAt: this.now, remoteAddress: address };
    return { ok: true, session: session as unknown as Session };
  }

  /** One more connection, open unless the instance refuses it. @returns where it went, or the code that it met */
  async connect({ refusedBy = {} }: { refusedBy?: Readonly<Record<string, Rejection>> } = {}): Promise<string> {
    const failed = new Set<Session>();
    for (let last: Rejection | undefined; ;) {
      const pooled = await this.pool.sessionTo(PEER, last && failed);
      if (!pooled.ok && last !== undefined) this.pool.gaveUp(PEER, last);
      if (!pooled.ok) return (last ?? pooled.cause).code;
      const { session } = pooled;
      const cause = refusedBy[session.remoteAddress];
      this.pool.report(session, cause);
      if (cause === undefined) {
        session.connections.add({ reset: () => undefined, finish: () => undefined, reconsider: () => undefined });
        return session.remoteAddress;
      }
      last = cause;
      failed.add(session);
    }
  }

  /** Dials that nobody waits for. */
  settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  async connectTimes(count: number): Promise<string[]> {
    const went: string[] = [];
    for (let time = 0; time < count; time += 1) {
      went.push(await this.connect());
      await this.settle();
    }
    return went;
  }

  states(): string[] {
    return this.pool.describe(PEER).instances.map(({ address, state }) => `${address} ${state}`);
  }
}

describe('connections are spread over instances', () => {
  test('the first is used alone until it has a connection; then each goes to the one with the fewest', async () => {
    const world = new World();
    assert.equal(await world.connect(), 'a');
    await world.settle();
    assert.deepEqual(world.dialled, ['a'], 'one connection needs one session');
    assert.equal(await world.connect(), 'a', 'the second does not wait for a second session');
    await world.settle();
    assert.deepEqual(world.dialled, ['a', 'b']);
    assert.deepEqual(await world.connectTimes(4), ['b', 'b', 'a', 'b']);
    assert.deepEqual(world.dialled, ['a', 'b'], 'as many as configured, however many there are');
  });

  test('connections that wait for the first session count as well: the next ones find a second', async () => {
    const world = new World();
    await Promise.all([world.connect(), world.connect()]);
    await world.settle();
    assert.deepEqual(world.dialled, ['a', 'b']);
    assert.equal(await world.connect(), 'b');
  });

  test('a peer with one instance has one session, whatever happens', async () => {
    const world = new World({ addresses: ['a'], instances: 5 });
    assert.deepEqual(new Set(await world.connectTimes(20)), new Set(['a']));
    assert.deepEqual(world.dialled, ['a']);
  });

  test('behind a balancer there is one session, too', async () => {
    const world = new World({ addresses: ['balancer'], balanced: true, instances: 5 });
    await world.connectTimes(20);
    assert.deepEqual(world.dialled, ['balancer']);
  });

  test('which instance is the first is left to chance: callers do not all choose the same', async () => {
    const draws = [0.9, 0.5, 0.1];
    const world = new World({ uniform: () => draws.shift() ?? 0 });
    assert.equal(await world.connect(), 'c');
  });

  test('connections that come at once count before they are open', async () => {
    const world = new World({ instances: 3 });
    await world.connectTimes(3);
    const went = await Promise.all(Array.from({ length: 30 }, () => world.pool.sessionTo(PEER)));
    const counts = new Map<string, number>();
    for (const result of went) {
      assert.ok(result.ok);
      const { remoteAddress: address } = result.session;
      counts.set(address, (counts.get(address) ?? 0) + 1);
    }
    assert.ok(Math.max(...counts.values()) - Math.min(...counts.values()) <= 3, JSON.stringify([...counts]));
  });

  test('a session that idles out is closed by itself, the others go on', async () => {
    const world = new World();
    await world.connectTimes(2);
    world.now += 60_000;
    const used = await world.pool.sessionTo(PEER);
    assert.ok(used.ok && used.session.remoteAddress === 'b');
    world.pool.report(used.session, undefined);
    world.pool.closeIdle(60_000);
    assert.deepEqual(world.ended, []);
    world.now += 60_000;
    world.pool.closeIdle(60_000);
    assert.deepEqual(world.ended, ['b IDLE']);
    assert.deepEqual(world.states(), ['a live']);
  });

  test('fewer instances configured, and the rest is let go of', async () => {
    const world = new World();
    await world.connectTimes(3);
    const sessions = world.pool.describe(PEER).instances;
    assert.equal(sessions.length, 2);
    world.instances = 1;
    world.pool.closeIdle(60_000);
    assert.deepEqual(world.states().toSorted(), ['a live', 'b retired']);
    assert.deepEqual(world.ended, [], 'it has a connection, which goes on');
  });

  test('a session beside that cannot be had refuses no connection, and is not asked for again and again', async () => {
    const world = new World({ uniform: () => 0.5 });
    for (const address of ['b', 'c']) world.down.set(address, UNREACHABLE);
    world.addresses.splice(0, 3, 'a');
    await world.connect();
    world.addresses.push('b', 'c');
    assert.deepEqual(new Set(await world.connectTimes(50)), new Set(['a']));
    assert.equal(world.dialled.length, 3, world.dialled.join());
    assert.deepEqual(world.told, []);
  });
});

describe('an instance that fails', () => {
  test('one that hangs at the first dial keeps nobody from the second; but not all of many are tried for ever', async () => {
    const world = new World({ failsAfterMs: 6000 });
    world.down.set('a', UNREACHABLE);
    assert.equal(await world.connect(), 'b');
    const hanging = new World({ failsAfterMs: 6000 });
    for (const address of hanging.addresses) hanging.down.set(address, UNREACHABLE);
    assert.equal(await hanging.connect(), 'PEER_UNREACHABLE');
    assert.deepEqual(hanging.dialled, ['a', 'b']);
  });

  test('connections go to another at once, and to the one that failed no more until it is well', async () => {
    const world = new World({ addresses: ['a', 'b'] });
    await world.connect();
    const refusedBy = { a: APP_AWAY };
    assert.equal(await world.connect({ refusedBy }), 'b', 'dialled for this connection');
    let failedOver = 0;
    for (let time = 0; time < 20; time += 1) {
      assert.equal(await world.connect({ refusedBy }), 'b');
      failedOver += 1;
    }
    assert.equal(failedOver, 20);
    assert.deepEqual(world.told, ['ejected a']);
    assert.deepEqual(world.states().toSorted(), ['a ejected', 'b live']);
    world.now += 5000;
    assert.equal(await world.connect(), 'a');
    assert.deepEqual(world.told, ['ejected a', 'returned a']);
  });

  test('where there is nobody else it is not ejected; the connection is refused with what the peer said', async () => {
    const world = new World({ addresses: ['a'] });
    const refusedBy = { a: APP_AWAY };
    for (let time = 0; time < 5; time += 1) assert.equal(await world.connect({ refusedBy }), 'PEER_REFUSED');
    assert.deepEqual(world.told, ['open']);
    assert.deepEqual(world.states(), ['a live']);
  });

  test('drift is no ill health: nothing is ejected, and no circuit opens', async () => {
    const world = new World({ addresses: ['a', 'b'] });
    for (const address of world.addresses) world.down.set(address, DRIFT);
    for (let time = 0; time < 20; time += 1) {
      world.now += 60_000;
      assert.equal(await world.connect(), 'SYSTEM_PROMPT_DRIFT');
    }
    assert.deepEqual(world.told, []);
  });

  test('bad calls eject, too, and an ejected instance takes no place among those that are used', async () => {
    const world = new World();
    await world.connectTimes(3);
    const first = await world.pool.sessionTo(PEER);
    assert.ok(first.ok);
    const { session } = first;
    world.pool.report(session, undefined);
    for (let call = 0; call < 5; call += 1) world.pool.observe(session, 'failed');
    assert.deepEqual(world.told, [`ejected ${session.remoteAddress}`]);
    const went = await world.connectTimes(10);
    assert.ok(!went.includes(session.remoteAddress), went.join());
    assert.equal(new Set(went).size, 2, 'the third has taken its place');
  });

  test('an ejected one is asked when nobody else is left', async () => {
    const world = new World({ addresses: ['a', 'b'] });
    await world.connect();
    for (let time = 0; time < 6; time += 1) await world.connect({ refusedBy: { a: APP_AWAY } });
    assert.deepEqual(world.told, ['ejected a']);
    world.down.set('b', UNREACHABLE);
    const gone = await world.pool.sessionTo(PEER);
    assert.ok(gone.ok && gone.session.remoteAddress === 'b');
    gone.session.state = 'ended';
    assert.equal(await world.connect(), 'a');
  });
});

describe('a peer all of whose instances fail', () => {
  test('is asked less and less; once it is well, by one connection at a time', async () => {
    const world = new World({ uniform: () => 0.999 });
    for (const address of world.addresses) world.down.set(address, UNREACHABLE);
    for (let time = 0; time < 5; time += 1) {
      assert.equal(await world.connect(), 'PEER_UNREACHABLE');
      world.now += 60_000;
    }
    assert.deepEqual(
      world.told.filter((event) => event === 'open'),
      ['open'],
    );
    world.down.clear();
    const [first, second] = await Promise.all([world.connect(), world.connect()]);
    assert.equal(second, 'CIRCUIT_OPEN');
    assert.ok(world.addresses.includes(first), first);
    assert.equal(world.told.at(-1), 'closed');
    assert.ok(world.addresses.includes(await world.connect()));
  });

  test('news about the mesh close the circuit', async () => {
    const world = new World({ addresses: ['a'], uniform: () => 0.999 });
    world.down.set('a', UNREACHABLE);
    for (let time = 0; time < 5; time += 1) {
      await world.connect();
      world.now += 60_000;
    }
    world.now -= 59_000;
    assert.equal(await world.connect(), 'CIRCUIT_OPEN');
    world.down.clear();
    world.pool.retryAtOnce();
    assert.equal(await world.connect(), 'a');
  });
});
