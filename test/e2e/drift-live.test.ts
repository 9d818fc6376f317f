import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Measurement } from '../../src/domain/measurement.ts';
import { Attacker } from '../support/attacker.ts';
import { assertAppUntouched, exchangeRefusal, verdictOn } from '../support/attacks.ts';
import { dataOf, openData } from '../support/hostile-data.ts';
import { startMesh } from '../support/mesh.ts';
import type { AgentFiles } from '../support/agent-files.ts';

const CHANGES: Record<string, [code: string, change: (files: AgentFiles) => Promise<void>]> = {
  'the system prompt': ['SYSTEM_PROMPT_DRIFT', (files) => files.writePrompt('You are planner. Be brief.\n ')],
  'the knowledge base': ['KNOWLEDGE_BASE_DRIFT', (files) => files.writeKnowledge('Other facts.\n')],
  'the model': ['MODEL_DRIFT', (files) => files.writeModel('2')],
  'the tools': ['TOOLS_DRIFT', (files) => files.writeTools('delete_everything')],
};

test('drift, first half alone: a sidecar cuts itself off though no peer would', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'] }, researcher: { enforcement: { peerChecks: false } } },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  for (const [what, [code, change]] of Object.entries(CHANGES)) {
    await t.test(
      `${what} changes while a call runs: ${code}, found by the agent's own sidecar; put back, calls work again`,
      async () => {
        const call = planner.connect('researcher');
        call.socket.write('begin');
        await call.read(5);
        const [from, at] = [planner.sidecar.mark(), researcher.sidecar.mark()];
        await change(planner.files);
        await call.closed;
        const own = await planner.waitFor('peer_refused', ({ subject }) => subject === 'self', { from });
        assert.equal(own['code'], code);
        assert.equal((await researcher.waitFor('session_terminated', () => true, { from: at }))['code'], 'PEER_ENDED');
        await assert.rejects(planner.call('researcher'), 'no call while it is drifted');
        await planner.files.create('planner');
        await planner.waitFor('standing_in_order', () => true, { from });
        assert.equal(await planner.call('researcher', 'again'), 'again');
      },
    );
  }
});

test('drift, second half alone: a peer that does not cut itself off is dropped', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], enforcement: { selfCut: false } }, researcher: {} },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  for (const [what, [code, change]] of Object.entries(CHANGES)) {
    await t.test(
      `${what} changes while a call runs: ${code}, found by the peer; no new session until it is put back`,
      async () => {
        const call = planner.connect('researcher');
        call.socket.write('begin');
        await call.read(5);
        const [from, at] = [planner.sidecar.mark(), researcher.sidecar.mark()];
        await change(planner.files);
        await call.closed;
        const cut = await researcher.waitFor('session_terminated', () => true, { from: at });
        assert.deepEqual([cut['code'], cut['connections']], [code, 1]);
        const said = await planner.waitFor('session_terminated', () => true, { from });
        assert.deepEqual([said['code'], (said['peerSaid'] as { reason: string }).reason], ['PEER_ENDED', 'DRIFT']);
        assert.ok(!JSON.stringify(said).includes('sha256:'), 'the peer learns no digest');
        await planner.files.create('planner');
        await planner.waitFor('ait_renewed', () => true, { from });
        await mesh.nudge(planner);
        assert.equal(await planner.call('researcher', 'again'), 'again');
      },
    );
  }
});

test('drift before, during and after the exchange, stated by a peer that lies about nothing else', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const approved = mesh.agent('planner').measurement;
  const drifted: Measurement = { ...approved, model: { ...approved.model, version: '666' } as never };

  await t.test('before: token and proof agree on what nobody approved: MODEL_DRIFT', async () => {
    assert.equal(await exchangeRefusal(attacker, victim, attacker.member('planner', drifted)), 'MODEL_DRIFT');
  });

  await t.test(
    'trust rule 11: during: the proof says something else than the token: PROOF_MEASUREMENT_MISMATCH, both ways',
    async () => {
      for (const [stated, proven] of [
        [approved, drifted],
        [drifted, approved],
      ] as const) {
        const exchange = await attacker.dial(victim.inbound, attacker.member('planner', stated));
        exchange.hello();
        await exchange.expect('proof');
        exchange.prove({ measurement: proven });
        exchange.accept();
        assert.equal((await verdictOn(victim, exchange))['code'], 'PROOF_MEASUREMENT_MISMATCH');
      }
    },
  );

  await t.test(
    'between the verdict and the first byte: the data connection is refused, the byte is not passed on',
    async () => {
      const exchange = await attacker.admitted(victim.inbound, attacker.member('planner'));
      exchange.heartbeat({ measurement: drifted });
      const data = await openData(attacker, victim.inbound, { ...dataOf(exchange), early: 'secret' });
      assert.equal((await verdictOn(victim, exchange))['code'], 'MODEL_DRIFT');
      await data.closed;
    },
  );
  assertAppUntouched(victim);

  await t.test(
    'after: in the same write as application bytes on another connection, nothing comes back any more',
    async () => {
      const exchange = await attacker.admitted(victim.inbound, attacker.member('planner'));
      const data = await openData(attacker, victim.inbound, dataOf(exchange));
      assert.equal(await data.answer(), 'accepted');
      exchange.heartbeat({ measurement: drifted });
      assert.equal((await verdictOn(victim, exchange))['code'], 'MODEL_DRIFT');
      await data.closed;
      assert.equal(
        await victim.metric('ait_drift_total', { peer: 'planner', dimension: 'model', action: 'terminated' }),
        2,
      );
    },
  );

  await t.test('a renewed token of another measurement, and one of another agent: judged like the first', async () => {
    const planner = attacker.member('planner');
    const foreign = await attacker.admitted(victim.inbound, planner);
    foreign.send({ aitUpdate: { ait: attacker.member('researcher').ait } });
    assert.equal((await verdictOn(victim, foreign))['code'], 'AIT_SUBJECT_MISMATCH');
    const twin = await attacker.admitted(victim.inbound, planner);
    const { instanceId: instance } = planner;
    const claims = attacker.forger.claims(planner, { cnf: attacker.forger.claims(attacker.member('planner')).cnf });
    assert.equal(claims.agent.instance, instance);
    twin.send({ aitUpdate: { ait: attacker.forger.token(claims) } });
    assert.equal((await verdictOn(victim, twin))['code'], 'AIT_BINDING_MISMATCH');
    const expired = await attacker.admitted(victim.inbound, planner);
    const now = Math.floor(Date.now() / 1000);
    expired.send({
      aitUpdate: {
        ait: attacker.forger.token(attacker.forger.claims(planner, { nbf: now - 600, iat: now - 600, exp: now - 60 })),
      },
    });
    assert.equal((await verdictOn(victim, expired))['code'], 'AIT_EXPIRED');
  });
});
