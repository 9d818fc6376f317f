import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { hostileProofs } from '../unit/crypto/hostile-tokens.ts';
import { Attacker } from '../support/attacker.ts';
import { assertAppUntouched, verdictOn } from '../support/attacks.ts';
import { startMesh } from '../support/mesh.ts';

test('trust rule 12: a proof counts for one turn of one connection, or not at all', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const planner = attacker.member('planner');

  /** Up to their proof; then it is for us to prove. */
  const begin = async () => {
    const exchange = await attacker.dial(victim.inbound, planner);
    exchange.hello();
    await exchange.expect('hello');
    await exchange.expect('proof');
    return exchange;
  };
  const names = Object.keys(hostileProofs((await begin()).proofClaims(), planner.keyPair, generateKeyPair()));
  for (const name of names) {
    await t.test(`${name}: PROOF_INVALID`, async () => {
      const exchange = await begin();
      const jws = hostileProofs(exchange.proofClaims(), planner.keyPair, generateKeyPair())[name] ?? '';
      exchange.send({ proof: { jws } });
      exchange.accept();
      assert.equal((await verdictOn(victim, exchange))['code'], 'PROOF_INVALID');
      exchange.destroy();
    });
  }

  await t.test('a proof of another connection, replayed: PROOF_INVALID', async () => {
    const [first, second] = [await begin(), await begin()];
    second.send({ proof: { jws: first.signedProof() } });
    second.accept();
    assert.equal((await verdictOn(victim, second))['code'], 'PROOF_INVALID');
    first.destroy();
  });

  await t.test("the victim's own proof, sent back: PROOF_INVALID", async () => {
    const exchange = await begin();
    const theirs = exchange.received.find(({ message }) => message === 'proof')?.proof?.jws ?? '';
    exchange.send({ proof: { jws: theirs } });
    exchange.accept();
    assert.equal((await verdictOn(victim, exchange))['code'], 'PROOF_INVALID');
  });

  await t.test('a live proof repeated, or one that skips a number: PROOF_INVALID ends the session', async () => {
    for (const seq of [0, 2]) {
      const exchange = await attacker.admitted(victim.inbound, planner);
      exchange.heartbeat({ seq });
      const verdict = await verdictOn(victim, exchange);
      assert.deepEqual([verdict.event, verdict['code']], ['session_terminated', 'PROOF_INVALID']);
    }
  });

  await t.test(
    "the proof's own clock is not judged: a year off is accepted, and stands in the skew metric",
    async () => {
      const exchange = await begin();
      exchange.prove({ iat: Math.floor(Date.now() / 1000) - 31_536_000 });
      exchange.accept();
      await exchange.expect('accept');
      exchange.heartbeat({ iat: Math.floor(Date.now() / 1000) - 31_536_000 });
      // What comes in order is judged in order: once this goodbye is on record, the proof before it was judged.
      exchange.send({ goodbye: { reason: 'WIRE_REASON_DRAINING', correlationId: exchange.correlationId } });
      assert.equal((await verdictOn(victim, exchange))['code'], 'PEER_ENDED');
      assert.ok((await victim.metric('ait_peer_clock_skew_seconds', { peer: 'planner' })) < -31_000_000);
    },
  );

  assertAppUntouched(victim);
});
