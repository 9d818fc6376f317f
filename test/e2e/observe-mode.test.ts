import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import type { Measurement } from '../../src/domain/measurement.ts';
import { Attacker } from '../support/attacker.ts';
import { exchangeRefusal, verdictOn } from '../support/attacks.ts';
import { Forger } from '../support/forgery.ts';
import { readState } from '../support/forged-state.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

const observe = (until: string) => ({ record: { observe: { until, reason: 'roll-out' } } });

test('observe mode waives drift and grants until its end, never identity, proof or revocation', async (t) => {
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'], start: false, granted: false, ...observe('2100-01-01T00:00:00Z') },
      // In the state of the researcher, because it may be called by it.
      tester: { calls: ['researcher', 'planner'], start: false, ...observe('2020-01-01T00:00:00Z') },
      researcher: { calls: ['planner'] },
    },
  });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const { measurement } = mesh.agent('planner');
  const drifted = (of: Measurement): Measurement => ({ ...of, model: { ...of.model, version: '666' } as never });

  await t.test('drift without a grant: admitted, and counted as what would have been refused', async () => {
    const exchange = await attacker.admitted(victim.inbound, attacker.member('planner', drifted(measurement)));
    assert.equal(await victim.metric('ait_would_deny_total', { reason: 'MODEL_DRIFT' }), 1);
    assert.equal(await victim.metric('ait_would_deny_total', { reason: 'GRANT_MISSING' }), 1);
    exchange.destroy();
    await verdictOn(victim, exchange);
  });

  await t.test('past its end: MODEL_DRIFT', async () => {
    const tester = mesh.agent('tester').measurement;
    assert.equal(await exchangeRefusal(attacker, victim, attacker.member('tester', drifted(tester))), 'MODEL_DRIFT');
  });

  const planner = attacker.member('planner');
  const { forger } = attacker;
  const past = Math.floor(Date.now() / 1000) - 3600;
  const never: Record<string, [identity: typeof planner, code: string]> = {
    'a token signed by a stranger': [
      { ...planner, ait: new Forger(await mesh.authority.keys()).token(forger.claims(planner)) },
      'AIT_ISSUER_UNKNOWN',
    ],
    'an expired token': [
      { ...planner, ait: forger.token(forger.claims(planner, { nbf: past, iat: past, exp: past + 60 })) },
      'AIT_EXPIRED',
    ],
    'a copied token': [
      { ...attacker.member('planner'), ait: planner.ait, instanceId: planner.instanceId },
      'AIT_BINDING_MISMATCH',
    ],
    'a proof by another key': [{ ...planner, keyPair: generateKeyPair() }, 'TLS'],
  };
  for (const [name, [identity, code]] of Object.entries(never)) {
    await t.test(`${name}: ${code}`, async () => {
      if (code === 'TLS') await assert.rejects(attacker.tls(victim.inbound, { identity }));
      else assert.equal(await exchangeRefusal(attacker, victim, identity), code);
    });
  }

  await t.test('a revoked instance: REVOKED, at once for the open session and for each new one', async () => {
    const live = await attacker.admitted(victim.inbound, planner);
    await mesh.authority.writePolicy('revocations/planner', {
      kind: 'Revocation',
      id: 'r1',
      instance: planner.instanceId,
      reason: 'stolen',
    });
    const verdict = await verdictOn(victim, live);
    assert.deepEqual([verdict.event, verdict['code']], ['session_terminated', 'REVOKED']);
    assert.equal(await exchangeRefusal(attacker, victim, planner), 'REVOKED');
  });
});

test('a roll-out begins without grants: what would be refused is counted, and refused once it is enforced', async (t) => {
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'], granted: false, ...observe('2100-01-01T00:00:00Z') },
      researcher: {},
    },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const stream = planner.connect('researcher');
  stream.socket.write('observed');
  assert.equal((await stream.read(8)).toString(), 'observed');
  for (const agent of [planner, researcher]) {
    assert.equal(await agent.metric('ait_would_deny_total', { reason: 'GRANT_MISSING' }), 1);
  }

  await mesh.authority.writePolicy('agents/planner', {
    kind: 'Agent',
    id: 'planner',
    lifecycle: 'active',
    sponsor: { id: 'u-1', name: 'Ada Lovelace', email: 'ada@acme.example' },
  });
  await stream.closed;
  const { code } = await planner.waitFor('session_terminated');
  assert.ok(['GRANT_MISSING', 'AGENT_UNKNOWN', 'PEER_ENDED'].includes(String(code)), String(code));
  await assert.rejects(planner.call('researcher'));
  // Nor is it told of the other any longer.
  const isKnown = async () => JSON.stringify((await readState(planner)).objects).includes('agent/researcher');
  await pollUntil(isKnown, (known) => !known);
});

test('without a grant there is no session: GRANT_MISSING on both sides, alone', async (t) => {
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'] },
      researcher: {},
      outsider: { start: false, calls: ['researcher'], granted: false },
    },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const attacker = await Attacker.of(t, mesh);
  assert.equal(await exchangeRefusal(attacker, researcher, attacker.member('outsider')), 'AGENT_UNKNOWN');
  assert.equal(await planner.call('researcher', 'hello'), 'hello');

  const connection = planner.connect('researcher');
  connection.socket.write('begin');
  await connection.read(5);
  await mesh.authority.writePolicy('grants/planner', {
    kind: 'Grant',
    from: 'planner',
    to: ['researcher'],
    state: 'withdrawn',
  });
  await connection.closed;
  const ended = await Promise.all([planner, researcher].map((agent) => agent.waitFor('session_terminated')));
  const codes = ended.map(({ code }) => String(code));
  // Whoever hears of it first ends it for both.
  assert.ok(
    codes.some((code) => code === 'GRANT_MISSING' || code === 'AGENT_UNKNOWN'),
    codes.join(', '),
  );
});
