import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, exportJwk, jwkThumbprint } from '../../src/crypto/keys.ts';
import { trustBundleToJson } from '../../src/crypto/trust-bundle.ts';
import { createRoot } from '../../src/crypto/x509-issuer.ts';
import { parseTrustDomain } from '../../src/domain/agent-id.ts';
import { parseStrictJson } from '../../src/domain/canonical/strict-json.ts';
import type { BundleDocument } from '../../src/domain/mesh-state.ts';
import { Attacker } from '../support/attacker.ts';
import { assertAppUntouched, exchangeRefusal } from '../support/attacks.ts';
import { forgeState } from '../support/forged-state.ts';
import { Forger } from '../support/forgery.ts';
import { startMesh } from '../support/mesh.ts';

const EVIL = parseTrustDomain('evil.example');

/** Another authority, with the bundle that it publishes. */
function anotherAuthority(): { forger: Forger; bundle: BundleDocument } {
  const now = Date.now();
  const root = createRoot({
    trustDomain: EVIL,
    commonName: 'evil root',
    notBefore: now - 100_000,
    notAfter: now + 86_400_000,
  });
  const forger = new Forger({ root_certificate: root.certPem, root_key: root.keyPem });
  const stateJwk = exportJwk(generateKeyPair().publicKey);
  const json = trustBundleToJson({
    trustDomain: EVIL,
    roots: [root.certPem],
    aitKeys: [{ kid: forger.aitKeyId, jwk: withoutAlg(exportJwk(forger.aitKeys.publicKey)) }],
    stateKeys: [{ kid: jwkThumbprint(stateJwk), jwk: withoutAlg(stateJwk) }],
    sequence: 1,
    refreshHintSeconds: 300,
  });
  return { forger, bundle: { trustDomain: EVIL, document: parseStrictJson(json) } };
}

function withoutAlg({ kty, crv, x, y }: ReturnType<typeof exportJwk>) {
  return { kty, crv, x, y };
}

test('trust rule 3: of several trusted roots each vouches for its own domain only', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const victim = mesh.agent('researcher');
  await victim.sidecar.stop();
  const { forger: evil, bundle } = anotherAuthority();
  await forgeState(victim, await mesh.authority.keys(), ({ head, objects }) => ({
    head: { ...head, revision: head.revision + 1000, previous: null },
    objects: [...objects, { kind: 'bundle', value: bundle }],
  }));
  await victim.start();
  const attacker = await Attacker.of(t, mesh);
  const { measurement } = mesh.agent('planner');

  await t.test("the authority's own, older state is refused meanwhile: STATE_ROLLED_BACK", async () => {
    const { code } = await victim.waitFor('state_refused');
    assert.equal(code, 'STATE_ROLLED_BACK');
  });

  await t.test('the other root mints our planner: TLS is content, TRUST_DOMAIN_NOT_ACCEPTED', async () => {
    const minted = evil.identity({ spiffeId: 'spiffe://acme.example/agent/planner', measurement });
    const from = victim.sidecar.mark();
    const socket = await attacker.tls(victim.inbound, { identity: minted });
    const { code, detail } = await victim.waitFor('peer_refused', () => true, { from });
    assert.equal(code, 'TRUST_DOMAIN_NOT_ACCEPTED');
    assert.match(String(detail), /no root of the trust domain acme\.example issued/);
    socket.destroy();
  });

  await t.test(
    'a true member of the other domain: TRUST_DOMAIN_NOT_ACCEPTED, it is trusted but not accepted',
    async () => {
      const member = evil.identity({ spiffeId: 'spiffe://evil.example/agent/planner', measurement });
      assert.equal(await exchangeRefusal(attacker, victim, member), 'TRUST_DOMAIN_NOT_ACCEPTED');
    },
  );

  await t.test("the other domain's AIT key signs a token of our issuer: AIT_ISSUER_UNKNOWN", async () => {
    const planner = attacker.member('planner');
    const ait = evil.token(evil.claims(planner));
    assert.equal(await exchangeRefusal(attacker, victim, { ...planner, ait }), 'AIT_ISSUER_UNKNOWN');
  });

  await t.test("the other domain's token, of its own issuer, for our planner: refused", async () => {
    const planner = attacker.member('planner');
    const ait = evil.token(evil.claims(planner, { iss: 'spiffe://evil.example' }));
    assert.equal(await exchangeRefusal(attacker, victim, { ...planner, ait }), 'AIT_ISSUER_UNKNOWN');
  });

  assertAppUntouched(victim);
});
