import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Attacker } from '../support/attacker.ts';
import { assertAppUntouched, verdictOn } from '../support/attacks.ts';
import { dataOf, openData } from '../support/hostile-data.ts';
import { startMesh } from '../support/mesh.ts';

test('no application byte passes before both sides accepted, nor after either has ended', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const planner = attacker.member('planner');
  const instanceId = (await victim.status()).instance;
  const early = 'EARLY BYTES';

  /** What the data connection is answered, and under which code that is on record. */
  const refused = async (options: Parameters<typeof openData>[2]) => {
    const from = victim.sidecar.mark();
    const data = await openData(attacker, victim.inbound, { early, ...options });
    const [reason, { code }] = [await data.answer(), await victim.waitFor('peer_refused', () => true, { from })];
    await data.closed;
    return [reason, code];
  };

  await t.test('a data connection without a session: DATA_SESSION_UNKNOWN', async () => {
    const sessionId = randomBytes(16).toString('hex');
    assert.deepEqual(await refused({ identity: planner, sessionId, instanceId }), [
      'WIRE_REASON_IDENTITY',
      'DATA_SESSION_UNKNOWN',
    ]);
  });

  for (const [name, raw] of Object.entries({
    'a preface of no bytes': Buffer.from([0, 0]),
    'a preface of 64 KiB': Buffer.concat([Buffer.from([0xff, 0xff]), Buffer.alloc(1000)]),
    'a preface that is no DataOpen': Buffer.concat([Buffer.from([0, 4]), Buffer.from('ffffffff', 'hex')]),
    'HTTP in place of a preface': Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    'a session id of 15 bytes': Buffer.concat([Buffer.from([0, 17, 0x0a, 15]), Buffer.alloc(15)]),
  })) {
    await t.test(`${name}: DATA_PREFACE_INVALID`, async () => {
      const [, code] = await refused({ identity: planner, sessionId: '00'.repeat(16), instanceId, raw });
      assert.equal(code, 'DATA_PREFACE_INVALID');
    });
  }

  await t.test(
    'a data connection of an exchange that is not finished is parked unread, and refused when no verdict comes',
    async () => {
      const exchange = await attacker.dial(victim.inbound, planner);
      exchange.hello();
      await exchange.expect('proof');
      const startedAt = performance.now();
      assert.deepEqual(await refused(dataOf(exchange)), ['WIRE_REASON_IDENTITY', 'DATA_SESSION_UNKNOWN']);
      assert.ok(performance.now() - startedAt > 900, 'it waited');
      exchange.destroy();
      await verdictOn(victim, exchange);
    },
  );

  await t.test('the same, with a verdict that is No: refused at once', async () => {
    const exchange = await attacker.dial(victim.inbound, planner);
    exchange.hello();
    await exchange.expect('proof');
    const outcome = refused(dataOf(exchange));
    exchange.send({ proof: { jws: 'nonsense' } });
    exchange.accept();
    assert.equal((await verdictOn(victim, exchange))['code'], 'PROOF_INVALID');
    const [, code] = await outcome;
    assert.equal(code, 'DATA_SESSION_UNKNOWN');
  });

  await t.test('the acceptor never has our Accept: no session, however long the data connection asks', async () => {
    const exchange = await attacker.dial(victim.inbound, planner);
    exchange.hello();
    await exchange.expect('proof');
    exchange.prove();
    assert.deepEqual(await refused(dataOf(exchange)), ['WIRE_REASON_IDENTITY', 'DATA_SESSION_UNKNOWN']);
    exchange.destroy();
  });

  await t.test(
    "another member's certificate on a data connection of a live session: DATA_SESSION_FOREIGN",
    async () => {
      const exchange = await attacker.admitted(victim.inbound, planner);
      for (const identity of [attacker.member('researcher'), attacker.member('planner')]) {
        assert.deepEqual(await refused({ ...dataOf(exchange), identity }), [
          'WIRE_REASON_IDENTITY',
          'DATA_SESSION_FOREIGN',
        ]);
      }
      exchange.destroy();
    },
  );

  await t.test('a data connection meant for another instance: WRONG_INSTANCE', async () => {
    const exchange = await attacker.admitted(victim.inbound, planner);
    const outcome = await refused({ ...dataOf(exchange), instanceId: 'f'.repeat(32) });
    assert.deepEqual(outcome, ['WIRE_REASON_WRONG_INSTANCE', 'WRONG_INSTANCE']);
    exchange.destroy();
  });

  await t.test('a data connection of a session that has just ended: DATA_SESSION_UNKNOWN', async () => {
    const exchange = await attacker.admitted(victim.inbound, planner);
    exchange.send({ goodbye: { reason: 'WIRE_REASON_DRAINING', correlationId: 'x' } });
    await verdictOn(victim, exchange);
    assert.deepEqual(await refused(dataOf(exchange)), ['WIRE_REASON_IDENTITY', 'DATA_SESSION_UNKNOWN']);
  });

  assertAppUntouched(victim);

  await t.test('a data connection that comes early is parked, and served once the verdict is Yes', async () => {
    const exchange = await attacker.dial(victim.inbound, planner);
    exchange.hello();
    await exchange.expect('proof');
    const data = await openData(attacker, victim.inbound, { ...dataOf(exchange), early });
    assertAppUntouched(victim);
    exchange.prove();
    exchange.accept();
    assert.equal(await data.answer(), 'accepted');
    assert.equal((await data.payload(early.length)).toString(), early);
    exchange.destroy();
    await data.closed;
  });
});
