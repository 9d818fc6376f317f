import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { Attacker, joinAs } from '../support/attacker.ts';
import { startMesh } from '../support/mesh.ts';

test('trust rule 14: a token has one audience and no more about people than an opaque id', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const joined = await joinAs(mesh, 'planner', mesh.agent('planner').measurement);
  // The token of a running sidecar, as a peer gets to see it.
  const exchange = await (await Attacker.of(t, mesh)).dial(mesh.agent('researcher').inbound, joined);
  exchange.hello();
  const { ait } = await exchange.expect('hello');
  for (const token of [joined.ait, ait]) {
    const claims = decodeJwt(token);
    assert.deepEqual(claims.aud, ['acme.example']);
    assert.deepEqual(Object.keys(claims).toSorted(), [
      'agent',
      'aud',
      'cnf',
      'eat_profile',
      'exp',
      'iat',
      'iss',
      'jti',
      'nbf',
      'sub',
    ]);
    assert.deepEqual((claims['agent'] as { sponsor: unknown }).sponsor, { format: 'opaque', id: 'u-1' });
    assert.deepEqual(Object.keys(decodeProtectedHeader(token)).toSorted(), ['alg', 'kid', 'typ']);
    assert.ok(!JSON.stringify(claims).includes('Lovelace') && !JSON.stringify(claims).includes('ada@'));
  }
});
