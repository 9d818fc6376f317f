import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { httpGet } from '../support/admin-request.ts';
import { awaitAddress, startMesh, type TestMesh } from '../support/mesh.ts';
import { AUDIENCE, TestIssuer, type TokenChanges } from '../support/oidc-issuer.ts';
import { runAit } from '../support/run-ait.ts';
import type { TestAgent } from '../support/test-agent.ts';

interface Cluster {
  readonly issuer: TestIssuer;
  readonly mesh: TestMesh;
  readonly planner: TestAgent;
  /** What the kubelet does: puts a token where the sidecar reads it. */
  readonly project: (token: string) => Promise<void>;
}

/** A planner that is to join by token, and is not started yet; a researcher that joined by credential. */
async function startCluster(t: TestContext): Promise<Cluster> {
  const issuer = await TestIssuer.start();
  t.after(() => issuer.stop());
  const accounts = { 'agents/planner': 'planner', 'agents/gone': 'gone' };
  const kubernetes = [{ issuer: issuer.url, audience: AUDIENCE, ca_file: 'cluster-ca.pem', accounts }];
  const mesh = await startMesh(t, {
    authority: { kubernetes },
    files: { 'cluster-ca.pem': issuer.caPem },
    agents: { planner: { calls: ['researcher'], start: false }, researcher: {} },
  });
  const planner = mesh.agent('planner');
  const token = join(planner.folder, 'token');
  const { root_sha256: pin } = (await mesh.authority.process.waitFor('authority_ready')) as unknown as Record<
    string,
    string
  >;
  planner.config['authority'] = {
    service_account_token_file: token,
    address: mesh.authority.address,
    trust_domain: 'acme.example',
    agent: 'planner',
    root_sha256: pin!,
  };
  return { issuer, mesh, planner, project: (text) => writeFile(token, `${text}\n`) };
}

async function instancesOf({ mesh }: Cluster, agent: string): Promise<{ id: string; pod?: { uid: string } }[]> {
  const all = JSON.parse(await httpGet({ socketPath: join(mesh.authority.stateDir, 'admin.sock') }, '/instances'));
  return (all as { id: string; agent: string }[]).filter((each) => each.agent.endsWith(`/${agent}`));
}

test('a pod joins by its ServiceAccount token, and comes back after kill -9 with the token that the kubelet put there meanwhile', async (t) => {
  const cluster = await startCluster(t);
  const { issuer, mesh, planner, project } = cluster;
  await project(issuer.token());
  await planner.start();
  await awaitAddress(planner, mesh.agent('researcher').inbound);
  assert.equal(await planner.call('researcher', 'hello'), 'hello');
  const [first] = await instancesOf(cluster, 'planner');
  assert.equal(first?.pod?.uid, '5e0bd49b-f040-43b0-99b7-22765a53f7f3');

  await planner.sidecar.kill();
  issuer.rotate('ES256');
  await project(issuer.token({ issuedIn: 0 }));
  await planner.start();
  await awaitAddress(planner, mesh.agent('researcher').inbound);
  assert.equal(await planner.call('researcher', 'again'), 'again');
  const both = await instancesOf(cluster, 'planner');
  assert.deepEqual(new Set(both.map(({ pod }) => pod?.uid)), new Set([first?.pod?.uid]));
  assert.equal(new Set(both.map(({ id }) => id)).size, 2);

  const shown = JSON.parse(await planner.admin('/config')) as { authority: Record<string, string> };
  assert.equal(shown.authority['service_account_token_file'], '[redacted]');
  assert.equal(shown.authority['agent'], 'planner');
  for (const { lines } of mesh.processes) {
    assert.ok(!JSON.stringify(lines).includes(issuer.token().split('.')[0] ?? ''), 'no token is logged');
  }
});

const REFUSED: readonly (readonly [
  what: string,
  token: (issuer: TestIssuer) => string,
  says: RegExp,
  advice: RegExp,
])[] = [
  refused(
    'another audience',
    { claims: { aud: ['kubernetes'] } },
    /TOKEN_AUDIENCE_MISMATCH: .*for \["kubernetes"\]/,
    /audience/,
  ),
  refused(
    'another issuer',
    { claims: { iss: 'https://evil.example' } },
    /ISSUER_UNKNOWN: .*evil\.example/,
    /kubernetes\[\]\.issuer/,
  ),
  refused(
    'another namespace',
    { kubernetes: { namespace: 'other' }, claims: { sub: 'system:serviceaccount:other:planner' } },
    /SERVICE_ACCOUNT_UNKNOWN: .*other\/planner stands for no agent/,
    /kubernetes\[\]\.accounts/,
  ),
  refused('expired', { issuedIn: -700, expiresIn: -60 }, /TOKEN_EXPIRED: .*ended at \S+Z, it is \S+Z/, /kubelet/),
  refused('bound to no pod', { kubernetes: { pod: undefined } }, /TOKEN_NOT_BOUND: /, /projected volume/),
  [
    'unsigned',
    (issuer) => issuer.forge({ alg: 'none', kid: issuer.key.kid }, () => ''),
    /TOKEN_ALGORITHM_REFUSED: .*signed by none/,
    /attack/,
  ],
  [
    'signed with the public key as a shared secret',
    (issuer) => issuer.forge({ alg: 'HS256', kid: issuer.key.kid }, (input) => issuer.hmacWithPublicKey(input)),
    /TOKEN_ALGORITHM_REFUSED: .*signed by HS256/,
    /attack/,
  ],
  [
    'signed by another key',
    (issuer) => issuer.token({ key: issuer.strangersKey() }),
    /TOKEN_SIGNATURE_INVALID: /,
    /attack/,
  ],
  ['no token at all', () => 'not a token', /FILE_UNREADABLE: .*holds no ServiceAccount token/, /projected volume/],
  ['cut in half', (issuer) => issuer.token().slice(0, 500), /FILE_UNREADABLE|TOKEN_MALFORMED/, /projected/],
];

function refused(what: string, changes: TokenChanges, says: RegExp, advice: RegExp) {
  return [what, (issuer: TestIssuer) => issuer.token(changes), says, advice] as const;
}

test('whatever is not the token of our pod: the sidecar says which and what to do, exits 1, and nothing has joined', async (t) => {
  const cluster = await startCluster(t);
  const { issuer, mesh, planner, project } = cluster;
  for (const [what, token, says, advice] of REFUSED) {
    await t.test(what, async () => {
      await project(token(issuer));
      await planner.start({ awaitReady: false });
      assert.equal(await planner.sidecar.exited, 1);
      const output = planner.sidecar.tail();
      assert.match(output, says);
      assert.match(output, new RegExp(`try: .*${advice.source}`));
      assert.ok(!output.includes('a defect in ait-mesh'), output);
    });
  }
  assert.deepEqual(await instancesOf(cluster, 'planner'), []);

  await t.test('the token is not there', async () => {
    await rm(join(planner.folder, 'token'));
    await planner.start({ awaitReady: false });
    assert.equal(await planner.sidecar.exited, 1);
    assert.match(planner.sidecar.tail(), /FILE_UNREADABLE: cannot read the ServiceAccount token .*token/);
  });

  await t.test('shown to an authority with another root: it never gets there', async () => {
    await project(issuer.token());
    const section = planner.config['authority'] as object;
    planner.config['authority'] = { ...section, root_sha256: 'ab'.repeat(32) };
    const from = mesh.authority.process.mark();
    await planner.start({ awaitReady: false });
    assert.equal(await planner.sidecar.exited, 1);
    assert.match(planner.sidecar.tail(), /AUTHORITY_ROOT_MISMATCH: [^]*try: .*authority\.address/);
    assert.ok(!mesh.authority.process.lines.slice(from).some(({ event }) => event.startsWith('join')));
    planner.config['authority'] = section;
  });

  await t.test('the issuer is down: it waits, says so, and joins by itself when the issuer is back', async () => {
    await issuer.stop();
    issuer.rotate();
    await project(issuer.token());
    await planner.start({ awaitReady: false });
    const { reason, detail } = await planner.waitFor('join_failed');
    assert.equal(reason, 'ISSUER_UNREACHABLE');
    assert.match(String(detail), /the keys of https:\/\/127\.0\.0\.1:\d+ cannot be had: .*ECONNREFUSED/);
    assert.deepEqual(await instancesOf(cluster, 'planner'), []);
    await issuer.listen();
    await planner.waitFor('sidecar_ready', () => true, { deadlineMs: 30_000 });
    assert.equal((await instancesOf(cluster, 'planner')).length, 1);
  });
});

test('mistakes in the configuration of either side are named before anything starts', async (t) => {
  const { mesh, planner } = await startCluster(t);
  const check = async (section: object): Promise<string> => {
    const file = join(planner.folder, 'checked.yaml');
    await writeFile(file, JSON.stringify({ ...planner.config, authority: section }));
    const { code, output } = await runAit(['sidecar', '--config', file, '--check-config']);
    assert.equal(code, 2, output);
    return output;
  };
  const section = planner.config['authority'] as Record<string, string>;
  assert.match(
    await check({ ...section, join_credential: 'x' }),
    /authority: has join_credential and service_account_token_file/,
  );
  assert.match(await check({ ...section, root_file: 'x' }), /authority: has root_sha256 and root_file/);
  assert.match(
    await check({ ...section, agent: 'spiffe://other.example/agent/a' }),
    /authority\.agent: is no agent of trust_domain/,
  );
  assert.match(
    await check({ join_credential: 'x', agent: 'planner' }),
    /authority\.agent: belongs to service_account_token_file/,
  );
  const bare = await check({ service_account_token_file: 'token' });
  for (const name of ['address', 'trust_domain', 'agent', 'root_sha256']) {
    assert.match(bare, new RegExp(`authority\\.${name}: is required`));
  }
  assert.match(await check({}), /authority\.join_credential: is required/);

  const authority = async (kubernetes: object[]): Promise<string> => {
    const file = join(mesh.authority.folder, 'checked.yaml');
    const config = { trust_domain: 'acme.example', policy_dir: 'policy', kubernetes };
    await writeFile(file, JSON.stringify(config));
    const { code, output } = await runAit(['authority', '--config', file, '--check-config']);
    assert.equal(code, 2, output);
    return output;
  };
  const good = { issuer: 'https://a.example', audience: 'b', accounts: { 'a/b': 'planner' } };
  assert.match(await authority([]), /kubernetes: names no cluster/);
  assert.match(await authority([good, good]), /kubernetes: has one issuer twice/);
  assert.match(await authority([{ ...good, accounts: {} }]), /accounts: names no account/);
  assert.match(await authority([{ ...good, accounts: { 'a/*': 'planner' } }]), /there are no wildcards/);
  assert.match(
    await authority([{ ...good, accounts: { 'a/b': 'spiffe://x/agent/y' } }]),
    /is not the name of an agent/,
  );
  assert.match(await authority([{ ...good, issuer: 'http://a.example' }]), /issuer: is not an https URL/);
  assert.match(
    await authority([{ ...good, jwks_file: 'a', ca_file: 'b' }]),
    /has jwks_file, with which nothing is fetched/,
  );
  assert.match(
    await authority([{ ...good, ca_file: 'nowhere.pem' }]),
    /kubernetes\[0\]\.ca_file: .*nowhere\.pem cannot be used/,
  );
  assert.match(
    await authority([{ ...good, jwks_file: 'authority.yaml' }]),
    /kubernetes\[0\]\.jwks_file: .*cannot be used/,
  );
});
