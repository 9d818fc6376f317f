import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { signVoucher } from '../../src/crypto/voucher.ts';
import type { VoucherClaims } from '../../src/domain/identity-token.ts';
import { Attacker } from '../support/attacker.ts';
import { verdictOn } from '../support/attacks.ts';
import type { Identity } from '../support/forgery.ts';
import { dataOf, openData } from '../support/hostile-data.ts';
import type { HostileExchange } from '../support/hostile-exchange.ts';
import { startMesh } from '../support/mesh.ts';

test('a session goes on under another certificate only if the key of the one before vouches for it', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const planner = attacker.member('planner');
  /** The same instance with its next certificate. */
  const next = (of: Identity): Identity =>
    attacker.forger.identity({ spiffeId: of.spiffeId, measurement: of.measurement, instanceId: of.instanceId });
  const claims = (live: HostileExchange, to: Identity): VoucherClaims => ({
    sid: live.sessionId,
    role: 'dialler',
    from: live.identity.thumbprint,
    to: to.thumbprint,
  });
  /** A whole exchange that asks to continue the live one; what they say to it. */
  const ask = async (live: HostileExchange, by: Identity, voucher: string, sessionId = live.sessionId) => {
    const exchange = await attacker.dial(victim.inbound, by);
    exchange.hello({ continuation: { sessionId: Buffer.from(sessionId, 'hex'), voucher } });
    const answer = await exchange.next();
    if (answer?.message !== 'hello') return exchange;
    await exchange.expect('proof');
    exchange.prove();
    exchange.accept();
    return exchange;
  };

  await t.test(
    'the honest way: the new connection takes over, data connections of both certificates live on',
    async () => {
      const live = await attacker.admitted(victim.inbound, planner);
      const before = await openData(attacker, victim.inbound, { ...dataOf(live), early: '' });
      assert.equal(await before.answer(), 'accepted');
      const renewed = next(planner);
      const exchange = await ask(live, renewed, signVoucher(claims(live, renewed), planner.keyPair.privateKey));
      await exchange.expect('accept');
      live.destroy();
      before.socket.write('still here');
      assert.equal((await before.payload(10)).toString(), 'still here');
      const after = await openData(attacker, victim.inbound, { ...dataOf(live), identity: renewed, early: 'new' });
      assert.equal(await after.answer(), 'accepted');
      assert.equal((await after.payload(3)).toString(), 'new');
      // The connection that it goes on over is its control connection now: with it goes everything.
      exchange.destroy();
      await Promise.all([before.closed, after.closed]);
    },
  );

  const stranger = attacker.member('planner');
  const attacks: Readonly<Record<string, (live: HostileExchange) => Promise<HostileExchange>>> = {
    'no voucher': (live) => ask(live, next(planner), ''),
    'no JWS': (live) => ask(live, next(planner), 'voucher'),
    "signed by the new certificate's own key": (live) => {
      const renewed = next(planner);
      return ask(live, renewed, signVoucher(claims(live, renewed), renewed.keyPair.privateKey));
    },
    'signed by any key': (live) => {
      const renewed = next(planner);
      return ask(live, renewed, signVoucher(claims(live, renewed), generateKeyPair().privateKey));
    },
    'for another session': (live) => {
      const renewed = next(planner);
      const other = { ...claims(live, renewed), sid: 'ab'.repeat(16) };
      return ask(live, renewed, signVoucher(other, planner.keyPair.privateKey));
    },
    'for the other role': (live) => {
      const renewed = next(planner);
      const other = { ...claims(live, renewed), role: 'acceptor' } as const;
      return ask(live, renewed, signVoucher(other, planner.keyPair.privateKey));
    },
    'for another certificate than it is shown with': (live) => {
      const [one, two] = [next(planner), next(planner)];
      return ask(live, two, signVoucher(claims(live, one), planner.keyPair.privateKey));
    },
    'another agent, vouched for': (live) => {
      const other = attacker.forger.identity({
        spiffeId: 'spiffe://acme.example/agent/researcher',
        measurement: planner.measurement,
        instanceId: planner.instanceId,
      });
      return ask(live, other, signVoucher(claims(live, other), planner.keyPair.privateKey));
    },
  };
  for (const [name, attack] of Object.entries(attacks)) {
    await t.test(`${name}: CONTINUATION_INVALID, and the session is none the worse`, async () => {
      const live = await attacker.admitted(victim.inbound, planner);
      const data = await openData(attacker, victim.inbound, dataOf(live));
      assert.equal(await data.answer(), 'accepted');
      const exchange = await attack(live);
      assert.equal((await verdictOn(victim, exchange))['code'], 'CONTINUATION_INVALID');
      data.socket.write('unharmed');
      assert.equal((await data.payload(8)).toString(), 'unharmed');
      live.destroy();
      await data.closed;
    });
  }

  await t.test('another instance of the agent, vouched for: WRONG_INSTANCE', async () => {
    const live = await attacker.admitted(victim.inbound, planner);
    const voucher = signVoucher(claims(live, stranger), planner.keyPair.privateKey);
    const exchange = await ask(live, stranger, voucher);
    assert.equal((await verdictOn(victim, exchange))['code'], 'WRONG_INSTANCE');
    live.destroy();
  });

  await t.test('a drifted measurement, vouched for: refused like any other, and the session stands', async () => {
    const live = await attacker.admitted(victim.inbound, planner);
    const { system_prompt: _gone, ...rest } = planner.measurement;
    const drifted = attacker.forger.identity({
      spiffeId: planner.spiffeId,
      measurement: { ...rest, system_prompt: null },
      instanceId: planner.instanceId,
    });
    const voucher = signVoucher(claims(live, drifted), planner.keyPair.privateKey);
    const exchange = await ask(live, drifted, voucher);
    assert.equal((await verdictOn(victim, exchange))['code'], 'SYSTEM_PROMPT_DRIFT');
    live.heartbeat();
    live.send({ goodbye: { reason: 'WIRE_REASON_DRAINING', correlationId: live.correlationId } });
    assert.equal((await verdictOn(victim, live))['code'], 'PEER_ENDED');
  });

  await t.test('a session that nobody has, or that has ended: CONTINUATION_UNKNOWN', async () => {
    const live = await attacker.admitted(victim.inbound, planner);
    const renewed = next(planner);
    const voucher = signVoucher(claims(live, renewed), planner.keyPair.privateKey);
    assert.equal(
      (await verdictOn(victim, await ask(live, renewed, voucher, 'cd'.repeat(16))))['code'],
      'CONTINUATION_UNKNOWN',
    );
    live.destroy();
    await verdictOn(victim, live);
    assert.equal((await verdictOn(victim, await ask(live, renewed, voucher)))['code'], 'CONTINUATION_UNKNOWN');
  });

  await t.test('a certificate that the session never showed opens no data connection of it', async () => {
    const live = await attacker.admitted(victim.inbound, planner);
    const data = await openData(attacker, victim.inbound, { ...dataOf(live), identity: next(planner) });
    assert.equal(await data.answer(), 'WIRE_REASON_IDENTITY');
    live.destroy();
  });

  await t.test('an acceptor has no business being asked to reconnect: PROTOCOL_ERROR', async () => {
    const live = await attacker.admitted(victim.inbound, planner);
    // Field 8 is `reconnect` in the other direction only; what a dialler sends under it is nothing that we know.
    live.sendRaw(Buffer.from([0, 0, 0, 0, 2, 0x42, 0]));
    assert.equal((await verdictOn(victim, live))['code'], 'PROTOCOL_ERROR');
  });
});
