import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { privateKeyToPem } from '../../src/crypto/keys.ts';
import { Forger } from '../support/forgery.ts';
import { chat, errorOf } from '../support/model-caller.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';
import { ModelServer } from '../support/model-server.ts';
import { TRUST_DOMAIN } from '../support/test-authority.ts';
import { dns } from '../unit/crypto/odd-certificate.ts';

test('a provider gets a prompt only if its certificate is for its name, by somebody who is trusted for that', async (t) => {
  const { planner, mesh } = await plannerWithProvider(t, { start: false });
  const forger = Forger.of(await mesh.authority.keys());
  const spiffeId = `spiffe://${TRUST_DOMAIN}/agent/somebody`;
  const somebody = forger.identity({ spiffeId, measurement: planner.measurement });
  const { certPem, keyPair } = forger.withCertificate(somebody, { names: [dns('localhost')] });
  const model = await ModelServer.start(t, { cert: certPem, key: privateKeyToPem(keyPair.privateKey) });
  const file = join(mesh.folder, 'provider-ca.pem');
  await writeFile(file, forger.rootPem);
  const section = planner.config['inference'] as { provider: object };
  const trials: Readonly<Record<string, [status: number, provider: object]>> = {
    'by an authority that is not public': [503, { base_url: `https://localhost:${model.port}/v1` }],
    'for another name': [503, { base_url: `https://127.0.0.1:${model.port}/v1`, ca_file: file }],
    'for its name, by the authority that was named': [
      200,
      { base_url: `https://localhost:${model.port}/v1`, ca_file: file },
    ],
  };
  for (const [what, [status, provider]] of Object.entries(trials)) {
    await t.test(`${what}: ${status}`, async () => {
      section.provider = provider;
      await planner.start();
      const reply = await chat(planner);
      assert.equal(reply.status, status, reply.text);
      if (status !== 200) assert.equal(errorOf(reply).code, 'INFERENCE_UNAVAILABLE');
      assert.equal(model.questions.length, status === 200 ? 1 : 0);
      await planner.sidecar.stop();
    });
  }
});
