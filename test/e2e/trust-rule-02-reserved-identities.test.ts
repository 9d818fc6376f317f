import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createRoot } from '../../src/crypto/x509-issuer.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/domain/agent-id.ts';
import { Attacker } from '../support/attacker.ts';
import { assertAppUntouched, verdictOn } from '../support/attacks.ts';
import { Forger, type Identity } from '../support/forgery.ts';
import { HostileAcceptor } from '../support/hostile-acceptor.ts';
import { startMesh } from '../support/mesh.ts';

test('trust rule 2: reserved identities and agents are never taken for one another', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const { measurement } = mesh.agent('planner');

  for (const path of ['authority', 'inference/1', 'verifier', 'operator/ada', 'something/else', 'agent']) {
    await t.test(`spiffe://acme.example/${path} dials an agent's sidecar: UNEXPECTED_PEER`, async () => {
      const reserved = attacker.forger.identity({
        spiffeId: `spiffe://acme.example/${path}`,
        measurement,
        claims: { sub: parseSpiffeId('spiffe://acme.example/agent/planner') },
      });
      const exchange = await attacker.dial(victim.inbound, reserved);
      exchange.hello();
      await exchange.expect('hello');
      exchange.prove();
      exchange.accept();
      assert.equal((await verdictOn(victim, exchange))['code'], 'UNEXPECTED_PEER');
    });
  }
  assertAppUntouched(victim);

  /** A sidecar of the planner that finds this identity at the authority's address, sent along with a root. */
  const startAgainst = async (identity: Identity) => {
    const fake = await new HostileAcceptor({ identity: () => identity }).start(t);
    const planner = mesh.agent('planner');
    planner.config['authority'] = { join_credential: join(planner.folder, 'credential'), address: fake.address };
    await planner.start({ awaitReady: false });
    const code = await planner.sidecar.exited;
    return { code, log: planner.sidecar.tail(), fake };
  };

  await t.test(
    "an agent's certificate on the authority's port: the join is refused for good, the credential stays unseen",
    async () => {
      const { code, log, fake } = await startAgainst(withRoot(attacker.member('researcher'), attacker.forger.rootPem));
      assert.notEqual(code, 0);
      assert.match(log, /UNEXPECTED_PEER/);
      assert.equal(fake.exchanges.length, 0);
    },
  );

  await t.test("an operator's certificate on the authority's port: the join is refused for good", async () => {
    const operator = attacker.forger.identity({ spiffeId: 'spiffe://acme.example/operator/ada', measurement });
    const { code, log } = await startAgainst(withRoot(operator, attacker.forger.rootPem));
    assert.notEqual(code, 0);
    assert.match(log, /UNEXPECTED_PEER/);
  });

  await t.test('a root other than the pinned one at first contact: refused, no trust on first use', async () => {
    const dates = { notBefore: Date.now() - 1000, notAfter: Date.now() + 3_600_000 };
    const other = createRoot({
      trustDomain: parseTrustDomain('acme.example'),
      commonName: 'ait-mesh acme.example',
      ...dates,
    });
    const impostor = new Forger({ root_certificate: other.certPem, root_key: other.keyPem });
    const identity = impostor.identity({
      spiffeId: 'spiffe://acme.example/authority',
      measurement,
      notBefore: dates.notBefore,
      notAfter: dates.notAfter - 1000,
    });
    const { code, log } = await startAgainst(withRoot(identity, other.certPem));
    assert.notEqual(code, 0);
    assert.match(log, /its root is another one/);
  });
});

/** A server that takes joins sends its root along. */
function withRoot(identity: Identity, rootPem: string): Identity {
  return { ...identity, certPem: identity.certPem + rootPem };
}
