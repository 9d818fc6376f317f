import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeJwt } from 'jose';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { parseAitClaims } from '../../src/crypto/ait-claims.ts';
import type { JsonValue } from '../../src/domain/canonical/strict-json.ts';
import type { AitClaims } from '../../src/domain/identity-token.ts';
import type { TrustDomain } from '../../src/domain/agent-id.ts';
import { hostileAits } from '../unit/crypto/hostile-tokens.ts';
import { Attacker, joinAs } from '../support/attacker.ts';
import { assertAppUntouched, exchangeRefusal, verdictOn } from '../support/attacks.ts';
import { startMesh } from '../support/mesh.ts';

test('a token that is not exactly what the authority signs is refused by a running sidecar, whatever is wrong with it', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const { forger } = attacker;
  const planner = await joinAs(mesh, 'planner', mesh.agent('planner').measurement);
  const claims = parseAitClaims(decodeJwt<Record<string, JsonValue>>(planner.ait));
  const now = Math.floor(Date.now() / 1000);

  await t.test(
    'the true token of a member is accepted (so that the refusals below have their stated cause)',
    async () => {
      const exchange = await attacker.admitted(victim.inbound, planner);
      exchange.send({ goodbye: { reason: 'WIRE_REASON_DRAINING', correlationId: exchange.correlationId } });
      await verdictOn(victim, exchange);
    },
  );

  for (const [name, [ait, code]] of Object.entries(
    hostileAits(claims, forger.aitKeys, forger.aitKeyId, generateKeyPair()),
  )) {
    await t.test(`${name}: ${code}`, async () => {
      assert.equal(await exchangeRefusal(attacker, victim, { ...planner, ait }), code);
    });
  }

  const wellSigned: Record<string, [change: Partial<AitClaims>, code: string]> = {
    'valid only from 31 s on': [{ nbf: now + 60, iat: now + 60, exp: now + 600 }, 'AIT_NOT_YET_VALID'],
    'expired 31 s ago': [{ nbf: now - 600, iat: now - 600, exp: now - 32 }, 'AIT_EXPIRED'],
    'for another audience': [{ aud: ['other.example' as TrustDomain] }, 'AIT_AUDIENCE_MISMATCH'],
    "another agent's": [{ sub: mesh.agent('researcher').name as never }, 'AIT_MALFORMED'],
    "about another instance than its sender's": [
      { agent: { ...claims.agent, instance: 'another' } },
      'AIT_SUBJECT_MISMATCH',
    ],
    'bound to another certificate': [{ cnf: { ...claims.cnf, 'x5t#S256': 'A'.repeat(43) } }, 'AIT_BINDING_MISMATCH'],
  };
  for (const [name, [change, code]] of Object.entries(wellSigned)) {
    await t.test(`a token ${name}, well signed: ${code}`, async () => {
      const ait = forger.token({ ...claims, ...change });
      assert.equal(await exchangeRefusal(attacker, victim, { ...planner, ait }), code);
    });
  }

  await t.test("another agent's token, well signed: AIT_SUBJECT_MISMATCH", async () => {
    const other = attacker.member('researcher');
    const ait = forger.token(
      forger.claims({ ...other, thumbprint: planner.thumbprint, instanceId: planner.instanceId }),
    );
    assert.equal(await exchangeRefusal(attacker, victim, { ...planner, ait }), 'AIT_SUBJECT_MISMATCH');
  });

  await t.test("A's valid token over B's certificate: AIT_SUBJECT_MISMATCH", async () => {
    const thief = attacker.member('researcher');
    const stolen = { ...thief, ait: planner.ait, instanceId: planner.instanceId };
    assert.equal(await exchangeRefusal(attacker, victim, stolen), 'AIT_SUBJECT_MISMATCH');
  });

  await t.test(
    "an instance's valid token over the certificate of another instance of the same agent: AIT_BINDING_MISMATCH",
    async () => {
      const twin = attacker.member('planner');
      const stolen = { ...twin, ait: planner.ait, instanceId: planner.instanceId };
      assert.equal(await exchangeRefusal(attacker, victim, stolen), 'AIT_BINDING_MISMATCH');
    },
  );

  await t.test('no token: AIT_MALFORMED', async () => {
    assert.equal(await exchangeRefusal(attacker, victim, { ...planner, ait: '' }), 'AIT_MALFORMED');
  });

  assertAppUntouched(victim);
});
