import assert from 'node:assert/strict';
import { X509Certificate, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { certificateToPem, generateKeyPair, privateKeyToPem } from '../../src/crypto/keys.ts';
import { createRoot, issueSvid, openIssuer } from '../../src/crypto/x509-issuer.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/domain/agent-id.ts';
import { runAit } from '../support/run-ait.ts';
import { startInference, type ClientCertificate, type TestInference } from '../support/inference.ts';

const HOUR = 3_600_000;

/** A certificate that only a compromised authority could have issued: with the mesh's own root, in any name and time. */
async function mint(
  mesh: TestInference,
  spiffeId: string,
  { notBefore = Date.now() - HOUR, notAfter = Date.now() + HOUR } = {},
): Promise<ClientCertificate> {
  const keys = await mesh.authority.keys();
  const issuer = openIssuer({ certPem: keys.root_certificate, keyPem: keys.root_key });
  return issue(issuer, spiffeId, { notBefore, notAfter });
}

function issue(
  issuer: ReturnType<typeof openIssuer>,
  spiffeId: string,
  dates: { notBefore: number; notAfter: number },
): ClientCertificate {
  const { publicKey, privateKey } = generateKeyPair();
  const cert = issueSvid({ issuer, publicKey, spiffeId: parseSpiffeId(spiffeId), serial: randomBytes(16), ...dates });
  return { cert, key: privateKeyToPem(privateKey) };
}

async function isRefused(mesh: TestInference, certificate?: ClientCertificate): Promise<string> {
  const connections = mesh.connections(certificate, false);
  try {
    const { status } = await mesh.ask(connections, '/v1/models');
    return `answered ${status}`;
  } catch (error) {
    return (error as { code?: string }).code === undefined ? String(error) : 'refused';
  } finally {
    connections.destroy();
  }
}

test('only agents of the own trust domain are answered; whoever else has a certificate gets no connection', async (t) => {
  const mesh = await startInference(t);
  const planner = await mesh.joinAgent();
  const dates = { notBefore: Date.now() - HOUR, notAfter: Date.now() + HOUR };
  const evil = (trustDomain: string) =>
    openIssuer(
      createRoot({
        trustDomain: parseTrustDomain(trustDomain),
        commonName: 'evil',
        ...dates,
        notAfter: Date.now() + 2 * HOUR,
      }),
    );
  assert.equal(await isRefused(mesh, planner), 'answered 200');
  const strangers: Readonly<Record<string, ClientCertificate | undefined>> = {
    'no certificate': undefined,
    operator: await mint(mesh, 'spiffe://acme.example/operator/ada'),
    'inference service': await mint(mesh, 'spiffe://acme.example/inference/default'),
    authority: await mint(mesh, 'spiffe://acme.example/authority'),
    'no kind of ours': await mint(mesh, 'spiffe://acme.example/agents/planner'),
    'an agent of another domain by our root': await mint(mesh, 'spiffe://evil.example/agent/planner'),
    'an agent of another domain by its own root': issue(
      evil('evil.example'),
      'spiffe://evil.example/agent/planner',
      dates,
    ),
    'our agent by a root of the same name': issue(evil('acme.example'), 'spiffe://acme.example/agent/planner', dates),
    expired: await mint(mesh, 'spiffe://acme.example/agent/planner', { ...dates, notAfter: Date.now() - 1000 }),
    'not yet valid': await mint(mesh, 'spiffe://acme.example/agent/planner', {
      notBefore: Date.now() + HOUR,
      notAfter: Date.now() + 2 * HOUR,
    }),
  };
  for (const [name, certificate] of Object.entries(strangers)) {
    assert.equal(await isRefused(mesh, certificate), 'refused', name);
  }
  assert.equal(await isRefused(mesh, planner), 'answered 200');
});

test('a connection whose certificate has ended gets no further answer', async (t) => {
  const mesh = await startInference(t);
  await mesh.joinAgent();
  const notAfter = Math.floor(Date.now() / 1000) * 1000 + 2_000;
  const short = await mint(mesh, 'spiffe://acme.example/agent/planner', { notBefore: Date.now() - HOUR, notAfter });
  const connections = mesh.connections(short);
  t.after(() => connections.destroy());
  const deadline = performance.now() + 10_000;
  let last = await mesh.ask(connections, '/v1/models');
  assert.equal(last.status, 200);
  while (last.status === 200 && performance.now() < deadline) last = await mesh.ask(connections, '/v1/models');
  assert.equal(last.status, 401);
  assert.equal((last.json as { error: { code: string } }).error.code, 'certificate_refused');
  assert.ok(Date.now() > notAfter);
});

test('the service joins by its own credential and by no other, and only where policy approves it', async (t) => {
  const mesh = await startInference(t);
  const config = ['--config', mesh.configPath, '--set', 'state_dir=second-state'];
  const joinWith = async (arguments_: readonly string[], out: string): Promise<string> => {
    const path = join(mesh.folder, out);
    const made = await runAit([...arguments_, '--admin', mesh.authority.adminSocket, '--out', path]);
    assert.equal(made.code, 0, made.output);
    const { code, output } = await runAit(['inference', ...config, '--set', `authority.join_credential=${path}`]);
    assert.equal(code, 1, output);
    return output;
  };
  assert.match(await joinWith(['agent', 'credential', 'planner'], 'planner'), /JOIN_CREDENTIAL_MALFORMED/);
  assert.match(await joinWith(['inference', 'credential', 'other'], 'other'), /SERVICE_NOT_APPROVED/);
  const sidecar = await runAit(['agent', 'credential', 'inference/default', '--admin', mesh.authority.adminSocket]);
  // It is an agent of that name, below /agent/, whatever it looks like.
  assert.doesNotMatch(sidecar.output, /spiffe:\/\/acme.example\/inference/);
  const reserved = await runAit([
    'agent',
    'credential',
    'spiffe://acme.example/inference/default',
    '--admin',
    mesh.authority.adminSocket,
  ]);
  assert.notEqual(reserved.code, 0);
  assert.match(reserved.output, /is not an agent/);
});

test('the key of the evidence root is for the service alone, and the root says what it is', async (t) => {
  const mesh = await startInference(t);
  const path = join(mesh.folder, 'inference-state', 'evidence-root.pem');
  const pem = await readFile(path, 'utf8');
  assert.match(new X509Certificate(pem).subject, /CN=SIMULATED/);
  assert.equal(certificateToPem(new X509Certificate(pem).raw), pem.slice(0, pem.indexOf('-----BEGIN PRIVATE')));
});
