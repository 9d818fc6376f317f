import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type TLSSocket } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { verifyChain } from '../../src/crypto/chain.ts';
import { clientTlsOptions, createTlsContext, serverTlsOptions } from '../../src/crypto/tls-context.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'ait-pki-'));
const out = join(folder, 'pki');
const generate = ['--import', 'tsx', 'certs/generate-dev-pki.ts', '--out', out, '--trust-domain', 'dev.mesh'];
const read = (file: string): string => readFileSync(join(out, file), 'utf8');

before(() => execFileSync(process.execPath, generate, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }));
after(() => rmSync(folder, { recursive: true, force: true }));

test('it writes a root and SVIDs that the mesh itself would accept', () => {
  const roots = [new X509Certificate(read('root.pem'))];
  for (const [file, spiffeId] of [
    ['planner', 'spiffe://dev.mesh/agent/planner'],
    ['researcher', 'spiffe://dev.mesh/agent/researcher'],
    ['authority', 'spiffe://dev.mesh/authority'],
  ] as const) {
    const leaf = new X509Certificate(read(`${file}.pem`));
    const chain = verifyChain({ leaf, roots, at: Date.now() });
    assert.ok(chain.ok, `${file}: ${chain.ok ? '' : chain.detail}`);
    assert.equal(chain.identity.spiffeId, spiffeId);
    assert.ok(
      leaf.checkPrivateKey(createPrivateKey(read(`${file}.key`))),
      `${file}: key and certificate belong together`,
    );
  }
});

test('two of them speak the TLS of the mesh with each other', async (t) => {
  const caPems = [read('root.pem')];
  const contextOf = (name: string) => {
    return createTlsContext({ certPem: read(`${name}.pem`), keyPem: read(`${name}.key`), caPems });
  };
  const server = createServer(
    serverTlsOptions({ context: contextOf('researcher'), alpn: ['h2', 'ait-data/1'], requestCert: true }),
  );
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>;
  const options = clientTlsOptions({ context: contextOf('planner'), alpn: ['ait-data/1'], checkPeer: () => undefined });
  const client = connect({ ...options, host: '127.0.0.1', port });
  t.after(() => client.destroy());
  await once(client, 'secureConnect');
  const [socket] = await accepted;
  t.after(() => socket.destroy());
  assert.equal(client.getProtocol(), 'TLSv1.3');
  assert.equal(client.alpnProtocol, 'ait-data/1');
  assert.match(socket.getPeerX509Certificate()?.subjectAltName ?? '', /^URI:spiffe:\/\/dev\.mesh\/agent\/planner$/);
});

test('keys are for their owner alone, are ignored by git, and are never overwritten', () => {
  assert.equal(statSync(out).mode & 0o777, 0o700);
  for (const file of readdirSync(out)) assert.equal(statSync(join(out, file)).mode & 0o777, 0o600, file);
  const ignored = readFileSync(join(root, '.gitignore'), 'utf8').split('\n');
  assert.ok(ignored.includes('*.pem') && ignored.includes('*.key'));
  const key = read('root.key');
  const again = spawnSync(process.execPath, generate, { cwd: root, encoding: 'utf8' });
  assert.notEqual(again.status, 0);
  assert.match(again.stderr, /EEXIST/);
  assert.equal(read('root.key'), key);
});
