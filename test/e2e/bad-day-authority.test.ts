import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cp, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { TLSSocket } from 'node:tls';
import { generateKeyPair, privateKeyToPem } from '../../src/crypto/keys.ts';
import { createRoot, issueSvid, openIssuer } from '../../src/crypto/x509-issuer.ts';
import { authorityId, parseTrustDomain } from '../../src/domain/agent-id.ts';
import type { LogLine } from '../support/child-process.ts';
import { BadProxy, type Misbehaviour } from '../support/bad-proxy.ts';
import { awaitAddress, startMesh, type TestMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import { TestAuthority } from '../support/test-authority.ts';
import type { TestAgent } from '../support/test-agent.ts';

const DOMAIN = parseTrustDomain('acme.example');

/** Ends TLS itself, as an authority of the same name whose root nobody here knows. */
function somebodyElse(): (client: Socket) => void {
  const [notBefore, notAfter] = [Date.now() - 60_000, Date.now() + 3_600_000];
  const root = createRoot({ trustDomain: DOMAIN, commonName: 'another', notBefore, notAfter });
  const { publicKey, privateKey } = generateKeyPair();
  const issuer = openIssuer(root);
  const spiffeId = authorityId(DOMAIN);
  const leaf = issueSvid({
    issuer,
    publicKey,
    spiffeId,
    notBefore,
    notAfter: notAfter - 1000,
    serial: randomBytes(16),
  });
  return (client) => {
    const options = {
      isServer: true,
      key: privateKeyToPem(privateKey),
      cert: leaf + root.certPem,
      ALPNProtocols: ['h2'],
    };
    new TLSSocket(client, options).on('error', () => client.destroy());
  };
}

/** All that can be at the authority's address and is no authority; asking again may help. */
const NO_AUTHORITY: readonly (readonly [what: string, misbehave: Misbehaviour, joining: RegExp, live: RegExp])[] = [
  [
    'nothing ever comes',
    () => undefined,
    /no TLS handshake within \d+ ms/,
    /TLS_HANDSHAKE_TIMEOUT: no TLS handshake within 500 ms/,
  ],
  [
    'it hangs up',
    (client) => client.destroy(),
    /does not answer like an authority/,
    /TLS_HANDSHAKE_FAILED: .*(disconnected|closed)/,
  ],
  [
    'bytes that are no TLS',
    (client) => client.write(Buffer.alloc(4096, 0x55)),
    /does not answer like an authority/,
    /TLS_HANDSHAKE_FAILED: ERR_SSL/,
  ],
  [
    'an HTTP error',
    (client) => client.end('HTTP/1.1 503 Service Unavailable\r\n\r\n'),
    /does not answer like an authority/,
    /TLS_HANDSHAKE_FAILED: ERR_SSL/,
  ],
];

async function meshBehindProxy(t: TestContext): Promise<{ mesh: TestMesh; planner: TestAgent; proxy: BadProxy }> {
  const mesh = await startMesh(t, {
    agents: {
      planner: {
        calls: ['researcher'],
        start: false,
        config: { timing: { handshake_timeout: '500ms', drain: '200ms' } },
      },
      researcher: {},
    },
  });
  const planner = mesh.agent('planner');
  const proxy = await BadProxy.start(t, () => mesh.authority.address);
  planner.config['authority'] = { ...(planner.config['authority'] as object), address: proxy.address };
  return { mesh, planner, proxy };
}

test('joining where no authority answers: said in words, tried again, and done as soon as there is one', async (t) => {
  const { mesh, planner, proxy } = await meshBehindProxy(t);
  for (const [what, misbehave, says] of NO_AUTHORITY) {
    await t.test(what, async () => {
      proxy.misbehave = misbehave;
      await planner.start({ awaitReady: false });
      const { reason, detail } = await planner.waitFor('join_failed');
      assert.equal(reason, 'AUTHORITY_UNREACHABLE');
      assert.match(String(detail), says);
      assert.equal(planner.sidecar.running, true);
      proxy.misbehave = undefined;
      await planner.waitFor('sidecar_ready', () => true, { deadlineMs: 20_000 });
      await planner.sidecar.kill();
    });
  }
  await t.test('it answers slowly: it takes longer, nothing else', async () => {
    proxy.delayMs = 100;
    await planner.start();
    await awaitAddress(planner, mesh.agent('researcher').inbound);
    assert.equal(await planner.call('researcher', 'hello'), 'hello');
    proxy.delayMs = 0;
    await planner.sidecar.kill();
  });
  await t.test('valid TLS of an authority with another root: final, the credential is not shown', async () => {
    proxy.misbehave = somebodyElse();
    await planner.start({ awaitReady: false });
    assert.equal(await planner.sidecar.exited, 1);
    assert.match(planner.sidecar.tail(), /AUTHORITY_ROOT_MISMATCH: [^]*try: correct authority\.address/);
  });
});

test('an authority that turns bad while a sidecar is live: calls go on, it is said, and it heals by itself', async (t) => {
  const { mesh, planner, proxy } = await meshBehindProxy(t);
  await planner.start();
  await awaitAddress(planner, mesh.agent('researcher').inbound);
  const call = planner.connect('researcher');
  call.socket.write('begin');
  await call.read(5);
  const anotherRoot = [
    'valid TLS of another root',
    somebodyElse(),
    /./,
    /TLS_HANDSHAKE_FAILED: .*self-signed/,
  ] as const;
  for (const [what, misbehave, , live] of [anotherRoot, ...NO_AUTHORITY]) {
    await t.test(what, async () => {
      const from = planner.sidecar.mark();
      proxy.misbehave = misbehave;
      proxy.cut();
      const told = ({ error }: LogLine) => live.test(String(error));
      await planner.waitFor('state_watch_broken', told, { from });
      call.socket.write('still');
      assert.equal((await call.read(5)).toString(), 'still');
      assert.equal((await planner.status()).inOrder, true);
      proxy.misbehave = undefined;
      proxy.cut();
      await mesh.nudge(planner);
    });
  }
  assert.equal(await planner.metric('ait_drift_total'), 0);
  assert.equal(await planner.metric('ait_sessions_terminated_total'), 0);
  assert.ok(!planner.sidecar.lines.some(({ event }) => event === 'state_refused'));
  call.socket.destroy();
});

test('an authority restored from a backup: refused as STATE_ROLLED_BACK or STATE_FORKED, the newer state stays, and state_epoch heals it', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const { authority } = mesh;
  const backup = join(mesh.folder, 'backup');
  await cp(authority.stateDir, backup, { recursive: true, filter: (path) => !path.endsWith('.sock') });
  await mesh.nudge(planner);
  await mesh.nudge(planner);
  const before = await planner.metric('ait_bundle_revision');
  await authority.process.kill();
  await rm(authority.stateDir, { recursive: true });
  await cp(backup, authority.stateDir, { recursive: true });
  await authority.removePolicy('revocations/nobody');
  await authority.start();
  for (const agent of [planner, researcher]) {
    const { code, detail } = await agent.waitFor('state_refused', () => true, { deadlineMs: 20_000 });
    assert.match(String(code), /^STATE_(ROLLED_BACK|FORKED)$/);
    assert.match(String(detail), /revision \d+ of epoch 1/);
    assert.ok((await agent.metric('ait_bundle_refused_total', { reason: String(code) })) >= 1);
  }
  assert.equal(await planner.metric('ait_bundle_revision'), before, 'the newer stays');
  assert.equal(await planner.call('researcher', 'still'), 'still');

  await authority.process.stop();
  const from = { planner: planner.sidecar.mark(), researcher: researcher.sidecar.mark() };
  await authority.start({ state_epoch: 2 });
  await planner.waitFor('state_applied', ({ epoch }) => epoch === 2, { from: from.planner, deadlineMs: 20_000 });
  await researcher.waitFor('state_applied', ({ epoch }) => epoch === 2, { from: from.researcher, deadlineMs: 20_000 });
  await awaitAddress(planner, researcher.inbound);
  assert.equal(await planner.call('researcher', 'again'), 'again');
});

test('two authorities of one name: a sidecar at the wrong one says so, and their sidecars never accept each other', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], start: false }, researcher: {} },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const twin = new TestAuthority(join(mesh.folder, 'twin'));
  t.after(() => Promise.all(twin.processes.map((process) => process.kill())));
  await cp(mesh.authority.policyDir, twin.policyDir, { recursive: true });
  await twin.start();

  await t.test('the credential of one at the address of the other', async () => {
    const section = planner.config['authority'] as object;
    planner.config['authority'] = { ...section, address: twin.address };
    const from = twin.process.mark();
    await planner.start({ awaitReady: false });
    assert.equal(await planner.sidecar.exited, 1);
    assert.match(planner.sidecar.tail(), /AUTHORITY_ROOT_MISMATCH: [^]*try: correct authority\.address/);
    assert.ok(!twin.process.lines.slice(from).some(({ event }) => event.startsWith('join')), 'nothing was shown to it');
    planner.config['authority'] = section;
  });

  await t.test('a member of the one dials a member of the other', async () => {
    await writeFile(join(planner.folder, 'credential'), await twin.credential('planner'), { mode: 0o600 });
    const [peer] = planner.config['peers'] as { agent: string; listen: string }[];
    planner.config['peers'] = [{ ...peer, address: researcher.inbound }] as never;
    await planner.start();
    await assert.rejects(planner.call('researcher', 'hello'));
    const codes = await pollUntil(
      () => planner.codes(),
      (seen) => seen.some((code) => code !== undefined),
    );
    assert.ok(codes.includes('TLS_HANDSHAKE_FAILED') || codes.includes('TRUST_DOMAIN_NOT_ACCEPTED'), codes.join());
    assert.deepEqual(await researcher.sessions(), []);
    assert.equal(researcher.app.connections, 0);
  });
});

test('join credentials that let nobody in: each says why and what to do, exits 1, and nothing has joined', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { start: false }, gone: { start: false, record: { lifecycle: 'retired' } } },
  });
  const { authority } = mesh;
  const genuine = await authority.credential('planner');
  const once = await authority.credential('planner', { uses: 1 });
  const start = async (name: string, credential: string) => {
    const agent = mesh.agent(name);
    await writeFile(join(agent.folder, 'credential'), credential, { mode: 0o600 });
    await agent.start({ awaitReady: false });
    return agent;
  };
  const user = await start('planner', once);
  await user.waitFor('sidecar_ready');
  await user.sidecar.kill();
  const from = authority.process.mark();
  const cases: readonly (readonly [string, string, string, RegExp, RegExp])[] = [
    ['used up', 'planner', once, /JOIN_CREDENTIAL_USED_UP/, /keeps restarting.*ait agent credential/],
    [
      'ended',
      'planner',
      await authority.credential('planner', { expires: '1ms' }),
      /JOIN_CREDENTIAL_EXPIRED: .*ended at \S+Z, it is \S+Z/,
      /ait agent credential/,
    ],
    [
      'of a retired agent',
      'gone',
      await authority.credential('gone'),
      /AGENT_NOT_ACTIVE: .*gone is retired/,
      /lifecycle/,
    ],
    [
      'cut in half',
      'planner',
      genuine.slice(0, genuine.length / 2),
      /JOIN_CREDENTIAL_MALFORMED/,
      /ait agent credential/,
    ],
    ['with garbage behind it', 'planner', `${genuine} and more`, /JOIN_CREDENTIAL_MALFORMED/, /ait agent credential/],
    ['twice in one file', 'planner', `${genuine}\n${genuine}\n`, /JOIN_CREDENTIAL_MALFORMED/, /ait agent credential/],
    [
      'with NULs of a lost block behind it',
      'planner',
      `${genuine}${'\u0000'.repeat(64)}`,
      /JOIN_CREDENTIAL_MALFORMED/,
      /ait agent credential/,
    ],
  ];
  for (const [what, name, credential, says, advice] of cases) {
    await t.test(what, async () => {
      const { sidecar } = await start(name, credential);
      assert.equal(await sidecar.exited, 1);
      assert.match(sidecar.tail(), says);
      assert.match(sidecar.tail(), new RegExp(`try: .*${advice.source}`));
    });
  }
  assert.ok(!authority.process.lines.slice(from).some(({ event }) => event === 'joined'));
});
